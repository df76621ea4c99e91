//! Findings of an earlier process that stand for nothing any more: the object went, or its policy
//! looked away, while nobody was here to see it. They are looked through once, after the first full
//! pass, page by page.

use super::run::Run;
use bartizan_cluster::Name;
use bartizan_cluster::audit::Kind;
use bartizan_model::{CheckUid, ScopeId, TenantId};
use bartizan_store::findings::{FindingFilter, FindingRow, FindingSort};
use bartizan_store::{PageRequest, Store, StoreError};
use tokio::task::JoinHandle;

/// Findings a page.
const PAGE: u32 = 500;

/// Findings, and where the next page begins.
type Found = Result<(Vec<FindingRow>, Option<String>), StoreError>;

/// How far the search is.
#[derive(Default)]
pub enum Search {
    /// The first pass is not over.
    #[default]
    Waits,
    /// The page at this cursor is next.
    At(Option<String>),
    /// It is being read.
    Reads(Option<String>, JoinHandle<Found>),
    /// All were looked at.
    Over,
}

impl Run {
    /// Goes a step on, without waiting.
    pub(super) async fn search_vanished(&mut self) {
        match std::mem::take(&mut self.search) {
            Search::Waits if self.pass.1.is_some() => self.search = Search::At(None),
            // No page is read while much waits to be stored.
            Search::At(cursor) if !self.gathered.is_full() => {
                let Some(scope) = self.scope.clone() else {
                    return;
                };
                // What only the webhook asks is not the audit's to withdraw.
                let checks: Vec<CheckUid> = self
                    .plan
                    .policies
                    .values()
                    .map(|looked| looked.check.clone())
                    .collect();
                let (store, from) = (self.state.store.clone(), cursor.clone());
                let task = tokio::spawn(page(store, scope, checks, from));
                self.search = Search::Reads(cursor, task);
            }
            Search::Reads(cursor, task) if task.is_finished() => {
                self.search = match task.await {
                    Ok(Ok((rows, next))) => {
                        rows.iter().for_each(|row| self.look_at(row));
                        match next {
                            Some(next) => Search::At(Some(next)),
                            None => Search::Over,
                        }
                    }
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "findings of an earlier audit are read again");
                        Search::At(cursor)
                    }
                    Err(error) => {
                        tracing::error!(%error, "findings of an earlier audit are not looked at");
                        Search::Over
                    }
                };
            }
            other => self.search = other,
        }
    }

    fn look_at(&mut self, row: &FindingRow) {
        let Some((kind, name)) = self.place_of(row) else {
            return;
        };
        let id = row.check.to_string();
        let Some(check) = self.known_checks.get(&id) else {
            return;
        };
        let now = self.state.now();
        let why = if self.index.is_settled(&kind) {
            let place = (kind.clone(), name.clone());
            if self.index.knows(&kind, &name) {
                if !self.totals.fails(&place, &id) {
                    // Its policy looked away, or could not tell: judged once more, it says which.
                    self.gathered
                        .passing
                        .has_row(&row.check, row.asset.uid.as_str());
                    self.index.again(&kind, &name, &id);
                }
                return;
            }
            "the object is not in the cluster"
        } else if self.is_unwatched(&kind) {
            "the policy does not look at it any more"
        } else {
            return;
        };
        let passing = &mut self.gathered.passing;
        passing.has_row(&check.uid, row.asset.uid.as_str());
        self.gathered.withdrawn(check, &row.asset.uid, why, now);
    }

    /// Whether nothing is known of a kind on purpose: no policy looks at it.
    fn is_unwatched(&self, kind: &Kind) -> bool {
        let whole = |d: &bartizan_cluster::Discovery| d.unserved.is_empty();
        self.discovery.as_ref().is_some_and(whole) && self.feed.resource(kind).is_none()
    }

    /// Which object a finding is about; none where it is about something else.
    fn place_of(&self, row: &FindingRow) -> Option<(Kind, Name)> {
        let scope = self.scope.as_ref()?.to_string();
        let rest = row.asset.uid.as_str().strip_prefix(&scope)?;
        let parts: Vec<&str> = rest.strip_prefix('/')?.split('/').collect();
        let &[group, kind, namespace, name] = parts.as_slice() else {
            return None;
        };
        let name = match namespace {
            "" => Name::of_cluster(name),
            namespace => Name::within(namespace, name),
        };
        Some((Kind::new(group, kind), name))
    }
}

async fn page(
    store: Store,
    scope: ScopeId,
    checks: Vec<CheckUid>,
    cursor: Option<String>,
) -> Found {
    let tenant = store.tenant(&TenantId::default_tenant()).await?;
    let filter = FindingFilter {
        scope: Some(scope),
        checks: Some(checks),
        ..FindingFilter::default()
    };
    let request = PageRequest {
        cursor,
        limit: PAGE,
    };
    // In this order, what is withdrawn meanwhile moves nothing.
    let found = tenant
        .findings(&filter, FindingSort::Asset, &request)
        .await?;
    Ok((found.page.items, found.page.next_cursor))
}
