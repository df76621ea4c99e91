//! Admission policies: what is in force, and a place to try them.

use super::view::{SeverityWord, TallyView, bad_field};
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::Json;
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use bartizan_model::{Severity, TenantId, Timestamp};
use bartizan_policy::outline::{ConstraintOutline, ExceptionOutline, PolicyOutline};
use bartizan_policy::playground::{Tried, play};
use bartizan_policy::{AdmitOptions, Budget, Library, LibraryBuilder, Operation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// What one trial may take.
const TRIAL: Duration = Duration::from_secs(5);
/// Bytes of policies or manifests of a trial.
const MAX_TEXT: usize = 512 << 10;

/// The routes of this module.
pub fn routes() -> Vec<Route> {
    vec![
        route!(Viewer, list_policies),
        // It runs what it is given, bounded: not for those who may only look.
        route!(Operator, try_policies),
    ]
}

/// What a constraint does at one enforcement point.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EnforcementPoint {
    /// Such as `validation.gatekeeper.sh`.
    name: &'static str,
    /// `deny`, `warn` or `dryrun`, the worst last.
    actions: Vec<&'static str>,
}

/// A constraint.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConstraintView {
    name: String,
    points: Vec<EnforcementPoint>,
    /// The file and line where it stands.
    at: String,
}

impl From<ConstraintOutline> for ConstraintView {
    fn from(constraint: ConstraintOutline) -> Self {
        let points = constraint.points.into_iter();
        Self {
            name: constraint.name,
            points: points
                .map(|(point, actions)| EnforcementPoint {
                    name: point.name(),
                    actions: actions.into_iter().map(|action| action.word()).collect(),
                })
                .collect(),
            at: constraint.at,
        }
    }
}

/// A template with its constraints.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyView {
    /// Its check.
    uid: String,
    /// The kind of its constraints.
    kind: String,
    title: String,
    description: String,
    remediation: String,
    #[schema(value_type = SeverityWord)]
    severity: Severity,
    /// Why it cannot be run; its constraints answer Unknown.
    refused: Option<String>,
    /// Whether it looks at other objects of the cluster.
    inventory: bool,
    /// The file and line where it stands.
    at: String,
    constraints: Vec<ConstraintView>,
    /// What is known of its check, over everything that was scanned; null before anything was.
    tally: Option<TallyView>,
}

/// An exception.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExceptionView {
    name: String,
    owner: String,
    reason: String,
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// Why it has let nothing pass; null when it has.
    unused: Option<String>,
}

impl From<ExceptionOutline> for ExceptionView {
    fn from(one: ExceptionOutline) -> Self {
        Self {
            name: one.name,
            owner: one.owner,
            reason: one.reason,
            expires: one.expires,
            unused: one.unused,
        }
    }
}

/// Something that was ignored or doubted when the policies were read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyNotice {
    at: String,
    text: String,
}

/// The policies by which the webhook judges.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicySet {
    /// Whether this process serves the webhook; else nothing is listed.
    serving: bool,
    /// Whether a cluster is audited by them; `GET /cluster` then tells how that stands.
    audited: bool,
    /// The digest of everything that was read; decisions name it.
    digest: Option<String>,
    items: Vec<PolicyView>,
    exceptions: Vec<ExceptionView>,
    notices: Vec<PolicyNotice>,
}

/// List the policies by which the webhook judges.
#[utoipa::path(get, path = "/policies", tag = "admission", operation_id = "listPolicies",
    responses((status = 200, body = PolicySet)))]
pub(crate) async fn list_policies(
    State(state): State<AppState>,
    caller: Caller,
) -> ApiResult<Json<PolicySet>> {
    let Some(library) = in_force(&state, &caller) else {
        return Ok(Json(PolicySet {
            serving: false,
            audited: false,
            digest: None,
            items: Vec::new(),
            exceptions: Vec::new(),
            notices: Vec::new(),
        }));
    };
    let tenant = state.store.tenant(&caller.tenant).await?;
    let known = tenant.checks(None).await?;
    let tallies: BTreeMap<_, _> = known.into_iter().map(|(c, tally)| (c.uid, tally)).collect();
    let items = library.outline().into_iter().map(|policy| {
        let tally = tallies.get(&policy.check.uid).map(TallyView::from);
        view(policy, tally)
    });
    let exceptions = library.exception_outline(state.now()).into_iter();
    Ok(Json(PolicySet {
        serving: true,
        audited: state.work.audit.get().is_some(),
        digest: Some(library.digest().to_string()),
        items: items.collect(),
        exceptions: exceptions.map(ExceptionView::from).collect(),
        notices: library
            .notices()
            .iter()
            .map(|notice| PolicyNotice {
                at: format!("{}:{}", notice.file, notice.line),
                text: notice.text.clone(),
            })
            .collect(),
    }))
}

fn view(policy: PolicyOutline, tally: Option<TallyView>) -> PolicyView {
    let check = policy.check;
    let constraints = policy.constraints.into_iter();
    PolicyView {
        uid: check.uid.into(),
        kind: policy.kind,
        title: check.title,
        description: check.description,
        remediation: check.remediation,
        severity: check.severity,
        refused: policy.refused,
        inventory: policy.inventory,
        at: policy.at,
        constraints: constraints.map(ConstraintView::from).collect(),
        tally,
    }
}

/// The webhook is the default tenant's.
fn in_force(state: &AppState, caller: &Caller) -> Option<Library> {
    if caller.tenant != TenantId::default_tenant() {
        return None;
    }
    state.work.in_force.get().map(|loaded| loaded.library)
}

/// What is tried.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Trial {
    /// Templates, constraints and exceptions as YAML; empty means those in force.
    #[serde(default)]
    policies: String,
    /// Objects as YAML; Namespaces among them are the cluster's.
    manifests: String,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`; CREATE by default.
    operation: Option<String>,
}

/// What was said of one object.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TriedView {
    kind: String,
    namespace: String,
    name: String,
    /// The line of the manifests where it begins.
    line: u32,
    /// `allowed`, `denied`, `unknown` or `excluded`.
    outcome: &'static str,
    /// Whether the API server would be told to go on, failing open.
    allowed: bool,
    /// How many constraints were evaluated.
    evaluated: u64,
    /// What the caller of the API server would read.
    message: String,
    warnings: Vec<String>,
    /// Violations and what could not be told, as decisions have them.
    #[schema(value_type = Vec<Object>)]
    reasons: Vec<Value>,
}

impl From<Tried> for TriedView {
    fn from(tried: Tried) -> Self {
        let verdict = tried.verdict;
        let answer = verdict.response();
        let told = verdict.explains.iter().map(|e| json!(e));
        Self {
            kind: tried.kind,
            namespace: tried.namespace,
            name: tried.name,
            line: tried.line,
            outcome: verdict.outcome.word(),
            allowed: verdict.allowed,
            evaluated: verdict.evaluated as u64,
            message: answer.message,
            warnings: answer.warnings,
            reasons: told
                .chain(verdict.untold.iter().map(|u| json!(u)))
                .take(200)
                .collect(),
        }
    }
}

/// The verdicts of a trial.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialResult {
    items: Vec<TriedView>,
    /// From the policies' text: what was ignored or cannot be run.
    notices: Vec<PolicyNotice>,
    micros: u64,
}

/// Try policies on manifests as if the API server had asked. Nothing is stored.
#[utoipa::path(post, path = "/policies/try", tag = "admission", operation_id = "tryPolicies",
    request_body = Trial, responses((status = 200, body = TrialResult)))]
pub(crate) async fn try_policies(
    State(state): State<AppState>,
    caller: Caller,
    Json(trial): Json<Trial>,
) -> ApiResult<Json<TrialResult>> {
    for (field, text) in [
        ("policies", &trial.policies),
        ("manifests", &trial.manifests),
    ] {
        if text.len() > MAX_TEXT {
            return Err(bad_field(
                field,
                format_args!("it is larger than {MAX_TEXT} bytes."),
            ));
        }
    }
    let operation = match trial.operation.as_deref() {
        None | Some("" | "CREATE") => Operation::Create,
        Some("UPDATE") => Operation::Update,
        Some("DELETE") => Operation::Delete,
        Some("CONNECT") => Operation::Connect,
        Some(_) => {
            let why = "one of CREATE, UPDATE, DELETE, CONNECT.";
            return Err(bad_field("operation", why));
        }
    };
    let held = in_force(&state, &caller);
    if trial.policies.trim().is_empty() && held.is_none() {
        return Err(bad_field(
            "policies",
            "this server judges by none: write a ConstraintTemplate and a constraint.",
        ));
    }
    let now = state.now();
    let judged = tokio::task::spawn_blocking(move || judge(&trial, held, operation, now));
    judged.await.map_err(Problem::internal)?.map(Json)
}

fn judge(
    trial: &Trial,
    held: Option<Library>,
    operation: Operation,
    now: Timestamp,
) -> ApiResult<TrialResult> {
    let begun = Instant::now();
    let own = !trial.policies.trim().is_empty();
    let library = match held {
        Some(held) if !own => held,
        _ => {
            let mut builder = LibraryBuilder::new();
            builder
                .add("playground", "policies.yaml", trial.policies.as_bytes())
                .and_then(|()| builder.build())
                .map_err(|error| Problem::unprocessable("bad_policies", format!("{error}.")))?
        }
    };
    let options = AdmitOptions {
        budget: Budget {
            time: Duration::from_secs(1),
        },
        ..AdmitOptions::default()
    };
    let mut time = || TRIAL.saturating_sub(begun.elapsed());
    let tried = play(
        &library,
        trial.manifests.as_bytes(),
        operation,
        options,
        &mut time,
        now,
    )
    .map_err(|error| Problem::unprocessable("bad_manifests", format!("Manifests, {error}.")))?;
    let notices = library.notices().iter().filter(|_| own);
    Ok(TrialResult {
        items: tried.into_iter().map(TriedView::from).collect(),
        notices: notices
            .map(|notice| PolicyNotice {
                at: format!("line {}", notice.line),
                text: notice.text.clone(),
            })
            .collect(),
        micros: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
    })
}
