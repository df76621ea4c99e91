//! Sets of policies that say in each verdict which set they are of, and certificates that change.

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The namespace that every other set makes an exception for.
pub const FREE: &str = "free";

/// A folder whose policies change as a whole, as those of a mounted ConfigMap do.
pub struct Sets {
    root: PathBuf,
}

impl Sets {
    /// Below `root`, with the first set.
    pub fn new(root: &Path) -> Result<Self> {
        let sets = Self {
            root: root.to_owned(),
        };
        sets.put(1)?;
        Ok(sets)
    }

    /// What `--admission-policies` names.
    pub fn folder(&self) -> PathBuf {
        self.root.join("current")
    }

    /// Makes set `n` the one in force: files of their own, and the name turned to them.
    pub fn put(&self, n: u64) -> Result<()> {
        let folder = self.root.join(format!("set-{n}"));
        fs::create_dir_all(&folder)?;
        for (name, objects) in files(n) {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
            fs::write(folder.join(name), list.to_string())?;
        }
        let next = self.root.join("next");
        symlink(&folder, &next)?;
        fs::rename(&next, self.folder())?;
        if n > 3 {
            let old = self.root.join(format!("set-{}", n - 3));
            let _ = fs::remove_dir_all(old);
        }
        Ok(())
    }
}

fn files(n: u64) -> [(&'static str, Vec<Value>); 4] {
    let set = n.to_string();
    let template = |kind: &str, rego: String| {
        json!({"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate",
            "metadata": {"name": kind.to_lowercase()},
            "spec": {
                "crd": {"spec": {"names": {"kind": kind}, "validation": {"openAPIV3Schema": {
                    "type": "object", "properties": {"set": {"type": "string"}}}}}},
                "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": rego}]}})
    };
    let needs = |kind: &str, label: &str| {
        let package = kind.to_lowercase();
        template(
            kind,
            format!(
                "package {package}\nviolation[{{\"msg\": msg}}] {{\n \
                 not input.review.object.metadata.labels.{label}\n \
                 msg := sprintf(\"sets %v %v\", [\"{set}\", input.parameters.set])\n}}\n"
            ),
        )
    };
    let endless = "package endless\nviolation[{\"msg\": \"x\"}] {\n count([1 | \
         numbers.range(1, 900)[_] > 0; numbers.range(1, 900)[_] > 0; \
         numbers.range(1, 900)[_] > 0]) < 0\n}\n";
    let constraint = |kind: &str, name: &str, object: &str, action: &str| {
        json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": kind,
            "metadata": {"name": name},
            "spec": {"enforcementAction": action, "parameters": {"set": set},
                "match": {"kinds": [{"apiGroups": [""], "kinds": [object]}]}}})
    };
    let exceptions = if n.is_multiple_of(2) {
        vec![
            json!({"apiVersion": "bartizan.dev/v1", "kind": "PolicyException",
            "metadata": {"name": "free"},
            "spec": {"policies": ["needsteam"], "match": {"namespaces": [FREE]},
                "owner": "tests", "reason": "every other set has it", "expires": "2099-01-01"}}),
        ]
    } else {
        Vec::new()
    };
    let label = |name: &str| {
        json!({"apiVersion": "mutations.gatekeeper.sh/v1", "kind": "AssignMetadata",
            "metadata": {"name": name},
            "spec": {"location": format!("metadata.labels.{name}"),
                "parameters": {"assign": {"value": set}}}})
    };
    [
        (
            "templates.json",
            vec![
                needs("NeedsOwner", "owner"),
                needs("NeedsTeam", "team"),
                template("Endless", endless.to_owned()),
            ],
        ),
        (
            "constraints.json",
            vec![
                constraint("NeedsOwner", "one", "Pod", "deny"),
                constraint("NeedsTeam", "two", "Pod", "deny"),
                constraint("NeedsOwner", "soft", "Pod", "warn"),
                constraint("Endless", "slow", "Secret", "deny"),
            ],
        ),
        ("exceptions.json", exceptions),
        ("mutators.json", vec![label("first"), label("second")]),
    ]
}

/// Which set a verdict on an object without labels is by; an error where it is by none, whole.
pub fn set_of(answer: &Value, namespace: &str) -> Result<u64> {
    let message = answer["status"]["message"].as_str().unwrap_or_default();
    let warnings = answer["warnings"].as_array().into_iter().flatten();
    let lines = message.lines().chain(warnings.filter_map(Value::as_str));
    let mut seen = Vec::new();
    let mut names = Vec::new();
    for line in lines {
        let Some((name, sets)) = line.split_once(" sets ") else {
            continue;
        };
        names.push(name.to_owned());
        for set in sets.split_whitespace() {
            seen.push(set.parse::<u64>().context("a mark that is no number")?);
        }
    }
    let set = *seen.first().context("no mark of a set")?;
    if seen.iter().any(|&one| one != set) {
        bail!("marks of several sets: {seen:?}");
    }
    names.sort();
    let excepted = namespace == FREE && set.is_multiple_of(2);
    let whole: &[&str] = if excepted {
        &["[one]", "[soft]"]
    } else {
        &["[one]", "[soft]", "[two]"]
    };
    if names != whole {
        bail!("set {set} says {names:?} in {namespace}, which is not all of it");
    }
    if answer["allowed"] != false {
        bail!("set {set} let pass what it denies");
    }
    Ok(set)
}

/// Which set a mutation of an object without labels is by.
pub fn set_of_patch(answer: &Value) -> Result<u64> {
    let patch = answer["patch"].as_str().context("no patch")?;
    let patch: Value = serde_json::from_slice(&STANDARD.decode(patch)?)?;
    // Either one label at a time, or all of them as one value.
    let mut seen = Vec::new();
    for step in patch.as_array().into_iter().flatten() {
        match &step["value"] {
            Value::String(one) => seen.push(one.clone()),
            Value::Object(all) => seen.extend(
                all.values()
                    .map(|v| v.as_str().unwrap_or_default().to_owned()),
            ),
            _ => {}
        }
    }
    match seen.as_slice() {
        [first, second] if first == second => Ok(first.parse()?),
        _ => bail!("a patch by no whole set: {patch}"),
    }
}

/// An authority, and the files that a webhook is given.
pub struct Certificates {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// The authority, PEM.
    pub ca: String,
}

impl Certificates {
    /// Below `folder`, with the first certificate.
    pub fn new(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let ca = params.self_signed(&key)?.pem();
        let all = Self {
            folder: folder.to_owned(),
            issuer: Issuer::new(params, key),
            ca,
        };
        all.renew()?;
        Ok(all)
    }

    /// The file of this name.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Another certificate and key in their places.
    pub fn renew(&self) -> Result<()> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        for (name, text) in [
            ("cert.pem", certificate.pem()),
            ("key.pem", key.serialize_pem()),
        ] {
            let beside = self.file("beside");
            fs::write(&beside, text)?;
            fs::rename(&beside, self.file(name))?;
        }
        Ok(())
    }
}
