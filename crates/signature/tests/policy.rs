//! ClusterImagePolicies over a registry in memory.

#![allow(clippy::unwrap_used, reason = "a test may end by panicking")]

mod lab;

use bartizan_model::{Digest, Outcome};
use bartizan_signature::{Judged, Mode, NoRego, Policies, Rego, Subject};
use lab::{ISSUER, Lab, REPOSITORY, Registry, SUBJECT, THEN, payload};
use rcgen::KeyPair;
use serde_json::{Value, json};
use std::sync::Arc;

fn cip(name: &str, authorities: Value) -> Value {
    json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy",
        "metadata": {"name": name},
        "spec": {"images": [{"glob": "registry.example/**"}], "authorities": authorities}
    })
}

fn owner(key: &KeyPair) -> Value {
    json!({"key": {"data": key.public_key_pem()}})
}

fn identity() -> Value {
    json!({
        "url": "https://fulcio.example", "insecureIgnoreSCT": true,
        "identities": [{"issuer": ISSUER, "subject": SUBJECT}]
    })
}

fn judge_with(policies: &Policies, image: &str, registry: &Registry, rego: &dyn Rego) -> Judged {
    let object = Value::Null;
    let subject = Subject {
        image,
        group: "",
        version: "v1",
        resource: "pods",
        object: &object,
    };
    policies.judge(&subject, registry, rego)
}

fn outcome(objects: &[Value], registry: &Registry) -> (Outcome, Vec<String>) {
    let (policies, _) = Policies::read(&objects.iter().collect::<Vec<_>>(), None).unwrap();
    let judged = judge_with(&policies, &format!("{REPOSITORY}:v1"), registry, &NoRego);
    let verdict = judged.verdicts.into_iter().next().unwrap();
    (verdict.outcome, verdict.reasons)
}

fn word(objects: &[Value], registry: &Registry) -> &'static str {
    outcome(objects, registry).0.word()
}

#[test]
fn signed_unsigned_twice_and_out_of_reach() {
    let key = lab::p256();
    let (mut registry, digest) = Registry::new();
    let policy = [cip("p", json!([owner(&key)]))];
    let (told, why) = outcome(&policy, &registry);
    assert_eq!(told, Outcome::Fail);
    assert_eq!(why, ["authority-0: there is no signature"]);
    let signed = payload(&digest);
    let one = (signed.clone(), lab::by_key(&signed, &key));
    registry.sign(&digest, &[one.clone(), one]);
    assert_eq!(word(&policy, &registry), "pass");
    let (policies, _) = Policies::read(&[&policy[0]], None).unwrap();
    let judged = judge_with(
        &policies,
        &format!("{REPOSITORY}@{digest}"),
        &registry,
        &NoRego,
    );
    let names: Vec<_> = judged.verdicts[0]
        .signed
        .iter()
        .map(|s| &s.origin)
        .collect();
    // The same signature twice counts once.
    assert_eq!(names.len(), 1);
    registry.down = true;
    assert_eq!(word(&policy, &registry), "unknown");
    registry.down = false;
    // A tag that nobody has.
    let judged = judge_with(&policies, &format!("{REPOSITORY}:v2"), &registry, &NoRego);
    assert_eq!(judged.verdicts[0].outcome.word(), "unknown");
    // An image that no policy looks at, and a name that is none.
    assert!(
        judge_with(&policies, "other.example/app", &registry, &NoRego)
            .verdicts
            .is_empty()
    );
    let judged = judge_with(
        &policies,
        "registry.example/app@sha512:12",
        &registry,
        &NoRego,
    );
    assert_eq!(judged.verdicts[0].outcome, Outcome::Fail);
}

#[test]
fn what_is_there_and_unusable_is_no_excuse() {
    let key = lab::p256();
    let (mut registry, digest) = Registry::new();
    let policy = [cip("p", json!([owner(&key)]))];
    let hex = digest.as_str().trim_start_matches("sha256:");
    let tag = format!("{REPOSITORY}:sha256-{hex}.sig");
    for (bytes, word) in [
        (vec![b' '; 5 << 20], "larger than"),
        (b"{".to_vec(), "malformed"),
        (
            br#"{"layers": [{"mediaType": "x", "digest": "sha256:1"}]}"#.to_vec(),
            "no signature",
        ),
    ] {
        registry.manifests.insert(tag.clone(), bytes);
        let (told, why) = outcome(&policy, &registry);
        assert_eq!(told, Outcome::Fail, "{why:?}");
        assert!(why[0].contains(word), "{why:?}");
    }
    // A blob whose bytes are not those of its digest.
    let signed = payload(&digest);
    registry.sign(&digest, &[(signed.clone(), lab::by_key(&signed, &key))]);
    let stored = Digest::of(&signed).as_str().to_owned();
    registry.blobs.insert(stored, b"other".to_vec());
    let (told, why) = outcome(&policy, &registry);
    assert_eq!(told, Outcome::Fail);
    assert!(why[0].contains("not those of its digest"), "{why:?}");
}

#[test]
fn any_authority_and_every_policy() {
    let (good, bad) = (lab::p256(), lab::p256());
    let (mut registry, digest) = Registry::new();
    let signed = payload(&digest);
    registry.sign(&digest, &[(signed.clone(), lab::by_key(&signed, &good))]);
    let any = cip("any", json!([owner(&bad), owner(&good)]));
    assert_eq!(word(std::slice::from_ref(&any), &registry), "pass");
    let both = [any, cip("bad", json!([owner(&bad)]))];
    let (policies, _) = Policies::read(&[&both[0], &both[1]], None).unwrap();
    let judged = judge_with(&policies, &format!("{REPOSITORY}:v1"), &registry, &NoRego);
    let words: Vec<_> = judged.verdicts.iter().map(|v| v.outcome.word()).collect();
    assert_eq!(words, ["pass", "fail"]);
    assert_eq!(
        word(
            &[cip("s", json!([{"static": {"action": "pass"}}]))],
            &registry
        ),
        "pass"
    );
    let (told, why) = outcome(
        &[cip(
            "s",
            json!([{"static": {"action": "fail", "message": "no"}}]),
        )],
        &registry,
    );
    assert_eq!(
        (told.word(), why[0].contains("static policy: no")),
        ("fail", true)
    );
    let mut warned = cip("w", json!([owner(&bad)]));
    warned["spec"]["mode"] = "warn".into();
    let (policies, _) = Policies::read(&[&warned], None).unwrap();
    let judged = judge_with(&policies, &format!("{REPOSITORY}:v1"), &registry, &NoRego);
    assert_eq!(judged.verdicts[0].mode, Mode::Warn);
}

#[test]
fn keyless_by_a_trust_root() {
    let lab = Lab::new();
    let (mut registry, digest) = Registry::new();
    let signed = payload(&digest);
    registry.sign(
        &digest,
        &[(
            signed.clone(),
            lab::keyless(&lab, &lab.signer(), &signed, THEN),
        )],
    );
    let mut keyless = identity();
    // Without a root nothing can be told.
    let plain = cip("p", json!([{"keyless": keyless}]));
    assert_eq!(word(std::slice::from_ref(&plain), &registry), "unknown");
    let (policies, notices) = Policies::read(&[&plain], Some(Arc::new(lab.trust()))).unwrap();
    assert!(notices.is_empty());
    let judged = judge_with(&policies, &format!("{REPOSITORY}:v1"), &registry, &NoRego);
    assert_eq!(judged.verdicts[0].outcome, Outcome::Pass);
    assert_eq!(judged.digest.as_ref(), Some(&digest));
    // The same by an object of the cluster; and one that is not there.
    keyless["trustRootRef"] = "lab".into();
    let named = cip(
        "p",
        json!([{"keyless": keyless, "ctlog": {"trustRootRef": "lab"}}]),
    );
    assert_eq!(
        word(&[named.clone(), lab.trust_root("lab")], &registry),
        "pass"
    );
    assert_eq!(
        word(&[named.clone(), lab.trust_root("other")], &registry),
        "unknown"
    );
    assert_eq!(
        word(&[named, Lab::new().trust_root("lab")], &registry),
        "fail"
    );
}

/// Says of a statement what a module of one word asks.
struct Word;

impl Rego for Word {
    fn complies(&self, module: &str, input: &Value) -> Result<Option<String>, String> {
        match module {
            "broken" => Err("it does not compile".into()),
            word if input.to_string().contains(word) => Ok(None),
            word => Ok(Some(format!("{word} is not said"))),
        }
    }
}

#[test]
fn attestations_and_what_they_must_say() {
    const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
    let lab = Lab::new();
    let (mut registry, digest) = Registry::new();
    let statement = lab::statement(&digest, VULN, json!({"scanner": "trivy"}));
    registry.attach(&digest, &lab::bundle(&lab, &lab.signer(), &statement));
    let told = |attestation: Value, overall: Value| {
        let mut policy = cip(
            "p",
            json!([{"keyless": identity(), "attestations": [attestation]}]),
        );
        policy["spec"]["policy"] = overall;
        let root = Some(Arc::new(lab.trust()));
        let (policies, notices) = Policies::read(&[&policy], root).unwrap();
        let judged = judge_with(&policies, &format!("{REPOSITORY}:v1"), &registry, &Word);
        let verdict = judged.verdicts.into_iter().next().unwrap();
        (
            verdict.outcome.word(),
            verdict.reasons.join(" "),
            notices.len(),
        )
    };
    let rego = |data: &str| json!({"type": "rego", "data": data});
    let wants =
        |kind: &str, policy: Value| json!({"name": "a", "predicateType": kind, "policy": policy});
    assert_eq!(told(wants("vuln", Value::Null), Value::Null).0, "pass");
    let (word, why, _) = told(wants("slsaprovenance1", Value::Null), Value::Null);
    assert_eq!(word, "fail");
    assert!(
        why.contains("no attestation of type https://slsa.dev/provenance/v1"),
        "{why}"
    );
    assert_eq!(told(wants("vuln", rego("trivy")), Value::Null).0, "pass");
    let (word, why, _) = told(wants("vuln", rego("grype")), Value::Null);
    assert_eq!(
        (word, why.contains("grype is not said")),
        ("fail", true),
        "{why}"
    );
    assert_eq!(
        told(wants("vuln", rego("broken")), Value::Null).0,
        "unknown"
    );
    let (word, why, notices) = told(
        wants("vuln", json!({"type": "cue", "data": "x"})),
        Value::Null,
    );
    assert_eq!((word, notices), ("unknown", 1), "{why}");
    assert_eq!(
        told(wants("vuln", Value::Null), rego("authorityMatches")).0,
        "pass"
    );
    assert_eq!(
        told(wants("vuln", Value::Null), rego("elsewhere")).0,
        "fail"
    );
    // An attestation is no signature.
    let policy = cip("p", json!([{"keyless": identity()}]));
    let (policies, _) = Policies::read(&[&policy], Some(Arc::new(lab.trust()))).unwrap();
    let judged = judge_with(&policies, &format!("{REPOSITORY}:v1"), &registry, &NoRego);
    assert_eq!(judged.verdicts[0].outcome, Outcome::Fail);
}

#[test]
fn which_objects_a_policy_looks_at() {
    let mut policy = cip("p", json!([{"static": {"action": "fail"}}]));
    policy["spec"]["match"] = json!([{
        "resource": "pods", "version": "*", "selector": {"matchLabels": {"a": "b"}}
    }]);
    let (policies, _) = Policies::read(&[&policy], None).unwrap();
    let looks = |resource: &str, labels: Value| {
        let object = json!({"metadata": {"labels": labels}});
        policies.look_at(&Subject {
            image: "registry.example/app",
            group: "",
            version: "v1",
            resource,
            object: &object,
        })
    };
    assert!(looks("pods", json!({"a": "b"})));
    assert!(!looks("pods", json!({"a": "c"})));
    assert!(!looks("deployments", json!({"a": "b"})));
}

#[test]
fn what_is_no_policy_is_an_error() {
    let key = lab::p256();
    let bad = |change: &dyn Fn(&mut Value)| {
        let mut policy = cip("p", json!([owner(&key)]));
        change(&mut policy);
        Policies::read(&[&policy], None).unwrap_err().text
    };
    let spec =
        |field: &'static str, value: Value| move |p: &mut Value| p["spec"][field] = value.clone();
    for why in [
        bad(&spec("images", json!([]))),
        bad(&spec("images", json!([{"glob": "["}]))),
        bad(&spec("mode", json!("maybe"))),
        bad(&spec("authorities", json!([]))),
        bad(&spec("authorities", json!([{}]))),
        bad(&spec("authorities", json!([{"key": {"data": "x"}}]))),
        bad(&spec(
            "authorities",
            json!([{"key": {"data": "x"}, "static": {"action": "pass"}}]),
        )),
        bad(&spec(
            "authorities",
            json!([{"keyless": {"identities": []}}]),
        )),
        bad(&spec(
            "authorities",
            json!([{"keyless": {"identities": [{"issuer": "i"}]}}]),
        )),
        bad(&spec(
            "authorities",
            json!([{"static": {"action": "maybe"}}]),
        )),
        bad(&|p: &mut Value| p["apiVersion"] = "policy.sigstore.dev/v9".into()),
    ] {
        assert!(!why.is_empty());
    }
    let policy = cip("p", json!([owner(&key)]));
    assert!(Policies::read(&[&policy, &policy], None).is_err());
    // What would have to be fetched is refused, and said.
    let fetched = cip(
        "k",
        json!([{"key": {"kms": "awskms:///x"}}, {"key": {"secretRef": {"name": "s"}}}]),
    );
    let (_, notices) = Policies::read(&[&fetched], None).unwrap();
    assert_eq!(notices.len(), 2);
}
