//! Questions over records and the tenant's own systems.

use crate::ask::AskFailure;
use crate::auth::Caller;
use crate::error::{ApiResult, Problem};
use crate::extract::Json;
use crate::own::StoreOwn;
use crate::route;
use crate::route::Route;
use crate::state::AppState;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bartizan_ask::answer::{Answer, Event};
use bartizan_ask::{AskError, Question};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// An answer that a model words takes this long at most.
const TIME: Duration = Duration::from_secs(120);

/// A question.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AskRequest)]
pub struct AskBody {
    /// In plain words; ids, `pkg:` addresses, dates, severities and "in my cluster" are understood.
    question: String,
}

/// A sentence and what it rests on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AnswerSentence)]
pub struct SentenceView {
    /// With its citations in brackets.
    text: String,
    /// The records that it cites.
    cites: Vec<String>,
}

/// A record that the answer is made from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AnswerSource)]
pub struct SourceView {
    /// What it is cited by.
    id: String,
    /// `cve`, `advisory` or `own`.
    kind: String,
    /// The feed, or who assigned it.
    source: String,
    /// One line.
    title: String,
    /// Other names.
    names: Vec<String>,
    /// First published.
    published: Option<String>,
    /// The score, `9.8`.
    score: Option<String>,
    /// Known to be exploited.
    exploited: bool,
    /// Rejected or withdrawn.
    withdrawn: bool,
    /// How it was found: `name`, `words`, `likeness`, `filters`, `own`.
    ways: Vec<String>,
    /// Addresses that the record gives; nobody has checked them.
    references: Vec<String>,
    /// The asset's uid, of your own.
    asset: Option<String>,
    /// The finding's key, of your own.
    finding: Option<String>,
}

/// An answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Answer)]
pub struct AnswerView {
    /// As asked.
    question: String,
    /// `answered`, or `nothing` where no record speaks about it.
    outcome: String,
    /// Who worded it: `records`, or the name of a model.
    by: String,
    /// The filters that were applied, in words.
    filters: Vec<String>,
    /// The sentences.
    sentences: Vec<SentenceView>,
    /// The records.
    sources: Vec<SourceView>,
    /// Names that were asked for and that no record has.
    missing: Vec<String>,
    /// What was left out of what the model said, and why.
    dropped: Vec<String>,
    /// What could not be looked at.
    unknown: Vec<String>,
}

fn word<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

impl From<Answer> for AnswerView {
    fn from(answer: Answer) -> Self {
        Self {
            outcome: word(answer.outcome),
            question: answer.question,
            by: answer.by,
            filters: answer.filters,
            sentences: answer
                .sentences
                .into_iter()
                .map(|s| SentenceView {
                    text: s.text,
                    cites: s.cites,
                })
                .collect(),
            sources: answer
                .sources
                .into_iter()
                .map(|s| SourceView {
                    kind: word(s.kind),
                    published: s.published.map(|t| t.to_string()),
                    ways: s.ways.into_iter().map(word).collect(),
                    id: s.id,
                    source: s.source,
                    title: s.title,
                    names: s.names,
                    score: s.score,
                    exploited: s.exploited,
                    withdrawn: s.withdrawn,
                    references: s.references,
                    asset: s.asset,
                    finding: s.finding,
                })
                .collect(),
            missing: answer.missing,
            dropped: answer.dropped,
            unknown: answer.unknown,
        }
    }
}

fn problem(failure: AskFailure) -> Problem {
    match failure {
        AskFailure::NotReady => Problem::unavailable(
            "no_index",
            "There is no index of records yet. The first question begins it, once feeds are synced: bartizan cve sync.",
            10,
        ),
        AskFailure::Ask(AskError::Question(why)) => Problem::unprocessable("question", why),
        AskFailure::Ask(error) => Problem::internal(error),
    }
}

/// Ask about vulnerabilities. Server-sent events `found`, `sentence`, `dropped` and `done` as they
/// come; with `Accept: application/json` the whole answer at once.
#[utoipa::path(post, path = "/ask", tag = "vulnerabilities", operation_id = "ask",
    request_body = AskBody,
    responses((status = 200, description = "The answer; as events unless JSON is asked for", body = AnswerView),
              (status = 422, description = "The question cannot be used"),
              (status = 503, description = "There is no index of records yet")))]
pub(crate) async fn ask(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    Json(body): Json<AskBody>,
) -> ApiResult<Response> {
    let question =
        Question::read(&body.question, state.now()).map_err(|e| problem(AskFailure::Ask(e)))?;
    if !state.ask.ready() {
        return Err(problem(AskFailure::NotReady));
    }
    let permit = Arc::clone(&state.ask.slots)
        .try_acquire_owned()
        .map_err(|_| Problem::too_many("Too many questions are being answered. Try again.", 2))?;
    let json = headers
        .get(header::ACCEPT)
        .and_then(|a| a.to_str().ok())
        .is_some_and(|a| a.contains("application/json"));
    let (send, receive) = tokio::sync::mpsc::channel::<Event>(64);
    let (of, tenant) = (state.clone(), caller.tenant.clone());
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let chat = of.config.chat.clone();
        let own = StoreOwn::new(of.store.clone(), tokio::runtime::Handle::current());
        of.ask
            .answer(&tenant, &own, &question, chat.as_deref(), &mut |event| {
                // Whoever asked for the whole answer does not listen to its parts.
                if !json && send.blocking_send(event.clone()).is_err() {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })
    });
    if json {
        let answer = task.await.map_err(Problem::internal)?.map_err(problem)?;
        return Ok(Json(AnswerView::from(answer)).into_response());
    }
    let events = futures::stream::unfold((receive, Some(task)), |(mut receive, task)| async move {
        if let Some(event) = receive.recv().await {
            let name = match &event {
                Event::Found { .. } => "found",
                Event::Sentence(_) => "sentence",
                Event::Dropped { .. } => "dropped",
                Event::Done { .. } => "done",
            };
            let sent = Sent::default().event(name).json_data(&event).ok()?;
            return Some((Ok::<_, Infallible>(sent), (receive, task)));
        }
        // The channel is closed: the answer is complete, or it failed.
        let failed = match task?.await {
            Ok(Ok(_)) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(error = %failed, "a question could not be answered");
        let sent = Sent::default()
            .event("failed")
            .data("The question could not be answered; the server's log says why.");
        Some((Ok(sent), (receive, None)))
    });
    let keep = KeepAlive::new().interval(Duration::from_secs(15));
    Ok(Sse::new(events).keep_alive(keep).into_response())
}

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![route!(Viewer, ask).time_limit(TIME)]
}
