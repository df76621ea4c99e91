//! How scopes stand against frameworks: computed from the store's tallies, kept as history.

use super::content::Entry;
use crate::metrics::{COVERAGE, SCORE};
use crate::state::AppState;
use bartizan_model::framework::{Assessment, CheckTally};
use bartizan_model::{ScopeId, Timestamp};
use bartizan_posture::FrameworkPosture;
use bartizan_store::records::{AssessmentRow, ScorePoint};
use bartizan_store::{StoreError, TenantStore};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// How a scope stands against one framework now, and the verdicts of people that count in.
pub async fn standing(
    tenant: &TenantStore,
    entry: &Entry,
    scope: &ScopeId,
    tallies: &[CheckTally],
    now: Timestamp,
) -> Result<(FrameworkPosture, Vec<AssessmentRow>), StoreError> {
    let rows = tenant.assessments(scope, &entry.framework.id, None).await?;
    let assessments: Vec<Assessment> = rows.iter().map(|row| row.assessment.clone()).collect();
    Ok((entry.evaluate(tallies, &assessments, now), rows))
}

/// Scores a scope against every framework, adds to the history what is new, and sets the
/// gauges. `finished` is the end of the scan that gave the occasion, if one did. Failures
/// are logged: the scores shown are computed anew anyway, and the next occasion adds them.
pub async fn rescore(
    state: &AppState,
    tenant: &TenantStore,
    scope: &ScopeId,
    finished: Option<Timestamp>,
) {
    if let Err(error) = try_rescore(state, tenant, scope, finished).await {
        tracing::warn!(tenant = %tenant.id(), %scope, %error, "scores could not be recorded");
    }
}

/// Scores every scope of every tenant that is not archived.
pub async fn rescore_all(state: &AppState) -> Result<(), StoreError> {
    for id in state.store.tenants().await? {
        let tenant = state.store.tenant(&id).await?;
        rescore_tenant(state, &tenant).await?;
    }
    Ok(())
}

/// Scores every scope of a tenant that is not archived.
pub async fn rescore_tenant(state: &AppState, tenant: &TenantStore) -> Result<(), StoreError> {
    for scope in tenant.scopes(false).await? {
        let finished = scope.last_scan.map(|scan| scan.finished);
        rescore(state, tenant, &scope.id, finished).await;
    }
    Ok(())
}

async fn try_rescore(
    state: &AppState,
    tenant: &TenantStore,
    scope: &ScopeId,
    finished: Option<Timestamp>,
) -> Result<(), StoreError> {
    let now = state.now();
    let tallies = tenant.tallies(scope).await?;
    for entry in state.work.content.all() {
        let (posture, _) = standing(tenant, entry, scope, &tallies, now).await?;
        let framework = &entry.framework.id;
        let last = tenant.score_trend(scope, framework, 1).await?.pop();
        if let Some(point) = next_point(last.as_ref(), &posture, finished, now) {
            tenant.record_score(scope, framework, &point).await?;
        }
        for (gauge, percent) in [(SCORE, posture.score), (COVERAGE, posture.coverage)] {
            metrics::gauge!(
                gauge,
                "framework" => framework.to_string(),
                "scope" => scope.to_string(),
                "tenant" => tenant.id().to_string()
            )
            .set(percent.unwrap_or(f64::NAN) / 100.0);
        }
    }
    Ok(())
}

/// The point to add to the history: when the score changed, or a day has passed.
fn next_point(
    last: Option<&ScorePoint>,
    posture: &FrameworkPosture,
    finished: Option<Timestamp>,
    now: Timestamp,
) -> Option<ScorePoint> {
    let point = |at| ScorePoint {
        at,
        score: posture.score,
        coverage: posture.coverage,
        counts: posture.counts,
    };
    let Some(last) = last else {
        return Some(point(finished.unwrap_or(now)));
    };
    let changed = last.counts != posture.counts;
    let at = match finished {
        Some(finished) if finished > last.at => finished,
        // What happened after the scan: a person's action, or an expiry.
        _ if now > last.at => now,
        _ => return None,
    };
    let new_day = at.micros().div_euclid(DAY) != last.at.micros().div_euclid(DAY);
    (changed || new_day).then(|| point(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_model::FrameworkId;
    use bartizan_model::framework::Score;

    fn posture(passed: u32) -> FrameworkPosture {
        let counts = Score {
            passed,
            failed: 1,
            ..Score::default()
        };
        FrameworkPosture {
            framework: FrameworkId::new("demo").unwrap(),
            title: String::new(),
            version: String::new(),
            counts,
            score: counts.percent(),
            coverage: counts.coverage(),
            controls: Vec::new(),
        }
    }

    #[test]
    fn history_grows_by_changes_and_days() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let scan = at("2026-11-21T09:00:00Z");
        let now = at("2026-11-21T09:05:00Z");
        let first = next_point(None, &posture(1), Some(scan), now).unwrap();
        assert_eq!((first.at, first.score), (scan, Some(50.0)));
        let next = |posture: &FrameworkPosture, finished: Option<&str>, now: &str| {
            next_point(Some(&first), posture, finished.map(at), at(now)).map(|p| p.at.to_string())
        };
        // The same scan, nothing changed.
        assert_eq!(
            next(
                &posture(1),
                Some("2026-11-21T09:00:00Z"),
                "2026-11-21T09:05:00Z"
            ),
            None
        );
        // The same scan, then a person accepted something.
        assert_eq!(
            next(
                &posture(2),
                Some("2026-11-21T09:00:00Z"),
                "2026-11-21T09:05:00Z"
            ),
            Some("2026-11-21T09:05:00Z".to_owned())
        );
        // A later scan that changed the score, and one of another day that did not.
        assert_eq!(
            next(
                &posture(2),
                Some("2026-11-21T10:00:00Z"),
                "2026-11-21T10:05:00Z"
            ),
            Some("2026-11-21T10:00:00Z".to_owned())
        );
        assert_eq!(
            next(
                &posture(1),
                Some("2026-11-22T01:00:00Z"),
                "2026-11-22T01:05:00Z"
            ),
            Some("2026-11-22T01:00:00Z".to_owned())
        );
    }
}
