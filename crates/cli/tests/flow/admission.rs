//! The admission webhook of the built binary: a TLS client asks, policies change under load,
//! decisions come to API, ledger and findings; hostile reviews leave it answering.

use crate::support::{Installation, backends, settle};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Certificate;
use reqwest::blocking::Client;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Says which set it belongs to; twice, so that a mixed set would show.
fn policies(set: &str) -> String {
    let template = |kind: &str, rego: &str| {
        json!({"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate",
        "metadata": {"name": kind.to_lowercase()},
        "spec": {"crd": {"spec": {"names": {"kind": kind}}},
                 "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": rego}]}})
    };
    let constraint = |kind: &str, name: &str, object: &str, more: Value| {
        let mut spec = json!({"match": {"kinds": [{"apiGroups": [""], "kinds": [object]}]}});
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": kind,
               "metadata": {"name": name}, "spec": spec})
    };
    let owner = format!(
        "package needsowner\nviolation[{{\"msg\": msg, \"details\": {{\"path\": \"metadata.labels\"}}}}] {{\n not input.review.object.metadata.labels.owner\n msg := \"no owner, says {set}\"\n}}\n"
    );
    let endless = "package endless\nviolation[{\"msg\": \"x\"}] {\n count([1 | numbers.range(1, 900)[_] > 0; numbers.range(1, 900)[_] > 0; numbers.range(1, 900)[_] > 0]) < 0\n}\n";
    let selector = json!({"match": {"kinds": [{"apiGroups": [""], "kinds": ["Service"]}],
                                    "namespaceSelector": {"matchLabels": {"a": "b"}}}});
    let all = [
        template("NeedsOwner", &owner),
        template("Endless", endless),
        constraint("NeedsOwner", "one", "Pod", json!({})),
        constraint("NeedsOwner", "two", "Pod", json!({})),
        constraint(
            "NeedsOwner",
            "soft",
            "Pod",
            json!({"enforcementAction": "warn"}),
        ),
        constraint("NeedsOwner", "selects", "Service", selector),
        constraint("Endless", "slow", "Secret", json!({})),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": all}).to_string()
}

fn put(folder: &Path, set: &str) {
    // Whole or not at all; the name begins with a dot until it is.
    let beside = folder.join(".new");
    fs::write(&beside, policies(set)).unwrap();
    fs::rename(beside, folder.join("policies.json")).unwrap();
}

fn review(uid: &str, kind: &str, namespace: &str, labels: &Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": uid, "operation": "CREATE",
        "kind": {"group": "", "version": "v1", "kind": kind},
        "resource": {"group": "", "version": "v1", "resource": "things"},
        "name": "web", "namespace": namespace, "userInfo": {"username": "ada"},
        "object": {"apiVersion": "v1", "kind": kind,
                   "metadata": {"name": "web", "namespace": namespace, "labels": labels}},
        "oldObject": null
    }})
}

pub struct Webhook {
    client: Client,
    address: String,
}

impl Webhook {
    pub fn of(place: &Installation) -> Self {
        let ca = fs::read(place.data.path().join("admission/ca.pem")).unwrap();
        let client = Client::builder()
            .tls_certs_only([Certificate::from_pem(&ca).unwrap()])
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self {
            client,
            address: place.server.webhook.clone().unwrap(),
        }
    }

    pub fn ask(&self, path: &str, review: &Value) -> Value {
        let answer = self.client.post(format!("{}{path}", self.address));
        let answer = answer.json(review).send().unwrap();
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().unwrap();
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        answer["response"].clone()
    }
}

/// Waits until it is so.
pub fn eventually(so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never was so");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn served(more: &[&str]) -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "A");
    let mut arguments: Vec<String> = ["--role", "admission", "--admission-listen", "127.0.0.1:0"]
        .map(str::to_owned)
        .to_vec();
    arguments.extend(["--admission-look", "50", "--admission-workers", "2"].map(str::to_owned));
    arguments.push("--admission-policies".into());
    arguments.push(folder.path().display().to_string());
    arguments.extend(more.iter().map(|m| (*m).to_owned()));
    (folder, arguments)
}

#[test]
fn reviews_are_answered_while_policies_change_and_every_decision_is_recorded() {
    for backend in backends() {
        let (folder, arguments) = served(&[]);
        let place = Installation::with(&backend, &arguments);
        let webhook = Webhook::of(&place);
        let admit = "/v1/admit?timeout=10s";

        // What each outcome looks like.
        let denied = webhook.ask(admit, &review("u1", "Pod", "shop", &json!({})));
        assert_eq!(denied["allowed"], false);
        assert_eq!(denied["status"]["code"], 403);
        assert_eq!(
            denied["status"]["message"],
            "[one] no owner, says A\n[two] no owner, says A"
        );
        assert_eq!(denied["warnings"], json!(["[soft] no owner, says A"]));
        let allowed = webhook.ask(admit, &review("u2", "Pod", "bank", &json!({"owner": "x"})));
        assert_eq!(allowed["allowed"], true);
        let unknown = webhook.ask(admit, &review("u3", "Service", "lost", &json!({})));
        assert_eq!(
            (&unknown["allowed"], &unknown["status"]["code"]),
            (&json!(true), &json!(299))
        );
        let begun = Instant::now();
        let slow = webhook.ask(
            "/v1/admit?timeout=300ms",
            &review("u4", "Secret", "shop", &json!({})),
        );
        assert!(
            begun.elapsed() < Duration::from_millis(800),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(slow["allowed"], true);
        assert_eq!(slow["auditAnnotations"]["outcome"], "unknown");
        let label = json!({"admission.gatekeeper.sh/ignore": "yes"});
        let labelled = webhook.ask("/v1/admitlabel", &review("u5", "Namespace", "", &label));
        assert_eq!(labelled["allowed"], false);
        let mutated = webhook.ask("/v1/mutate", &review("u6", "Pod", "shop", &json!({})));
        assert_eq!(
            (&mutated["allowed"], &mutated["patch"]),
            (&json!(true), &Value::Null)
        );

        // Somebody watches.
        let address = format!("{}/api/v1/decisions/stream", place.server.address);
        let token = place.server.token.clone();
        let watcher = std::thread::spawn(move || {
            let client = Client::builder()
                .timeout(Duration::from_secs(60))
                .build()
                .unwrap();
            let stream = client.get(address).bearer_auth(token).send().unwrap();
            let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
            lines.find(|line| line.starts_with("data:") && line.contains("\"denied\""))
        });
        std::thread::sleep(Duration::from_millis(300));

        // Load, while the policies change several times a second.
        let over = AtomicBool::new(false);
        let seconds = Duration::from_secs(4);
        let (answers, swaps) = std::thread::scope(|s| {
            let askers: Vec<_> = (0..4)
                .map(|n| {
                    let (webhook, over) = (&webhook, &over);
                    s.spawn(move || {
                        let (mut asked, mut seen) = (0_u64, std::collections::BTreeSet::new());
                        while !over.load(Ordering::Relaxed) {
                            let uid = format!("load-{n}-{asked}");
                            let said = webhook.ask(admit, &review(&uid, "Pod", "shop", &json!({})));
                            asked += 1;
                            let message = said["status"]["message"].as_str().unwrap();
                            let sets: Vec<_> = message
                                .lines()
                                .map(|l| l.rsplit(' ').next().unwrap())
                                .collect();
                            assert_eq!(sets.len(), 2, "{message}");
                            assert_eq!(sets[0], sets[1], "a set half old and half new: {message}");
                            seen.insert(sets[0].to_owned());
                        }
                        (asked, seen)
                    })
                })
                .collect();
            let begun = Instant::now();
            let mut swaps = 0;
            while begun.elapsed() < seconds {
                std::thread::sleep(Duration::from_millis(200));
                swaps += 1;
                put(folder.path(), &format!("set{swaps}"));
            }
            over.store(true, Ordering::Relaxed);
            let answers: Vec<_> = askers.into_iter().map(|a| a.join().unwrap()).collect();
            (answers, swaps)
        });
        let asked: u64 = answers.iter().map(|(asked, _)| asked).sum();
        let sets: std::collections::BTreeSet<_> =
            answers.iter().flat_map(|(_, s)| s.clone()).collect();
        println!("{asked} reviews, {swaps} changes, {} sets seen", sets.len());
        assert!(asked > 100 && sets.len() >= 3, "{asked} {sets:?}");

        // A broken set is said and changes nothing.
        fs::write(folder.path().join("broken.yaml"), "a: [").unwrap();
        std::thread::sleep(Duration::from_millis(400));
        let still = webhook.ask(admit, &review("u7", "Pod", "shop", &json!({})));
        assert_eq!(still["status"]["code"], 403);

        // Everything is recorded: 4 before, the load, 1 after.
        let wanted = asked + 5;
        let recorded = || {
            let entries = place
                .server
                .get("/audit?action=decisions.recorded&limit=200")
                .unwrap();
            let entries = entries["items"].as_array().unwrap().clone();
            let counts = entries
                .iter()
                .flat_map(|e| e["detail"]["counts"].as_object().unwrap().clone());
            counts.map(|(_, n)| n.as_u64().unwrap()).sum::<u64>()
        };
        let begun = Instant::now();
        while recorded() < wanted && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(recorded(), wanted);
        let get = |path: &str| place.server.get(path).unwrap();
        let first = get("/decisions?name=web&outcome=unknown");
        let unknowns = first["items"].as_array().unwrap();
        assert_eq!(unknowns.len(), 2, "{first}");
        let denied = get("/decisions?outcome=denied&limit=1");
        let one = &denied["items"][0];
        assert_eq!(
            (&one["request"], &one["user"]),
            (&json!("u7"), &json!("ada"))
        );
        assert_eq!(
            one["reasons"][0]["policy"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next(),
            Some("needsowner")
        );
        assert_eq!(one["reasons"][0]["path"], "metadata.labels");
        assert!(denied["next_cursor"].is_string());
        assert!(watcher.join().unwrap().is_some(), "the stream told nothing");
        settle(&place.server);

        // Denied ones are findings; they close when the object is judged without.
        let open = || {
            get("/findings?status=open")["items"]
                .as_array()
                .unwrap()
                .len()
        };
        let until = |wanted: usize| {
            let begun = Instant::now();
            while open() != wanted && begun.elapsed() < Duration::from_secs(30) {
                std::thread::sleep(Duration::from_millis(200));
            }
            assert_eq!(open(), wanted);
        };
        until(1);
        webhook.ask(admit, &review("u8", "Pod", "shop", &json!({"owner": "x"})));
        until(0);

        let metrics = format!("{}/metrics", place.server.address);
        let metrics = Client::new().get(metrics).send().unwrap().text().unwrap();
        for name in [
            "gatekeeper_validation_request_count{",
            "gatekeeper_validation_request_duration_seconds_bucket{",
            "bartizan_admission_unknown_total{",
            "bartizan_admission_policy_loads_total{outcome=\"failed\"}",
        ] {
            assert!(metrics.contains(name), "{name}");
        }
    }
}

#[test]
fn objects_are_mutated_and_providers_are_asked() {
    let (folder, arguments) = served(&[]);
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    let bundle = STANDARD.encode(authority.self_signed(&key).unwrap().pem());
    let asks = "package asks\nviolation[{\"msg\": msg}] {\n told := external_data({\"provider\": \"registry\", \"keys\": [\"a\"]})\n told.system_error != \"\"\n msg := \"the registry is not heard\"\n}\n";
    let all = json!([
        {"apiVersion": "mutations.gatekeeper.sh/v1", "kind": "AssignMetadata",
         "metadata": {"name": "owner"},
         "spec": {"location": "metadata.labels.owner",
                  "parameters": {"assign": {"value": "platform"}}}},
        {"apiVersion": "mutations.gatekeeper.sh/v1", "kind": "Assign",
         "metadata": {"name": "pull"},
         "spec": {"applyTo": [{"groups": [""], "versions": ["v1"], "kinds": ["Pod"]}],
                  "location": "spec.containers[name:*].imagePullPolicy",
                  "parameters": {"assign": {"value": "Always"}}}},
        {"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "Provider",
         "metadata": {"name": "registry"},
         "spec": {"url": "https://127.0.0.1:1/", "timeout": 1, "caBundle": bundle}},
        {"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate",
         "metadata": {"name": "asks"},
         "spec": {"crd": {"spec": {"names": {"kind": "Asks"}}},
                  "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": asks}]}},
        {"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "Asks",
         "metadata": {"name": "asks"},
         "spec": {"match": {"kinds": [{"apiGroups": [""], "kinds": ["ConfigMap"]}]}}},
    ]);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": all});
    fs::write(folder.path().join("more.json"), list.to_string()).unwrap();
    let place = Installation::with(&backends()[0], &arguments);
    let webhook = Webhook::of(&place);

    let mut pod = review("m1", "Pod", "shop", &json!({}));
    pod["request"]["object"]["spec"] = json!({"containers": [{"name": "web"}]});
    let answer = webhook.ask("/v1/mutate?timeout=10s", &pod);
    assert_eq!(answer["allowed"], true, "{answer}");
    assert_eq!(answer["patchType"], "JSONPatch");
    let patch = STANDARD.decode(answer["patch"].as_str().unwrap()).unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    assert_eq!(
        patch,
        json!([
            {"op": "add", "path": "/metadata/labels/owner", "value": "platform"},
            {"op": "add", "path": "/spec/containers/0/imagePullPolicy", "value": "Always"},
        ])
    );
    // What there is stays: nothing to change is no patch.
    pod["request"]["object"]["metadata"]["labels"] = json!({"owner": "shop"});
    pod["request"]["object"]["spec"] =
        json!({"containers": [{"name": "web", "imagePullPolicy": "Always"}]});
    let same = webhook.ask("/v1/mutate?timeout=10s", &pod);
    assert_eq!(
        (&same["allowed"], &same["patch"]),
        (&json!(true), &Value::Null)
    );

    let unheard = webhook.ask(
        "/v1/admit?timeout=10s",
        &review("m2", "ConfigMap", "shop", &json!({})),
    );
    assert_eq!(
        unheard["status"]["message"], "[asks] the registry is not heard",
        "{unheard}"
    );
}

#[test]
fn kubernetes_own_policies_and_policies_themselves_are_judged() {
    let rules = |operations: Value| {
        json!({"resourceRules": [
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": operations, "resources": ["pods"]}]})
    };
    let registration = "admissionregistration.k8s.io/v1";
    let all = json!([
        {"apiVersion": registration, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "images"},
         "spec": {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
                  "matchConstraints": rules(json!(["CREATE"])),
                  "validations": [{"expression": "object.spec.containers.all(c, c.image.startsWith(params.data.registry))",
                                   "messageExpression": "'images come from ' + params.data.registry"}]}},
        {"apiVersion": registration, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "ours"},
         "spec": {"policyName": "images", "validationActions": ["Deny"],
                  "paramRef": {"name": "registry", "namespace": "shop", "parameterNotFoundAction": "Deny"}}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "registry", "namespace": "shop"},
         "data": {"registry": "reg.example/"}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop",
         "labels": {"pod-security.kubernetes.io/enforce": "baseline"}}},
        {"apiVersion": registration, "kind": "MutatingAdmissionPolicy", "metadata": {"name": "grace"},
         "spec": {"matchConstraints": rules(json!(["*"])), "mutations": [{"patchType": "JSONPatch", "jsonPatch":
            {"expression": "[JSONPatch{op: 'add', path: '/spec/terminationGracePeriodSeconds', value: object.spec.grace}]"}}]}},
        {"apiVersion": registration, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": "grace"},
         "spec": {"policyName": "grace"}},
    ]);
    let (folder, arguments) = served(&["--pod-security"]);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": all});
    fs::write(folder.path().join("native.json"), list.to_string()).unwrap();
    let place = Installation::with(&backends()[0], &arguments);
    let webhook = Webhook::of(&place);
    let pod = |uid: &str, spec: Value| {
        let mut pod = review(uid, "Pod", "shop", &json!({"owner": "x"}));
        pod["request"]["resource"]["resource"] = "pods".into();
        pod["request"]["object"]["spec"] = spec;
        pod
    };
    let good = json!({"containers": [{"name": "a", "image": "reg.example/a"}], "grace": 5});
    let bad = json!({"hostPID": true, "containers": [{"name": "a", "image": "else/a"}]});
    let answer = webhook.ask("/v1/admit?timeout=10s", &pod("n1", good.clone()));
    assert_eq!(answer["allowed"], true, "{answer}");
    let answer = webhook.ask("/v1/admit?timeout=10s", &pod("n2", bad.clone()));
    assert_eq!(
        answer["status"]["message"],
        "[pod-security] pods \"web\" is forbidden: violates PodSecurity \"baseline:latest\": \
         host namespaces (hostPID=true)\n[ours] images come from reg.example/"
    );
    let answer = webhook.ask("/v1/mutate?timeout=10s", &pod("n3", good));
    let patch = STANDARD.decode(answer["patch"].as_str().unwrap()).unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    assert_eq!(
        patch,
        json!([{"op": "add", "path": "/spec/terminationGracePeriodSeconds", "value": 5}])
    );
    // An error is a denial where the policy does not say otherwise.
    let answer = webhook.ask("/v1/mutate?timeout=10s", &pod("n4", bad));
    assert_eq!(answer["allowed"], false, "{answer}");
    let message = answer["status"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("[grace] ") && message.contains("grace"),
        "{message}"
    );
    // A policy that could not be used.
    let mut config = review("n5", "Config", "gatekeeper-system", &json!({}));
    config["request"]["kind"] =
        json!({"group": "config.gatekeeper.sh", "version": "v1alpha1", "kind": "Config"});
    let answer = webhook.ask("/v1/admit?timeout=10s", &config);
    assert_eq!(answer["status"]["code"], 422);
    assert_eq!(
        answer["status"]["message"],
        "config resource must have name 'config'"
    );
}

#[test]
fn hostile_reviews_leave_it_answering() {
    let (_folder, arguments) = served(&["--admission-failure", "closed"]);
    let place = Installation::with(&bartizan_xtask::running::Backend::Sqlite, &arguments);
    let webhook = Webhook::of(&place);
    let address = format!("{}/v1/admit?timeout=2s", webhook.address);
    let before = place.server.memory("VmRSS").unwrap();
    let mut answered = 0;
    for n in 0..300_usize {
        let body = bartizan_xtask::running::hostile::review(n as u64);
        let begun = Instant::now();
        let sent = webhook.client.post(&address).body(body).send();
        // A body that is too large may be refused before all of it is sent.
        if let Ok(answer) = sent {
            let status = answer.status().as_u16();
            assert!([200, 400, 408, 413].contains(&status), "{n}: {status}");
            answered += 1;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "{n}: {:?}",
            begun.elapsed()
        );
    }
    assert!(answered > 270, "{answered}");
    let good = webhook.ask(
        "/v1/admit",
        &review("u", "Pod", "shop", &json!({"owner": "x"})),
    );
    assert_eq!(good["allowed"], true);
    let closed = webhook.ask("/v1/admit", &review("u", "Service", "lost", &json!({})));
    assert_eq!(
        (&closed["allowed"], &closed["status"]["code"]),
        (&json!(false), &json!(500))
    );
    let after = place.server.memory("VmRSS").unwrap();
    println!("{answered} of 300 answered, memory {before:.0} to {after:.0} MiB");
    assert!(after < before + 300.0, "{before} {after}");
}
