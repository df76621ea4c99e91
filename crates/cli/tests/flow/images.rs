//! Signatures of images: signed here, fetched from a layout or a registry on this machine, judged
//! by `image verify`, `policy check` and the webhook; also by a registry that never answers.

#[path = "../../../signature/tests/lab/mod.rs"]
pub mod lab;
pub mod registry;

use crate::admission::{Webhook, eventually};
use crate::support::{Installation, backends, bartizan, run, run_with};
use bartizan_model::Digest;
use lab::{ISSUER, Lab, REPOSITORY, Registry, SUBJECT};
use rcgen::KeyPair;
use registry::Served;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const SLSA: &str = "https://slsa.dev/provenance/v1";

/// A registry with the image `v1`, signed by the key, and the image `v2`, by nobody.
fn signed_by(key: &KeyPair) -> (Registry, Digest, Digest) {
    let (mut registry, digest) = Registry::new();
    let payload = lab::payload(&digest);
    let annotations = lab::by_key(&payload, key);
    registry.sign(&digest, &[(payload, annotations)]);
    let other = br#"{"schemaVersion":2,"layers":[],"annotations":{"a":"b"}}"#.to_vec();
    let unsigned = Digest::of(&other);
    let names = [
        format!("{REPOSITORY}:v2"),
        format!("{REPOSITORY}@{unsigned}"),
    ];
    for name in names {
        registry.manifests.insert(name, other.clone());
    }
    (registry, digest, unsigned)
}

fn by_key(name: &str, key: &KeyPair) -> Value {
    json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy",
        "metadata": {"name": name},
        "spec": {"images": [{"glob": format!("{REPOSITORY}**")}],
                 "authorities": [{"name": "ours", "key": {"data": key.public_key_pem()}}]}
    })
}

fn keyless(name: &str, trust: Option<&str>) -> Value {
    let mut keyless = json!({
        "identities": [{"subject": SUBJECT, "issuer": ISSUER}], "insecureIgnoreSCT": true
    });
    if let Some(trust) = trust {
        keyless["trustRootRef"] = trust.into();
    }
    let mut policy = json!({
        "apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy",
        "metadata": {"name": name},
        "spec": {"images": [{"glob": format!("{REPOSITORY}**")}],
                 "authorities": [{"name": "dev", "keyless": keyless}]}
    });
    policy["spec"]["authorities"][0]["attestations"] = json!([{"name": "built", "predicateType": SLSA, "policy": {"type": "rego", "data":
            "package sigstore\nisCompliant { input.predicate.builder == \"ours\" }\nerrorMsg = \"it was built elsewhere\" { input.predicate.builder != \"ours\" }"}}]);
    policy
}

fn pod(image: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"},
           "spec": {"containers": [{"name": "web", "image": image}]}})
}

fn review(uid: &str, object: &Value) -> Value {
    let kind = object["kind"].as_str().unwrap();
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": uid, "operation": "CREATE",
        "kind": {"group": "", "version": "v1", "kind": kind},
        "resource": {"group": "", "version": "v1", "resource": format!("{}s", kind.to_lowercase())},
        "name": "web", "namespace": "shop", "userInfo": {"username": "ada"},
        "object": object, "oldObject": null
    }})
}

fn verify(layout: &Path, image: &str, more: &[&str]) -> (i32, String) {
    let layout = layout.display().to_string();
    let mut arguments = vec!["image", "verify", image, "--layout", &layout];
    arguments.extend(more);
    let run = run(&arguments);
    (run.code, run.out + &run.err)
}

#[test]
fn images_of_a_layout_are_verified_by_key_and_by_identity() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (key, stranger) = (lab::p256(), lab::p256());
    fs::write(at("key.pub"), key.public_key_pem()).unwrap();
    fs::write(at("other.pub"), stranger.public_key_pem()).unwrap();
    let (mut registry, digest, _) = signed_by(&key);
    let lab = Lab::new();
    let signer = lab.signer();
    let statement = lab::statement(&digest, SLSA, json!({"builder": "ours"}));
    registry.attach(&digest, &lab::bundle(&lab, &signer, &statement));
    let layout = folder.path().join("layout");
    registry::layout(&registry, &layout);
    let image = format!("{REPOSITORY}:v1");

    let good = ["--key", &at("key.pub"), "--insecure-ignore-tlog"];
    let (code, text) = verify(&layout, &image, &good);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(digest.as_str()), "{text}");
    // Another key, another image, no transparency log, no such image, no layout at all.
    let bad = ["--key", &at("other.pub"), "--insecure-ignore-tlog"];
    assert_eq!(verify(&layout, &image, &bad).0, 1);
    assert_eq!(verify(&layout, &format!("{REPOSITORY}:v2"), &good).0, 1);
    let logged = ["--key", &at("key.pub")];
    assert_eq!(verify(&layout, &image, &logged).0, 2);
    assert_eq!(verify(&layout, &format!("{REPOSITORY}:v3"), &good).0, 2);
    let nowhere = folder.path().join("nowhere");
    assert_eq!(verify(&nowhere, &image, &good).0, 2);

    // Without a key: who it was and what is attested, by an authority that is trusted.
    fs::write(at("root.json"), lab.root_json().to_string()).unwrap();
    fs::write(at("policy.json"), keyless("built", None).to_string()).unwrap();
    let root = at("root.json");
    let policy = ["--policy", &at("policy.json"), "--trusted-root", &root];
    let (code, text) = verify(&layout, &image, &policy);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(SUBJECT) && text.contains(SLSA), "{text}");
    let unknown = ["--policy", &at("policy.json")];
    assert_eq!(verify(&layout, &image, &unknown).0, 2);
    fs::write(at("root2.json"), Lab::new().root_json().to_string()).unwrap();
    let root2 = at("root2.json");
    let other = ["--policy", &at("policy.json"), "--trusted-root", &root2];
    assert_eq!(verify(&layout, &image, &other).0, 1);

    // One byte of what was signed is another: by its digest, or with a digest that fits.
    let tampered = folder.path().join("tampered");
    let mut changed = lab::payload(&digest);
    let annotations = lab::by_key(&changed, &key);
    changed.push(b' ');
    registry.sign(&digest, &[(changed, annotations)]);
    registry::layout(&registry, &tampered);
    let (code, text) = verify(&tampered, &image, &good);
    assert_eq!(code, 1, "{text}");
    let payload = Digest::of(&lab::payload(&digest));
    let name = payload.as_str().replace(':', "/");
    fs::write(layout.join("blobs").join(name), b"{}").unwrap();
    let (code, text) = verify(&layout, &image, &good);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("not those of its digest"), "{text}");
}

#[test]
fn policy_check_judges_images_where_it_is_told_to_look() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let key = lab::p256();
    let (registry, digest, unsigned) = signed_by(&key);
    let layout = at("layout");
    registry::layout(&registry, Path::new(&layout));
    let yaml = |image: &str, policy: &Value| format!("{policy}\n---\n{}\n", pod(image));
    let check = |image: &str, more: &[&str]| {
        fs::write(at("all.yaml"), yaml(image, &by_key("ours", &key))).unwrap();
        let file = at("all.yaml");
        let mut arguments = vec!["policy", "check", "-f", &file];
        arguments.extend(more);
        run_with(&arguments, b"")
    };
    let (good, bad) = (
        format!("{REPOSITORY}@{digest}"),
        format!("{REPOSITORY}@{unsigned}"),
    );
    let here = ["--layout", &layout];
    let told = check(&good, &here);
    assert_eq!((told.code, told.out.as_str()), (0, ""), "{}", told.err);
    let told = check(&bad, &here);
    assert_eq!(told.code, 1, "{}", told.err);
    assert!(
        told.out.contains("v1/Pod shop/web: [\"ours\"]"),
        "{}",
        told.out
    );
    assert!(told.out.contains("there is no signature"), "{}", told.out);
    let sarif = check(&bad, &[&here[..], &["-o", "sarif"]].concat());
    let sarif: Value = serde_json::from_str(&sarif.out).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(
        (&result["ruleId"], &result["level"]),
        (&json!("ClusterImagePolicy"), &json!("error"))
    );
    // An image that no policy looks at is nobody's matter.
    assert_eq!(check("other.example/app:v1", &here).code, 0);
    // Nowhere to look: neither good nor bad.
    for image in [&good, &bad] {
        let told = check(image, &[]);
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{}", told.err);
        assert!(
            told.err.contains("--registries or --layout"),
            "{}",
            told.err
        );
    }
    // From a registry, by its tag.
    let served = Served::new(registry);
    let mirror = format!("registry.example={}", served.address);
    let there = ["--registries", "--registry-mirror", &mirror];
    assert_eq!(check(&format!("{REPOSITORY}:v1"), &there).code, 0);
    assert_eq!(check(&format!("{REPOSITORY}:v2"), &there).code, 1);
    // A policy that is none.
    let mut broken = by_key("broken", &key);
    broken["spec"]["mode"] = "maybe".into();
    fs::write(at("broken.yaml"), format!("# one\n---\n{broken}\n")).unwrap();
    let file = at("broken.yaml");
    let told = run(&["policy", "check", "-f", &file]);
    assert_eq!(told.code, 2, "{}", told.out);
    assert!(told.err.contains(&format!("{file}:3: ")), "{}", told.err);
    assert!(told.err.contains("maybe"), "{}", told.err);
}

/// Policies of a folder, written whole.
fn put(folder: &Path, objects: &[Value]) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let beside = folder.join(".new");
    fs::write(&beside, list.to_string()).unwrap();
    fs::rename(beside, folder.join("policies.json")).unwrap();
}

fn arguments(folder: &Path, served: &Served, more: &[&str]) -> Vec<String> {
    let folder = folder.display().to_string();
    let mirror = format!("registry.example={}", served.address);
    let all = [
        "--role",
        "admission",
        "--admission-listen",
        "127.0.0.1:0",
        "--admission-look",
        "50",
        "--admission-workers",
        "1",
        "--admission-policies",
        &folder,
        "--registry-mirror",
        &mirror,
    ];
    all.iter().chain(more).map(|a| (*a).to_owned()).collect()
}

#[test]
fn the_webhook_lets_in_what_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let (key, stranger) = (lab::p256(), lab::p256());
    let (mut registry, digest, unsigned) = signed_by(&key);
    let lab = Lab::new();
    let statement = lab::statement(&digest, SLSA, json!({"builder": "ours"}));
    registry.attach(&digest, &lab::bundle(&lab, &lab.signer(), &statement));
    let served = Served::new(registry);
    put(folder.path(), &[by_key("ours", &key)]);
    let root = folder.path().join("root.jsn");
    fs::write(&root, lab.root_json().to_string()).unwrap();
    let more = ["--trusted-root", &root.display().to_string()];
    let place = Installation::with(&backends()[0], &arguments(folder.path(), &served, &more));
    let webhook = Webhook::of(&place);
    let ask =
        |uid: &str, image: &str| webhook.ask("/v1/admit?timeout=10s", &review(uid, &pod(image)));
    let (good, bad) = (
        format!("{REPOSITORY}@{digest}"),
        format!("{REPOSITORY}@{unsigned}"),
    );
    assert_eq!(ask("u1", &good)["allowed"], true);
    assert_eq!(ask("u2", &format!("{REPOSITORY}:v1"))["allowed"], true);
    assert_eq!(ask("u3", "other.example/app:v1")["allowed"], true);
    let denied = ask("u4", &bad);
    assert_eq!(denied["status"]["code"], 403);
    let message = denied["status"]["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("[ours] {bad}: ")), "{message}");
    // What is known of a digest is not asked for again.
    let before = served.asked();
    assert_eq!(ask("u5", &good)["allowed"], true);
    assert_eq!(served.asked(), before);
    // A workload is judged by its template, an ephemeral container as any other.
    let mut deployment = review("u6", &pod(&bad));
    let template = deployment["request"]["object"]["spec"].clone();
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": {"spec": template}}});
    deployment["request"]["object"] = object;
    deployment["request"]["kind"] = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
    assert_eq!(webhook.ask("/v1/admit", &deployment)["allowed"], false);
    let mut ephemeral = review("u7", &pod(&good));
    ephemeral["request"]["operation"] = "UPDATE".into();
    ephemeral["request"]["subResource"] = "ephemeralcontainers".into();
    ephemeral["request"]["oldObject"] = pod(&good);
    ephemeral["request"]["object"]["spec"]["ephemeralContainers"] =
        json!([{"name": "debug", "image": bad}]);
    assert_eq!(webhook.ask("/v1/admit", &ephemeral)["allowed"], false);
    let mut leaves = review("u8", &pod(&bad));
    leaves["request"]["operation"] = "DELETE".into();
    leaves["request"]["oldObject"] = leaves["request"]["object"].take();
    assert_eq!(webhook.ask("/v1/admit", &leaves)["allowed"], true);

    // A policy that is none is refused when it is applied, one that lets nothing pass is warned of.
    let applied = |uid: &str, policy: &Value| {
        let mut review = review(uid, policy);
        review["request"]["kind"]["group"] = "policy.sigstore.dev".into();
        webhook.ask("/v1/admit", &review)
    };
    let mut none = by_key("none", &key);
    none["spec"]["mode"] = "maybe".into();
    let told = applied("p1", &none);
    assert_eq!(told["status"]["code"], 422);
    assert!(
        told["status"]["message"]
            .as_str()
            .unwrap()
            .contains("maybe")
    );
    assert_eq!(applied("p2", &by_key("more", &key))["status"]["code"], 200);
    let told = applied("p3", &keyless("more", Some("elsewhere")));
    assert_eq!(
        (&told["allowed"], &told["status"]["code"]),
        (&json!(true), &json!(299))
    );

    // Another policy, then one that asks for what is attested, then another trusted root.
    put(folder.path(), &[by_key("ours", &stranger)]);
    eventually(|| ask("u9", &good)["allowed"] == false);
    put(folder.path(), &[keyless("built", None)]);
    eventually(|| ask("u10", &good)["allowed"] == true);
    assert_eq!(ask("u11", &bad)["allowed"], false);
    fs::write(&root, Lab::new().root_json().to_string()).unwrap();
    eventually(|| ask("u12", &good)["allowed"] == false);
    put(
        folder.path(),
        &[keyless("built", Some("lab")), lab.trust_root("lab")],
    );
    eventually(|| ask("u13", &good)["allowed"] == true);
    // A broken policy changes nothing and is said.
    let mut broken = keyless("built", Some("lab"));
    broken["spec"]["images"] = json!([]);
    put(folder.path(), &[broken, lab.trust_root("lab")]);
    let failed = "bartizan_admission_policy_loads_total{outcome=\"failed\"} 1";
    eventually(|| place.server.metrics().unwrap().contains(failed));
    assert_eq!(ask("u14", &good)["allowed"], true);
    assert_eq!(ask("u15", &bad)["allowed"], false);

    // What was denied is a decision with its reason, and a finding.
    let get = |path: &str| place.server.get(path).unwrap();
    let last = || get("/decisions?outcome=denied&limit=1")["items"][0].clone();
    eventually(|| last()["request"] == "u15");
    assert_eq!(
        last()["reasons"][0]["policy"],
        "image/sigstore/clusterimagepolicy"
    );
    assert_eq!(last()["reasons"][0]["path"], "spec.containers[0].image");
    eventually(|| {
        !get("/findings?status=open")["items"]
            .as_array()
            .unwrap()
            .is_empty()
    });
}

#[test]
fn a_broken_image_policy_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let mut broken = by_key("broken", &lab::p256());
    broken["spec"]["authorities"] = json!([{"key": {"data": "no key"}}]);
    fs::write(folder.path().join("image.yaml"), format!("\n{broken}\n")).unwrap();
    let data = tempfile::tempdir().unwrap();
    let served = Served::new(Registry::new().0);
    let mut child = bartizan(&["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .args(arguments(folder.path(), &served, &[]))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("image.yaml:2: "), "{text}");
}

#[test]
fn a_registry_that_never_answers_holds_up_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let key = lab::p256();
    let (registry, digest, unsigned) = signed_by(&key);
    let served = Served::new(registry);
    let rego = "package named\nviolation[{\"msg\": \"no label\"}] { not input.review.object.metadata.labels.owner }";
    let template = json!({"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate",
        "metadata": {"name": "named"}, "spec": {"crd": {"spec": {"names": {"kind": "Named"}}},
            "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": rego}]}});
    let constraint = json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "Named",
        "metadata": {"name": "named"},
        "spec": {"match": {"kinds": [{"apiGroups": [""], "kinds": ["ConfigMap", "Pod"]}],
                           "namespaces": ["strict"]}}});
    put(folder.path(), &[by_key("ours", &key), template, constraint]);
    let place = Installation::with(&backends()[0], &arguments(folder.path(), &served, &[]));
    let webhook = Webhook::of(&place);
    let image = format!("{REPOSITORY}@{unsigned}");
    let ask = |uid: &str, image: &str, time: &str| {
        let begun = Instant::now();
        let said = webhook.ask(
            &format!("/v1/admit?timeout={time}"),
            &review(uid, &pod(image)),
        );
        (said, begun.elapsed())
    };
    // It is known of the good one that it is signed before the registry falls silent.
    let good = format!("{REPOSITORY}@{digest}");
    assert_eq!(ask("u1", &good, "10s").0["allowed"], true);
    served.fall_silent();

    // There is one worker. While reviews wait for the registry, all others are judged.
    std::thread::scope(|s| {
        let waiting: Vec<_> = (0..4)
            .map(|n| {
                s.spawn({
                    let (ask, image) = (&ask, &image);
                    move || ask(&format!("w{n}"), image, "3s")
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(200));
        let mut map = review(
            "c1",
            &json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "web", "namespace": "strict"}}),
        );
        map["request"]["namespace"] = "strict".into();
        let begun = Instant::now();
        for _ in 0..20 {
            assert_eq!(webhook.ask("/v1/admit", &map)["status"]["code"], 403);
        }
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
        println!("20 other reviews in {took:?}");
        assert_eq!(ask("u2", &good, "3s").0["allowed"], true);
        for one in waiting {
            let (said, took) = one.join().unwrap();
            // Not let in, and not for want of a signature.
            assert_eq!(
                (&said["allowed"], &said["status"]["code"]),
                (&json!(false), &json!(500))
            );
            let why = said["status"]["message"].as_str().unwrap();
            assert!(why.starts_with("[ours] not judged: "), "{why}");
            assert!(
                took > Duration::from_secs(1) && took < Duration::from_secs(3),
                "{took:?}"
            );
        }
    });
    // From now on it is not waited for.
    let (said, took) = ask("u3", &image, "10s");
    assert_eq!(said["allowed"], false);
    assert!(took < Duration::from_millis(500), "{took:?}");
    let why = said["status"]["message"].as_str().unwrap();
    assert!(why.contains("gave no answer a moment ago"), "{why}");
    // What else is wrong with the object is said all the same.
    let mut strict = review("u4", &pod(&image));
    strict["request"]["namespace"] = "strict".into();
    strict["request"]["object"]["metadata"]["namespace"] = "strict".into();
    let said = webhook.ask("/v1/admit", &strict);
    assert_eq!(
        (&said["status"]["code"], &said["status"]["message"]),
        (&json!(403), &json!("[named] no label"))
    );
    let get = |path: &str| place.server.get(path).unwrap();
    eventually(|| {
        get("/decisions?outcome=unknown")["items"]
            .as_array()
            .unwrap()
            .len()
            >= 5
    });

    // Whoever says so lets such images in, with a warning.
    drop(place);
    let more = ["--image-failure", "open"];
    let place = Installation::with(&backends()[0], &arguments(folder.path(), &served, &more));
    let said = Webhook::of(&place).ask("/v1/admit?timeout=1s", &review("o1", &pod(&image)));
    assert_eq!(
        (&said["allowed"], &said["status"]["code"]),
        (&json!(true), &json!(299))
    );
    // One that sends a byte now and then is no better.
    served.drip();
    let begun = Instant::now();
    let said = Webhook::of(&place).ask("/v1/admit?timeout=2s", &review("o2", &pod(&image)));
    assert_eq!(said["allowed"], true);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}
