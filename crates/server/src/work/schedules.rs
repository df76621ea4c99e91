//! Schedules: what cron expressions mean, and the worker that asks for scans when they are due.
//! It also notices runners that died.

use crate::state::AppState;
use bartizan_model::{TaskId, Timestamp};
use bartizan_store::{StoreError, TenantStore};
use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the clock is looked at; schedules are exact to the minute.
const TICK: Duration = Duration::from_secs(5);
/// The longest expression.
const MAX_CRON: usize = 200;

/// When a schedule runs, in UTC.
#[derive(Debug, Clone)]
pub struct Cron(Crontab);

/// Why an expression cannot be used. Whoever wrote it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write five fields, such as \"30 2 * * *\" for every day at 02:30 UTC")]
pub struct CronError(String);

impl Cron {
    /// Parses five fields: minute, hour, day of month, month, day of week. Times are UTC, so
    /// a time zone is refused rather than passed over.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        if text.len() > MAX_CRON || text.split_whitespace().count() != 5 {
            return Err(CronError("it does not have five fields".to_owned()));
        }
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let cron = cronexpr::parse_crontab_with(text, options).map_err(|error| {
            let text = error.to_string();
            CronError(
                text.lines()
                    .next()
                    .unwrap_or("it cannot be read")
                    .to_owned(),
            )
        })?;
        Ok(Self(cron))
    }

    /// The first moment after `after`; none when there is none within four years, such as on
    /// the 30th of February.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_microsecond(after.micros()).ok()?;
        let next = self.0.find_next(MakeTimestamp::from(after)).ok()?;
        Some(Timestamp::from_micros(next.timestamp().as_microsecond()))
    }

    /// The first `n` moments after `after`.
    pub fn upcoming(&self, after: Timestamp, n: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next(after), |at| self.next(*at))
            .take(n)
            .collect()
    }
}

/// A new task's id.
pub fn task_id() -> Result<TaskId, bartizan_model::IdError> {
    TaskId::new(format!("task-{}", uuid::Uuid::now_v7()))
}

/// Runs until `shutdown`, then sends waiting runners home.
pub async fn run(state: AppState, shutdown: CancellationToken) {
    loop {
        if let Err(error) = once(&state).await {
            tracing::warn!(%error, "schedules could not be looked at");
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = shutdown.cancelled() => break,
        }
    }
    state.work.waiting.close();
}

/// One look at every tenant.
pub async fn once(state: &AppState) -> Result<(), StoreError> {
    for id in state.store.tenants().await? {
        let tenant = state.store.tenant(&id).await?;
        let lost = tenant.expire_tasks(state.now()).await?;
        if lost > 0 {
            tracing::warn!(tenant = %id, tasks = lost, "runners gave no sign of life");
            state.work.waiting.wake();
        }
        ask(state, &tenant).await?;
    }
    Ok(())
}

/// Asks for what is due. Runs that were missed while nobody looked are made up for by one.
async fn ask(state: &AppState, tenant: &TenantStore) -> Result<(), StoreError> {
    for schedule in tenant.due_schedules(state.now()).await? {
        let act = state.act("system");
        let next = match Cron::parse(&schedule.cron) {
            Ok(cron) => cron.next(act.at),
            Err(error) => {
                // Only another version of this program can have stored it.
                tracing::error!(schedule = %schedule.name, %error, "a schedule ends");
                None
            }
        };
        let mut ids = || Ok(task_id()?);
        let ran = tenant.run_schedule(&schedule, next, &mut ids, &act).await?;
        if let Some(ran) = ran {
            tracing::info!(tenant = %tenant.id(), schedule = %schedule.name, asked = ran.asked,
                busy = ran.busy, "a schedule asked for scans");
            state.work.nudge();
            state.work.waiting.wake();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, after: &str) -> Option<String> {
        let after = Timestamp::parse(after).unwrap();
        Cron::parse(cron)
            .unwrap()
            .next(after)
            .map(|t| t.to_string())
    }

    #[test]
    fn expressions_are_utc_and_bounded() {
        let at = "2026-11-25T02:30:00Z";
        // Strictly after; over the end of a month and of a year; names; steps; leap days.
        for (cron, expected) in [
            ("30 2 * * *", Some("2026-11-26T02:30:00Z")),
            ("*/15 * * * *", Some("2026-11-25T02:45:00Z")),
            ("0 0 1 1 *", Some("2027-01-01T00:00:00Z")),
            ("0 9 * * MON", Some("2026-11-30T09:00:00Z")),
            ("0 9 * * THU", Some("2026-11-26T09:00:00Z")),
            ("0 0 29 2 *", Some("2028-02-29T00:00:00Z")),
            ("0 0 30 2 *", None),
        ] {
            assert_eq!(next(cron, at).as_deref(), expected, "{cron}");
        }
        let cron = Cron::parse("0 12 * * *").unwrap();
        let after = Timestamp::parse(at).unwrap();
        assert_eq!(cron.upcoming(after, 3).len(), 3);
    }

    #[test]
    fn bad_expressions_say_what_to_write() {
        for bad in [
            "",
            "* * * *",
            "61 * * * *",
            "* * * * * Europe/Berlin",
            "H * * * *",
            "@daily",
            "a b c d e",
        ] {
            let error = Cron::parse(bad).unwrap_err().to_string();
            assert!(error.contains("five fields"), "{bad}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        assert!(Cron::parse(&"1,".repeat(500)).is_err());
    }
}
