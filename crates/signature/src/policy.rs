//! Images judged by `ClusterImagePolicy` objects.
//!
//! As in policy-controller: every policy whose pattern fits the image must be satisfied, and a
//! policy is satisfied by any of its authorities. An authority that cannot be judged is Unknown;
//! it neither satisfies nor hides that another does.

use crate::gather::{Absent, Found, Material, gather};
use crate::reference::Reference;
use crate::rules::{Attestation, Authority, Kind, Known, MatchResource, Overall, Rule};
use crate::trust::Trust;
use crate::verify::{Demand, Reason, Signed, verify};
use bartizan_model::{Digest, Outcome};
use base64::Engine as _;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a failing policy leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The object is refused.
    Enforce,
    /// The object passes with a warning.
    Warn,
}

/// Evaluates Rego; another stage has the engine.
pub trait Rego {
    /// Whether the input complies with a module of package `sigstore`: none where it does, else
    /// why not. The error means that it could not be told.
    fn complies(&self, module: &str, input: &Value) -> Result<Option<String>, String>;
}

/// No engine: whatever Rego asks cannot be told.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRego;

impl Rego for NoRego {
    fn complies(&self, _: &str, _: &Value) -> Result<Option<String>, String> {
        Err("there is no engine for Rego here".into())
    }
}

/// What the reader of policies should hear; `at` is the object's place as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Which of the given objects.
    pub at: usize,
    /// What to say.
    pub text: String,
}

/// What is judged: an image of an object.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'s> {
    /// The image as it is written.
    pub image: &'s str,
    /// The API group of the object.
    pub group: &'s str,
    /// Its version.
    pub version: &'s str,
    /// Its resource, in the plural; empty where no object is known: then `match` is not asked.
    pub resource: &'s str,
    /// The object.
    pub object: &'s Value,
}

/// What a policy says of an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The policy's name.
    pub policy: String,
    /// What its failing leads to.
    pub mode: Mode,
    /// Pass, Fail or Unknown.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Why not, one reason an authority.
    pub reasons: Vec<String>,
    /// The signatures that satisfied it.
    pub signed: Vec<Signed>,
}

/// What all policies say of an image.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Judged {
    /// The digest that was judged; none where it could not be told.
    pub digest: Option<Digest>,
    /// One a policy that fits; none where no policy looks at the image.
    pub verdicts: Vec<Verdict>,
}

/// Policies, ready to judge.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    rules: Vec<Rule>,
}

const GROUP: &str = "policy.sigstore.dev";

impl Policies {
    /// Whether an object is read here.
    pub fn wants(group: &str, kind: &str) -> bool {
        group == GROUP && matches!(kind, "ClusterImagePolicy" | "TrustRoot")
    }

    /// Of objects, all that [`Policies::wants`] among them. The error names an object that is no
    /// policy, by its place: nothing is judged then, since what is missing would look like a pass.
    pub fn read(
        objects: &[&Value],
        root: Option<Arc<Trust>>,
    ) -> Result<(Self, Vec<Notice>), Notice> {
        let text = |value: &Value, field: &str| {
            let text = value.get(field).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let is = |value: &Value, kind: &str| {
            text(value, "kind") == kind
                && text(value, "apiVersion").starts_with("policy.sigstore.dev/")
        };
        let mut roots = BTreeMap::new();
        let mut notices = Vec::new();
        for (at, object) in objects
            .iter()
            .enumerate()
            .filter(|(_, o)| is(o, "TrustRoot"))
        {
            let name = object.pointer("/metadata/name").and_then(Value::as_str);
            let name = name.unwrap_or_default();
            let made = Trust::of_object(object.get("spec").unwrap_or(&Value::Null));
            if let Err(why) = &made {
                notices.push(Notice {
                    at,
                    text: format!("TrustRoot {name}: {why}"),
                });
            }
            let made = made.map(Arc::new).map_err(|e| e.to_string());
            roots.insert(name.to_owned(), made);
        }
        let known = Known {
            root,
            roots: &roots,
        };
        let mut rules: Vec<Rule> = Vec::new();
        for (at, object) in objects.iter().enumerate() {
            if !is(object, "ClusterImagePolicy") {
                continue;
            }
            let fault = |why: String| Notice { at, text: why };
            if !matches!(
                text(object, "apiVersion").as_str(),
                "policy.sigstore.dev/v1beta1" | "policy.sigstore.dev/v1alpha1"
            ) {
                return Err(fault(
                    "there is no such version of ClusterImagePolicy".into(),
                ));
            }
            let rule = Rule::read(object, &known).map_err(fault)?;
            if rules.iter().any(|other| other.name == rule.name) {
                return Err(fault(format!("a second ClusterImagePolicy {}", rule.name)));
            }
            let name = &rule.name;
            notices.extend(rule.refusals().into_iter().map(|why| Notice {
                at,
                text: format!("ClusterImagePolicy {name}: {why}: it lets nothing pass"),
            }));
            rules.push(rule);
        }
        Ok((Self { rules }, notices))
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Which policies look at the image, as one digest: the same one means the same policies.
    /// None where the verdict depends on more of the object than its image.
    pub fn fingerprint(&self, subject: &Subject<'_>) -> Option<Digest> {
        let reference = Reference::parse(subject.image).ok();
        let mut all = String::new();
        for rule in self
            .rules
            .iter()
            .filter(|r| fits(r, subject, reference.as_ref()))
        {
            match &rule.policy {
                Some(Ok(o)) if o.spec || o.metadata || o.type_meta => return None,
                _ => all.push_str(rule.digest.as_str()),
            }
        }
        Some(Digest::of(all.as_bytes()))
    }

    /// Whether any policy looks at the image.
    pub fn look_at(&self, subject: &Subject<'_>) -> bool {
        let reference = Reference::parse(subject.image).ok();
        self.rules
            .iter()
            .any(|r| fits(r, subject, reference.as_ref()))
    }

    /// Judges an image.
    pub fn judge(&self, subject: &Subject<'_>, material: &dyn Material, rego: &dyn Rego) -> Judged {
        let parsed = Reference::parse(subject.image);
        let fitting = |r: &&Rule| fits(r, subject, parsed.as_ref().ok());
        let rules: Vec<_> = self.rules.iter().filter(fitting).collect();
        if rules.is_empty() {
            return Judged::default();
        }
        let reference = match parsed {
            Ok(reference) => reference,
            Err(error) => {
                let failed = rules.iter().map(|rule| Verdict {
                    policy: rule.name.clone(),
                    mode: rule.mode,
                    outcome: Outcome::Fail,
                    reasons: vec![error.to_string()],
                    signed: Vec::new(),
                });
                return Judged {
                    digest: None,
                    verdicts: failed.collect(),
                };
            }
        };
        let mut asking = Asking {
            subject,
            digest: match &reference.digest {
                Some(digest) => Ok(digest.clone()),
                None => material.resolve(&reference),
            },
            reference,
            material,
            rego,
            found: BTreeMap::new(),
        };
        let verdicts = rules.iter().map(|rule| asking.rule(rule)).collect();
        Judged {
            digest: asking.digest.ok(),
            verdicts,
        }
    }
}

/// Whether a policy looks at the image. A name that cannot be read fits every pattern: what
/// cannot be told must not get past a policy.
fn fits(rule: &Rule, subject: &Subject<'_>, reference: Option<&Reference>) -> bool {
    let object = rule.matches.is_empty()
        || subject.resource.is_empty()
        || rule.matches.iter().any(|m| resource_fits(m, subject));
    let image = |reference| rule.globs.iter().any(|g| g.fits(reference, subject.image));
    object && reference.is_none_or(image)
}

fn resource_fits(wanted: &MatchResource, subject: &Subject<'_>) -> bool {
    if wanted.resource != subject.resource
        || wanted.group != subject.group
        || !(wanted.version == "*" || wanted.version == subject.version)
    {
        return false;
    }
    let none = Value::Null;
    let labels = subject.object.pointer("/metadata/labels").unwrap_or(&none);
    wanted.selector.as_ref().is_none_or(|s| selects(s, labels))
}

/// A label selector; one that cannot be read selects everything.
fn selects(selector: &Value, labels: &Value) -> bool {
    let label = |name: &str| labels.get(name).and_then(Value::as_str);
    let exact = selector.get("matchLabels").and_then(Value::as_object);
    let exact = exact.into_iter().flatten();
    let mut exact = exact.map(|(name, value)| label(name) == value.as_str());
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    exact.all(|fits| fits)
        && expressions.into_iter().flatten().all(|e| {
            let text = |field: &str| e.get(field).and_then(Value::as_str).unwrap_or("");
            let values = e.get("values").and_then(Value::as_array);
            let mut values = values.into_iter().flatten().filter_map(Value::as_str);
            let own = label(text("key"));
            match text("operator") {
                "In" => own.is_some_and(|own| values.any(|v| v == own)),
                "NotIn" => own.is_none_or(|own| values.all(|v| v != own)),
                "Exists" => own.is_some(),
                "DoesNotExist" => own.is_none(),
                _ => true,
            }
        })
}

/// One image while it is judged.
struct Asking<'a> {
    subject: &'a Subject<'a>,
    reference: Reference,
    digest: Result<Digest, Absent>,
    material: &'a dyn Material,
    rego: &'a dyn Rego,
    /// What was found, by repository and prefix: fetched once.
    found: BTreeMap<(String, String), Result<Found, String>>,
}

/// Why an authority is not satisfied.
enum Not {
    Satisfied(String),
    Told(String),
}

/// What satisfied an authority: signatures, or attestations by their name.
struct Match {
    signed: Vec<Signed>,
    json: Value,
}

impl Asking<'_> {
    fn rule(&mut self, rule: &Rule) -> Verdict {
        let mut reasons = Vec::new();
        let mut unknown = false;
        let mut matches = Map::new();
        let mut signed: Vec<Signed> = Vec::new();
        for authority in &rule.authorities {
            match self.authority(authority) {
                Ok(found) => {
                    matches.insert(authority.name.clone(), found.json);
                    signed.extend(found.signed);
                }
                Err(not) => {
                    let (why, open) = match not {
                        Not::Satisfied(why) => (why, false),
                        Not::Told(why) => (why, true),
                    };
                    unknown |= open;
                    reasons.push(format!("{}: {why}", authority.name));
                }
            }
        }
        let mut passes = !matches.is_empty();
        if passes && let Some(policy) = &rule.policy {
            let told = match policy {
                Ok(overall) => self
                    .rego
                    .complies(&overall.rego, &self.input(overall, matches)),
                Err(why) => Err(why.clone()),
            };
            match told {
                Ok(None) => {}
                Ok(Some(why)) => {
                    // Another authority would have to be told to know whether it complies.
                    passes = false;
                    reasons.push(format!("spec.policy: {why}"));
                }
                Err(why) => {
                    passes = false;
                    unknown = true;
                    reasons.push(format!("spec.policy: {why}"));
                }
            }
        }
        let outcome = match (passes, unknown) {
            (true, _) => Outcome::Pass,
            (false, false) => Outcome::Fail,
            (false, true) => Outcome::Unknown {
                why: reasons.join("; "),
            },
        };
        if passes {
            reasons.clear();
        } else {
            signed.clear();
        }
        Verdict {
            policy: rule.name.clone(),
            mode: rule.mode,
            outcome,
            reasons,
            signed,
        }
    }

    fn authority(&mut self, authority: &Authority) -> Result<Match, Not> {
        let (demands, trust) = match &authority.kind {
            Kind::Static { pass: true, .. } => {
                return Ok(Match {
                    signed: Vec::new(),
                    json: json!({"static": true}),
                });
            }
            Kind::Static { message, .. } => {
                return Err(Not::Satisfied(format!(
                    "disallowed by static policy: {message}"
                )));
            }
            Kind::Refused(why) => return Err(Not::Told(why.clone())),
            Kind::Signed { demands, trust } => (demands, trust.as_deref()),
        };
        let digest = self.digest.clone();
        let digest =
            digest.map_err(|e| Not::Told(format!("the image's digest is not known: {e}")))?;
        let found = self.found(authority, &digest).map_err(Not::Told)?;
        let (signed, refused) = sift(&found, authority.bundles, &digest, demands, trust);
        let nothing = |wanted: &str| match (refused.is_empty(), signed.is_empty()) {
            (true, true) => format!("there is no {wanted}"),
            (true, false) => format!("there is no {wanted} among {} that hold", signed.len()),
            (false, _) => format!("there is no {wanted} that holds: {}", words(&refused)),
        };
        let untold = refused.iter().any(|(untold, _)| *untold);
        let not = |why: String| match untold {
            true => Not::Told(why),
            false => Not::Satisfied(why),
        };
        if authority.attestations.is_empty() {
            let mere: Vec<_> = signed
                .iter()
                .filter(|s| s.predicate_type.is_none())
                .cloned()
                .collect();
            return match mere.is_empty() {
                true => Err(not(nothing("signature"))),
                false => Ok(Match {
                    json: json!({"signatures": mere.iter().map(signature_json).collect::<Vec<_>>()}),
                    signed: mere,
                }),
            };
        }
        let mut all = Map::new();
        let mut satisfied = Vec::new();
        for wanted in &authority.attestations {
            let kind = Some(&wanted.predicate_type);
            let these: Vec<_> = signed
                .iter()
                .filter(|s| s.predicate_type.as_ref() == kind)
                .collect();
            if these.is_empty() {
                let wanted = format!("attestation of type {}", wanted.predicate_type);
                return Err(not(nothing(&wanted)));
            }
            let good = self.complying(wanted, &these)?;
            let json = good.iter().map(|s| attestation_json(s)).collect::<Vec<_>>();
            all.insert(wanted.name.clone(), json.into());
            satisfied.extend(good.into_iter().cloned());
        }
        Ok(Match {
            signed: satisfied,
            json: json!({"attestations": all}),
        })
    }

    /// The attestations that comply with the policy; at least one.
    fn complying<'s>(
        &self,
        wanted: &Attestation,
        these: &[&'s Signed],
    ) -> Result<Vec<&'s Signed>, Not> {
        let rego = match &wanted.policy {
            None => return Ok(these.to_vec()),
            Some(Ok(rego)) => rego,
            Some(Err(why)) => return Err(Not::Told(format!("attestation {}: {why}", wanted.name))),
        };
        let mut good = Vec::new();
        let mut bad = None;
        for one in these {
            match self.rego.complies(rego, &one.statement) {
                Ok(None) => good.push(*one),
                Ok(Some(why)) => bad = bad.or(Some(Not::Satisfied(why))),
                Err(why) => bad = Some(Not::Told(why)),
            }
        }
        match (good.is_empty(), bad) {
            (false, _) => Ok(good),
            (true, Some(Not::Told(why))) => {
                Err(Not::Told(format!("attestation {}: {why}", wanted.name)))
            }
            (true, Some(Not::Satisfied(why))) => Err(Not::Satisfied(format!(
                "attestation {}: {why}",
                wanted.name
            ))),
            (true, None) => Err(Not::Satisfied("there is no attestation".into())),
        }
    }

    fn found(&mut self, authority: &Authority, digest: &Digest) -> Result<Found, String> {
        let place = authority.source.as_ref().unwrap_or(&self.reference);
        let key = (place.place(), authority.prefix.clone());
        if let Some(known) = self.found.get(&key) {
            return known.clone();
        }
        let found = gather(self.material, place, digest, &authority.prefix);
        self.found.insert(key, found.clone());
        found
    }

    /// What `spec.policy` sees.
    fn input(&self, overall: &Overall, matches: Map<String, Value>) -> Value {
        let object = self.subject.object;
        let part = |name: &str| object.get(name).cloned().unwrap_or(Value::Null);
        let mut input = json!({"authorityMatches": matches});
        if let Some(map) = input.as_object_mut() {
            if overall.spec {
                map.insert("spec".into(), part("spec"));
            }
            if overall.metadata {
                map.insert("metadata".into(), part("metadata"));
            }
            if overall.type_meta {
                let kinds = json!({"kind": part("kind"), "apiVersion": part("apiVersion")});
                map.insert("typemeta".into(), kinds);
            }
        }
        input
    }
}

/// Refusals, each with whether it is our own fault that it could not be told.
type Refusals = Vec<(bool, String)>;

/// The signatures that hold by any of the demands, each once, and why the others do not.
fn sift(
    found: &Found,
    bundles: bool,
    digest: &Digest,
    demands: &[Demand],
    trust: Option<&Trust>,
) -> (Vec<Signed>, Refusals) {
    let mut signed: Vec<Signed> = Vec::new();
    let mut refused: Refusals = found
        .unusable
        .iter()
        .map(|why| (false, why.clone()))
        .collect();
    for piece in found.pieces.iter().filter(|p| !bundles || p.is_bundle()) {
        let mut why = None;
        for demand in demands {
            match verify(piece, digest, demand, trust) {
                Ok(one) => {
                    why = None;
                    if !signed.iter().any(|other| other.id == one.id) {
                        signed.push(one);
                    }
                    break;
                }
                Err(no) => why = Some((no.reason == Reason::NoTrust, no.to_string())),
            }
        }
        refused.extend(why);
    }
    (signed, refused)
}

fn words(refused: &[(bool, String)]) -> String {
    const MOST: usize = 5;
    let mut all: Vec<&str> = refused
        .iter()
        .take(MOST)
        .map(|(_, why)| why.as_str())
        .collect();
    let more = format!("and {} more", refused.len().saturating_sub(MOST));
    if refused.len() > MOST {
        all.push(&more);
    }
    all.join(", ")
}

fn signature_json(signed: &Signed) -> Value {
    match &signed.who {
        crate::verify::Who::Key { .. } => json!({"id": signed.id}),
        crate::verify::Who::Identity { issuer, subject } => {
            json!({"id": signed.id, "issuer": issuer, "subject": subject})
        }
    }
}

fn attestation_json(signed: &Signed) -> Value {
    let mut value = signature_json(signed);
    if let Some(map) = value.as_object_mut() {
        let payload = signed.statement.to_string();
        let payload = base64::engine::general_purpose::STANDARD.encode(payload);
        map.insert("predicateType".into(), json!(signed.predicate_type));
        map.insert("payload".into(), payload.into());
    }
    value
}
