//! Changes to objects as the cluster is asked for them: Gatekeeper's mutators, a JSON Patch out.
//!
//! What does not come in time or does not converge is answered by the failure setting: open lets
//! the object pass as it is, closed refuses it. Either is counted as an error.

use super::http::{Asked, Shared, allowed, json, read};
use super::policies::Loaded;
use super::{GK_MUTATION_SECONDS, GK_MUTATIONS};
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;
use bartizan_policy::review::Response as Answer;
use bartizan_policy::{Failure, NoProviders, Providers};
use serde_json::Value;
use std::sync::Arc;

pub(super) async fn mutate(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let asked = match read(&shared, request).await {
        Ok(asked) => asked,
        Err(refusal) => return refusal,
    };
    let told = match shared.in_force.get() {
        Some(loaded) => patch(&asked, loaded).await,
        None => Err("no policies are loaded".to_owned()),
    };
    let (status, answer) = match told {
        Ok(None) => ("skip", allowed()),
        Ok(Some(patch)) => {
            let patch = Some(Value::Array(patch));
            ("allow", Answer { patch, ..allowed() })
        }
        Err(why) => ("error", failed(shared.failure, &why)),
    };
    metrics::counter!(GK_MUTATIONS, "mutation_status" => status).increment(1);
    metrics::histogram!(GK_MUTATION_SECONDS, "mutation_status" => status)
        .record(asked.begun.elapsed());
    json(answer.bytes(&asked.review.api_version, &asked.review.uid))
}

async fn patch(asked: &Asked, loaded: Loaded) -> Result<Option<Vec<Value>>, String> {
    if loaded.library.mutators().is_empty() {
        return Ok(None);
    }
    let review = Arc::clone(&asked.review);
    let work = tokio::task::spawn_blocking(move || {
        let library = &loaded.library;
        let mutators = library.mutators();
        let providers: &dyn Providers = match &loaded.providers {
            Some(providers) => providers.as_ref(),
            None => &NoProviders,
        };
        mutators
            .review(&review, library, &loaded.world, providers)
            .map_err(|why| why.to_string())
    });
    match tokio::time::timeout_at(asked.deadline.into(), work).await {
        Ok(Ok(told)) => told,
        Ok(Err(_)) => Err("the mutation gave no answer".to_owned()),
        Err(_) => Err("there was no mutation in time".to_owned()),
    }
}

fn failed(failure: Failure, why: &str) -> Answer {
    tracing::warn!(%why, "an object was not mutated");
    let warning = format!("bartizan: the object was not mutated: {why}");
    match failure {
        Failure::Open => Answer {
            warnings: vec![warning],
            ..allowed()
        },
        Failure::Closed => Answer {
            allowed: false,
            code: 500,
            reason: "InternalError".to_owned(),
            message: warning,
            ..Answer::default()
        },
    }
}
