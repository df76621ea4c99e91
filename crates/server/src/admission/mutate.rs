//! Changes to objects as the cluster is asked for them: Kubernetes' MutatingAdmissionPolicies and
//! Gatekeeper's mutators, a JSON Patch out. What a policy refuses is recorded as a decision.
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
use bartizan_policy::admit::Untold;
use bartizan_policy::review::Response as Answer;
use bartizan_policy::{Failure, Mutation, NoProviders, Outcome, Providers};
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;

pub(super) async fn mutate(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let asked = match read(&shared, request).await {
        Ok(asked) => asked,
        Err(refusal) => return refusal,
    };
    let told = match shared.in_force.get() {
        Some(loaded) => mutation(&asked, loaded, &shared).await,
        None => Err("no policies are loaded".to_owned()),
    };
    let (status, answer) = match told {
        Ok(None) => ("skip", allowed()),
        Ok(Some((mut told, digest))) => {
            let status = match (&told.patch, told.verdict.outcome) {
                (_, Outcome::Denied) => "deny",
                (_, Outcome::Unknown) => "error",
                (None, _) => "skip",
                (Some(_), _) => "allow",
            };
            let answer = Answer {
                patch: told.patch.map(Value::Array),
                ..told.verdict.response()
            };
            if told.verdict.outcome != Outcome::Allowed {
                // It closes no finding of what is validated.
                told.verdict.untold.push(Untold {
                    policy: None,
                    constraint: String::new(),
                    denies: false,
                    why: "only policies that mutate were asked".to_owned(),
                });
                let took = asked.begun.elapsed();
                let recorder = &shared.recorder;
                recorder.take(&asked, told.verdict, digest.into(), took);
            }
            (status, answer)
        }
        Err(why) => ("error", failed(shared.failure, &why)),
    };
    metrics::counter!(GK_MUTATIONS, "mutation_status" => status).increment(1);
    metrics::histogram!(GK_MUTATION_SECONDS, "mutation_status" => status)
        .record(asked.begun.elapsed());
    json(answer.bytes(&asked.review.api_version, &asked.review.uid))
}

async fn mutation(
    asked: &Asked,
    loaded: Loaded,
    shared: &Shared,
) -> Result<Option<(Mutation, String)>, String> {
    if !loaded.library.mutates() {
        return Ok(None);
    }
    let wait = Arc::clone(&shared.mutating).acquire_owned();
    let Ok(Ok(place)) = tokio::time::timeout_at(asked.deadline.into(), wait).await else {
        return Err("too many objects wait to be mutated".to_owned());
    };
    let review = Arc::clone(&asked.review);
    let (failure, mut budget) = (shared.failure, shared.budget);
    let left = asked.deadline.saturating_duration_since(Instant::now());
    budget.time = budget.time.min(left);
    let work = tokio::task::spawn_blocking(move || {
        // Also whoever is not waited for any more has a place until it ends.
        let _place = place;
        let library = &loaded.library;
        let providers: &dyn Providers = match &loaded.providers {
            Some(providers) => providers.as_ref(),
            None => &NoProviders,
        };
        let told = library.mutate(&review, &loaded.world, providers, budget, failure);
        let told = told.map_err(|why| why.to_string())?;
        let digest = match told.verdict.outcome {
            Outcome::Allowed => String::new(),
            _ => library.digest().to_string(),
        };
        Ok(Some((told, digest)))
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
