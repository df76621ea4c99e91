//! Systems, the scans that are asked of them, and the schedules that ask.

mod schedules;
mod tasks;

pub use schedules::{NewSchedule, Ran, Schedule, ScheduleChange};
pub use tasks::{Runner, Task, TaskClaim, TaskEnd, TaskFilter, TaskState, Wanted};

use crate::audit::escape_like;
use crate::db::{Row, Tx, Val, args};
use crate::{Act, Page, PageRequest, Result, StoreError, TenantStore};
use bartizan_model::audit::action;
use bartizan_model::{SystemId, Timestamp};
use serde_json::{Value, json};

/// How a system is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// A runner on the system itself.
    Agent,
    /// A runner elsewhere, over SSH.
    Ssh,
}

impl Via {
    /// The stored word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Ssh => "ssh",
        }
    }

    /// Parses the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Agent, Self::Ssh]
            .into_iter()
            .find(|via| via.word() == word)
    }
}

/// A registered system.
#[derive(Debug, Clone, PartialEq)]
pub struct System {
    /// Its id.
    pub id: SystemId,
    /// Its name, unique; its scans are of the scope `host:<name>`.
    pub name: String,
    /// How it is reached.
    pub via: Via,
    /// Where, for SSH: `[user@]host[:port]`; empty else.
    pub address: String,
    /// Words that schedules choose by, sorted.
    pub labels: Vec<String>,
    /// What its runner said of it.
    pub facts: Value,
    /// The runner that asked for its work last.
    pub runner: Option<String>,
    /// When it was registered.
    pub created: Timestamp,
    /// When a runner asked for its work last.
    pub last_seen: Option<Timestamp>,
}

/// A system as it registers.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSystem {
    /// The id, used when it is new.
    pub id: SystemId,
    /// The name, by which it is found again.
    pub name: String,
    /// How it is reached.
    pub via: Via,
    /// Where, for SSH.
    pub address: String,
    /// Labels; none leaves those that it has.
    pub labels: Option<Vec<String>>,
    /// Facts; none leaves those that it has.
    pub facts: Option<Value>,
}

/// Which systems.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SystemFilter {
    /// Text that the name contains, ASCII case aside.
    pub q: Option<String>,
    /// A label that it carries.
    pub label: Option<String>,
}

const COLUMNS: &str = "uid, name, via, address, labels, facts, runner, created, last_seen, seq";

fn system_of(row: &Row) -> Result<System> {
    let via = row.text(2)?;
    Ok(System {
        id: row.id(0)?,
        name: row.text(1)?,
        via: Via::parse(&via)
            .ok_or_else(|| StoreError::Corrupt(format!("a system is reached by {via:?}")))?,
        address: row.text(3)?,
        labels: row.json(4)?,
        facts: row.json(5)?,
        runner: row.opt_text(6)?,
        created: row.time(7)?,
        last_seen: row.opt_time(8)?,
    })
}

fn missing(id: &SystemId) -> StoreError {
    StoreError::NotFound {
        what: "system",
        id: id.to_string(),
    }
}

/// Sorted, each once.
fn tidy(labels: &[String]) -> Vec<String> {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    labels.dedup();
    labels
}

impl TenantStore {
    /// Registers a system, or brings what is known of it up to date; says whether it is new.
    /// Facts alone are no change that is recorded.
    pub async fn register_system(&self, new: &NewSystem, act: &Act) -> Result<(System, bool)> {
        let mut tx = self.begin().await?;
        let known = tx
            .opt(
                &format!("SELECT {COLUMNS} FROM systems WHERE tenant = $1 AND name = $2"),
                args![self.t, new.name.as_str()],
            )
            .await?;
        let (system, created) = match known {
            None => {
                let system = System {
                    id: new.id.clone(),
                    name: new.name.clone(),
                    via: new.via,
                    address: new.address.clone(),
                    labels: tidy(new.labels.as_deref().unwrap_or_default()),
                    facts: new.facts.clone().unwrap_or_else(|| json!({})),
                    runner: None,
                    created: act.at,
                    last_seen: None,
                };
                self.insert_system(&mut tx, &system).await?;
                self.record_system(&mut tx, act, action::SYSTEM_REGISTERED, &system)
                    .await?;
                (system, true)
            }
            Some(row) => {
                let was = system_of(&row)?;
                let mut system = was.clone();
                system.via = new.via;
                system.address = new.address.clone();
                if let Some(labels) = &new.labels {
                    system.labels = tidy(labels);
                }
                if let Some(facts) = &new.facts {
                    system.facts = facts.clone();
                }
                self.update_system(&mut tx, &was, &system, act).await?;
                (system, false)
            }
        };
        tx.commit().await?;
        Ok((system, created))
    }

    async fn insert_system(&self, tx: &mut Tx, system: &System) -> Result<()> {
        let seq = tx.take(self.t, "system", 1).await?;
        tx.exec(
            "INSERT INTO systems (tenant, seq, uid, name, via, address, labels, facts, created) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            args![
                self.t,
                seq,
                system.id.as_str(),
                system.name.as_str(),
                system.via.word(),
                system.address.as_str(),
                serde_json::to_string(&system.labels)?,
                serde_json::to_string(&system.facts)?,
                system.created
            ],
        )
        .await?;
        Ok(())
    }

    async fn update_system(
        &self,
        tx: &mut Tx,
        was: &System,
        system: &System,
        act: &Act,
    ) -> Result<()> {
        if was == system {
            return Ok(());
        }
        tx.exec(
            "UPDATE systems SET via = $3, address = $4, labels = $5, facts = $6 \
             WHERE tenant = $1 AND uid = $2",
            args![
                self.t,
                system.id.as_str(),
                system.via.word(),
                system.address.as_str(),
                serde_json::to_string(&system.labels)?,
                serde_json::to_string(&system.facts)?
            ],
        )
        .await?;
        let same =
            (was.via, &was.address, &was.labels) == (system.via, &system.address, &system.labels);
        if !same {
            self.record_system(tx, act, action::SYSTEM_CHANGED, system)
                .await?;
        }
        Ok(())
    }

    async fn record_system(
        &self,
        tx: &mut Tx,
        act: &Act,
        action: &'static str,
        system: &System,
    ) -> Result<()> {
        let detail = json!({
            "name": system.name, "how": system.via.word(), "address": system.address,
            "labels": system.labels,
        });
        self.record(tx, act, action, system.id.as_str(), &detail)
            .await?;
        Ok(())
    }

    /// Changes a system's labels.
    pub async fn label_system(
        &self,
        id: &SystemId,
        labels: &[String],
        act: &Act,
    ) -> Result<System> {
        let mut tx = self.begin().await?;
        let row = tx
            .opt(
                &format!("SELECT {COLUMNS} FROM systems WHERE tenant = $1 AND uid = $2"),
                args![self.t, id.as_str()],
            )
            .await?
            .ok_or_else(|| missing(id))?;
        let was = system_of(&row)?;
        let mut system = was.clone();
        system.labels = tidy(labels);
        self.update_system(&mut tx, &was, &system, act).await?;
        tx.commit().await?;
        Ok(system)
    }

    /// Removes a system with what was asked of it; its scope and scans stay. A runner that
    /// works for it loses its lease.
    pub async fn remove_system(&self, id: &SystemId, act: &Act) -> Result<()> {
        let mut tx = self.begin().await?;
        let row = tx
            .opt(
                &format!("SELECT {COLUMNS} FROM systems WHERE tenant = $1 AND uid = $2"),
                args![self.t, id.as_str()],
            )
            .await?
            .ok_or_else(|| missing(id))?;
        let seq = row.int(9)?;
        for sql in [
            "DELETE FROM scan_tasks WHERE tenant = $1 AND system = $2",
            "DELETE FROM systems WHERE tenant = $1 AND seq = $2",
        ] {
            tx.exec(sql, args![self.t, seq]).await?;
        }
        let system = system_of(&row)?;
        self.record_system(&mut tx, act, action::SYSTEM_REMOVED, &system)
            .await?;
        tx.commit().await
    }

    /// One system.
    pub async fn system(&self, id: &SystemId) -> Result<Option<System>> {
        self.db()
            .opt(
                &format!("SELECT {COLUMNS} FROM systems WHERE tenant = $1 AND uid = $2"),
                args![self.t, id.as_str()],
            )
            .await?
            .map(|row| system_of(&row))
            .transpose()
    }

    /// Systems by name.
    pub async fn systems(&self, filter: &SystemFilter, page: &PageRequest) -> Result<Page<System>> {
        let limit = page.rows();
        let mut args = args![self.t];
        let mut wheres = String::from("tenant = $1");
        let mut add = |text: &str, value: Val| {
            args.push(value);
            wheres.push_str(&text.replace('?', &format!("${}", args.len())));
        };
        if let Some(after) = page.decode::<String>()? {
            add(" AND name > ?", after.into());
        }
        if let Some(q) = &filter.q {
            let like = format!("%{}%", escape_like(&q.to_lowercase()));
            add(" AND lower(name) LIKE ? ESCAPE '!'", like.into());
        }
        if let Some(label) = &filter.label {
            // Labels are kept as JSON: what is looked for is the string as it stands there.
            let like = format!("%{}%", escape_like(&serde_json::to_string(label)?));
            add(" AND labels LIKE ? ESCAPE '!'", like.into());
        }
        let rows = self
            .db()
            .all(
                &format!(
                    "SELECT {COLUMNS} FROM systems WHERE {wheres} ORDER BY name LIMIT {}",
                    limit + 1
                ),
                args,
            )
            .await?;
        let rows: Vec<System> = rows.iter().map(system_of).collect::<Result<_>>()?;
        Page::cut(rows, limit, |system| system.name.clone())
    }

    /// Notes that a runner asks for the work of these systems, or of all that are reached by
    /// SSH. Says how many there are.
    pub async fn systems_seen(&self, runner: &Runner, now: Timestamp) -> Result<u64> {
        let mut args = args![self.t, now, runner.name.as_str()];
        let mine = runner.wheres("", &mut args);
        self.db()
            .exec(
                &format!(
                    "UPDATE systems SET last_seen = $2, runner = $3 WHERE tenant = $1 AND {mine}"
                ),
                args,
            )
            .await
    }
}
