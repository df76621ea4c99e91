//! Entry points for fuzzers: bytes in, nothing out, no panic and bounded memory.

use crate::input::{self, Limits, Piece, Source};
use crate::object::{Found, objects};
use crate::review::{Review, ReviewLimits};
use crate::{Baseline, LibraryBuilder, redact};
use std::sync::Arc;

/// Limits small enough that a fuzzer reaches them.
fn limits() -> Limits {
    Limits {
        document_bytes: 64 << 10,
        file_bytes: 256 << 10,
        documents: 100,
        depth: 40,
        nodes: 5_000,
        memory: 16 << 20,
    }
}

/// The YAML and JSON reader, objects, expansion and redaction.
pub fn fuzz_yaml(data: &[u8]) {
    input::read(Source::new("fuzz.yaml", data), &limits(), &mut |piece| {
        if let Piece::Document(document) = piece {
            for found in objects("fuzz.yaml", document) {
                if let Found::Object(object) = found {
                    let _ = crate::expand::expand(&object);
                    let _ = redact::object(&object.value);
                }
            }
        }
    });
}

/// The reader of policies, with all rewriting of Rego.
pub fn fuzz_library(data: &[u8]) {
    let mut builder = LibraryBuilder::new();
    if builder.add("fuzz", "fuzz.yaml", data).is_ok() {
        let _ = builder.build();
    }
}

/// The rewriting of Rego alone.
pub fn fuzz_rego(data: &[u8]) {
    if let Ok(source) = std::str::from_utf8(data) {
        let _ = crate::rego::prepare(source, false);
    }
}

/// The reader of baseline files.
pub fn fuzz_baseline(data: &[u8]) {
    let _ = Baseline::parse("fuzz.yaml", data);
}

/// The reader of AdmissionReviews, and the answer to one: Pod Security, and policies that come in
/// reviews.
pub fn fuzz_review(data: &[u8]) {
    let limits = ReviewLimits {
        bytes: 64 << 10,
        depth: 40,
        values: 5_000,
    };
    if let Ok(review) = Review::parse(data, &limits) {
        let now = bartizan_model::Timestamp::from_micros(0);
        let (library, options) = (crate::Library::default(), crate::AdmitOptions::default());
        let mut admitter = crate::Admitter::new(&library, Arc::default(), options, now);
        admitter.judge_pod_security(Arc::default());
        let verdict = admitter.admit(&review, now);
        let _ = verdict.response().bytes(&review.api_version, &review.uid);
    }
}

/// The reader of CEL, and the evaluation of what it takes, within a small budget.
pub fn fuzz_cel(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let names = [
        "object",
        "oldObject",
        "request",
        "namespaceObject",
        "params",
    ];
    let environment = crate::cel::Environment::new(&names).with_mutation();
    if let Ok(program) = environment.compile(text) {
        let object = serde_json::json!({
            "metadata": {"name": "web", "labels": {"a": "b"}},
            "spec": {"n": 1, "d": 0.5, "none": null, "list": [1, 2, 3], "text": "1.2.3"}
        });
        let null = serde_json::Value::Null;
        let limits = crate::cel::Limits {
            steps: 50_000,
            bytes: 4 << 20,
            ..crate::cel::Limits::default()
        };
        let globals = [&object, &null, &object, &null, &object];
        let _ = program.evaluate(&globals, limits);
    }
}

/// Mutators and what they change, from one file of both; also locations and providers' answers.
pub fn fuzz_mutate(data: &[u8]) {
    let limits = Limits {
        document_bytes: 1 << 20,
        ..Limits::default()
    };
    let mut all = Vec::new();
    input::read(Source::new("fuzz.yaml", data), &limits, &mut |piece| {
        if let Piece::Document(document) = piece {
            for found in objects("fuzz.yaml", document) {
                if let Found::Object(object) = found {
                    all.push(*object);
                }
            }
        }
    });
    let mutators = crate::Mutators::from_objects(&all);
    let world = crate::World::default();
    let about = crate::mutate::About::default();
    for object in &all {
        let _ = crate::providers::Provider::read(object);
        let told = mutators.mutate(&object.value, &about, &world, &crate::NoProviders);
        if let Ok(mutated) = told {
            let _ = crate::json_patch(&object.value, &mutated.object);
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let same = crate::mutate::reads_what_it_prints(text);
        assert_eq!(same, Ok(()));
    }
    let _ = crate::providers::answer(data, &["key".to_owned()]);
}
