//! `ClusterImagePolicy` objects read: v1beta1 and v1alpha1, unmodified. What cannot be judged here
//! is refused with its reason; an authority that is refused can never let an image pass.

use crate::glob::Glob;
use crate::policy::Mode;
use crate::reference::Reference;
use crate::statement::predicate_type;
use crate::trust::{Identity, PublicKey, Trust};
use crate::verify::{Demand, Log, Signer};
use bartizan_model::Digest;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One policy.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub name: String,
    pub mode: Mode,
    pub globs: Vec<Glob>,
    pub matches: Vec<MatchResource>,
    pub authorities: Vec<Authority>,
    /// What is asked once an authority is satisfied.
    pub policy: Option<Result<Overall, String>>,
    pub digest: Digest,
}

/// Which objects a policy looks at.
#[derive(Debug, Clone)]
pub(crate) struct MatchResource {
    pub group: String,
    pub version: String,
    pub resource: String,
    pub selector: Option<Value>,
}

/// Who may have signed.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    pub name: String,
    pub kind: Kind,
    /// Another repository that holds the signatures.
    pub source: Option<Reference>,
    pub prefix: String,
    pub attestations: Vec<Attestation>,
    /// Whether only Sigstore bundles count.
    pub bundles: bool,
}

/// How.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Static {
        pass: bool,
        message: String,
    },
    Signed {
        demands: Vec<Demand>,
        trust: Option<Arc<Trust>>,
    },
    /// It cannot be judged here, and why.
    Refused(String),
}

/// What must be attested.
#[derive(Debug, Clone)]
pub(crate) struct Attestation {
    pub name: String,
    pub predicate_type: String,
    /// Rego that the statement must comply with.
    pub policy: Option<Result<String, String>>,
}

/// Rego over what the authorities said.
#[derive(Debug, Clone)]
pub(crate) struct Overall {
    pub rego: String,
    pub spec: bool,
    pub metadata: bool,
    pub type_meta: bool,
}

/// What a policy's reader knows of the world.
pub(crate) struct Known<'k> {
    /// The default trusted root.
    pub root: Option<Arc<Trust>>,
    /// TrustRoot objects by name.
    pub roots: &'k BTreeMap<String, Result<Arc<Trust>, String>>,
}

const MOST_AUTHORITIES: usize = 100;

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or("")
}

fn list<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    let all = value.get(field).and_then(Value::as_array);
    all.map(Vec::as_slice).unwrap_or_default()
}

fn given<'v>(value: &'v Value, field: &str) -> Option<&'v Value> {
    value.get(field).filter(|v| !v.is_null())
}

impl Rule {
    /// The error means that the object is no policy; nothing of it can be judged.
    pub(crate) fn read(object: &Value, known: &Known<'_>) -> Result<Self, String> {
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        let name = name
            .filter(|n| !n.is_empty())
            .ok_or("metadata.name is missing")?;
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let mut globs = Vec::new();
        for (at, image) in list(spec, "images").iter().enumerate() {
            let glob = Glob::new(text(image, "glob"));
            globs.push(glob.map_err(|why| format!("spec.images[{at}]: {why}"))?);
        }
        if globs.is_empty() {
            return Err("spec.images is missing".into());
        }
        let mode = match text(spec, "mode") {
            "" | "enforce" => Mode::Enforce,
            "warn" => Mode::Warn,
            other => return Err(format!("spec.mode: there is no mode {other:.50?}")),
        };
        let matches = list(spec, "match").iter().map(|m| MatchResource {
            group: text(m, "group").to_owned(),
            version: text(m, "version").to_owned(),
            resource: text(m, "resource").to_owned(),
            selector: given(m, "selector").cloned(),
        });
        let given_authorities = list(spec, "authorities");
        if given_authorities.len() > MOST_AUTHORITIES {
            return Err(format!(
                "there are more than {MOST_AUTHORITIES} authorities"
            ));
        }
        let mut authorities = Vec::new();
        for (at, one) in given_authorities.iter().enumerate() {
            let read = Authority::read(one, at, known);
            authorities.push(read.map_err(|why| format!("spec.authorities[{at}]: {why}"))?);
        }
        if authorities.is_empty() {
            // As policy-controller's defaults have it: Fulcio's and Rekor's own instance.
            return Err("spec.authorities is missing: nothing says who must sign".into());
        }
        let policy = given(spec, "policy").map(|policy| {
            if policy.get("fetchConfigFile").and_then(Value::as_bool) == Some(true) {
                return Err("fetchConfigFile is not supported".to_owned());
            }
            let asks = |field| policy.get(field).and_then(Value::as_bool) == Some(true);
            Ok(Overall {
                rego: rego(policy)?,
                spec: asks("includeSpec"),
                metadata: asks("includeObjectMeta"),
                type_meta: asks("includeTypeMeta"),
            })
        });
        Ok(Self {
            name: name.to_owned(),
            mode,
            globs,
            matches: matches.collect(),
            authorities,
            policy,
            digest: Digest::of(object.to_string().as_bytes()),
        })
    }

    /// What can never let an image pass, and why; for whoever loads it.
    pub(crate) fn refusals(&self) -> Vec<String> {
        let mut all = Vec::new();
        for authority in &self.authorities {
            if let Kind::Refused(why) = &authority.kind {
                all.push(format!("authority {}: {why}", authority.name));
            }
            for attestation in &authority.attestations {
                if let Some(Err(why)) = &attestation.policy {
                    let (a, b) = (&authority.name, &attestation.name);
                    all.push(format!("authority {a}, attestation {b}: {why}"));
                }
            }
        }
        if let Some(Err(why)) = &self.policy {
            all.push(format!("spec.policy: {why}"));
        }
        all
    }
}

fn rego(policy: &Value) -> Result<String, String> {
    match text(policy, "type") {
        "rego" => {}
        "cue" => return Err("CUE is not evaluated here; the same can be said in Rego".into()),
        other => return Err(format!("there is no policy type {other:.50?}")),
    }
    match text(policy, "data") {
        "" => Err(
            "only a policy in data is read: configMapRef and remote would have to be fetched"
                .into(),
        ),
        data => Ok(data.to_owned()),
    }
}

impl Authority {
    fn read(value: &Value, at: usize, known: &Known<'_>) -> Result<Self, String> {
        let kinds = ["key", "keyless", "static"].map(|field| given(value, field));
        if kinds.iter().flatten().count() != 1 {
            return Err("exactly one of key, keyless and static must be given".into());
        }
        let name = match text(value, "name") {
            "" => format!("authority-{at}"),
            name => name.to_owned(),
        };
        let mut attestations = Vec::new();
        for attestation in list(value, "attestations") {
            let kind = text(attestation, "predicateType");
            if text(attestation, "name").is_empty() || kind.is_empty() {
                return Err("an attestation needs name and predicateType".into());
            }
            attestations.push(Attestation {
                name: text(attestation, "name").to_owned(),
                predicate_type: predicate_type(kind).to_owned(),
                policy: given(attestation, "policy").map(rego),
            });
        }
        let sources = list(value, "source");
        if sources.len() > 1 {
            return Err("only a single source is supported".into());
        }
        let source = sources.first();
        let place = source.map(|s| text(s, "oci")).filter(|oci| !oci.is_empty());
        let bundles = match text(value, "signatureFormat") {
            "" | "legacy" => false,
            "bundle" => true,
            other => return Err(format!("there is no signatureFormat {other:.50?}")),
        };
        let kind = match kinds {
            [Some(key), _, _] => key_of(key, value, known)?,
            [_, Some(keyless), _] => keyless_of(keyless, value, known)?,
            [_, _, fixed] => {
                let fixed = fixed.unwrap_or(&Value::Null);
                let pass = match text(fixed, "action") {
                    "pass" => true,
                    "fail" => false,
                    other => return Err(format!("static: there is no action {other:.50?}")),
                };
                Kind::Static {
                    pass,
                    message: text(fixed, "message").to_owned(),
                }
            }
        };
        Ok(Self {
            name,
            kind,
            source: match place {
                None => None,
                Some(oci) => Some(Reference::parse(oci).map_err(|e| format!("source: {e}"))?),
            },
            prefix: source
                .map(|s| text(s, "tagPrefix"))
                .unwrap_or_default()
                .to_owned(),
            attestations,
            bundles,
        })
    }
}

/// The trusted root that the parts of an authority name; none where they name none and there is
/// no default.
fn trust_of(refs: &[&Value], known: &Known<'_>) -> Result<Option<Arc<Trust>>, String> {
    let named = refs.iter().map(|r| text(r, "trustRootRef"));
    let mut names: Vec<_> = named.filter(|name| !name.is_empty()).collect();
    names.dedup();
    match names.as_slice() {
        [] => Ok(known.root.clone()),
        [name] => match known.roots.get(*name) {
            Some(Ok(trust)) => Ok(Some(Arc::clone(trust))),
            Some(Err(why)) => Err(format!("TrustRoot {name}: {why}")),
            None => Err(format!("there is no TrustRoot {name}")),
        },
        _ => Err("its parts name different TrustRoots, which is not supported".into()),
    }
}

fn key_of(key: &Value, authority: &Value, known: &Known<'_>) -> Result<Kind, String> {
    let data = text(key, "data");
    if data.is_empty() {
        return Ok(Kind::Refused(
            match (given(key, "kms"), given(key, "secretRef")) {
                (Some(_), _) => "a key in a KMS is not fetched: give its public key as data".into(),
                (_, Some(_)) => "a key in a Secret is not read: give it as data".into(),
                _ => return Err("key: one of data, kms and secretRef must be given".into()),
            },
        ));
    }
    let stamp = given(authority, "rfc3161timestamp");
    let log = given(authority, "ctlog");
    let refs: Vec<_> = [log, stamp].into_iter().flatten().collect();
    let demand = |key| Demand {
        signer: Signer::Key(key),
        log: match (log, stamp) {
            (_, Some(_)) => Log::Stamped,
            (Some(_), None) => Log::Required,
            (None, None) => Log::Ignored,
        },
        sct: true,
    };
    const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
    let mut demands = Vec::new();
    for part in data.split(BEGIN).skip(1).take(20) {
        let made = PublicKey::from_pem(&format!("{BEGIN}{part}"));
        let made = made.and_then(|made| match text(key, "hashAlgorithm") {
            "" => Ok(made),
            name => made.hashed_by(name),
        });
        demands.push(demand(made.map_err(|e| format!("key.data: {e}"))?));
    }
    if demands.is_empty() {
        return Err("key.data holds no public key".into());
    }
    Ok(match trust_of(&refs, known) {
        Ok(None) if !refs.is_empty() => Kind::Refused(NO_ROOT.into()),
        Ok(trust) => Kind::Signed { demands, trust },
        Err(why) => Kind::Refused(why),
    })
}

const NO_ROOT: &str = "there is no trusted root: give one or name a TrustRoot";

fn keyless_of(keyless: &Value, authority: &Value, known: &Known<'_>) -> Result<Kind, String> {
    if given(keyless, "ca-cert").is_some() {
        return Ok(Kind::Refused(
            "ca-cert is not supported: name a TrustRoot".into(),
        ));
    }
    let mut identities = Vec::new();
    for (at, one) in list(keyless, "identities").iter().enumerate() {
        let identity = Identity::new(
            text(one, "issuer"),
            text(one, "issuerRegExp"),
            text(one, "subject"),
            text(one, "subjectRegExp"),
        );
        identities.push(identity.map_err(|e| format!("keyless.identities[{at}]: {e}"))?);
    }
    if identities.is_empty() {
        return Err("keyless.identities is missing: anyone could have signed".into());
    }
    let stamp = given(authority, "rfc3161timestamp");
    let refs: Vec<_> = [Some(keyless), given(authority, "ctlog"), stamp]
        .into_iter()
        .flatten()
        .collect();
    let ignore = keyless.get("insecureIgnoreSCT").and_then(Value::as_bool);
    let demand = Demand {
        signer: Signer::Keyless(identities),
        log: match stamp {
            Some(_) => Log::Stamped,
            None => Log::Required,
        },
        sct: ignore != Some(true),
    };
    Ok(match trust_of(&refs, known) {
        Ok(None) => Kind::Refused(NO_ROOT.into()),
        Ok(trust) => Kind::Signed {
            demands: vec![demand],
            trust,
        },
        Err(why) => Kind::Refused(why),
    })
}
