//! Passes that have no row of their own: what the store knew, and how many there are now.

use super::run::Run;
use crate::work::scores;
use bartizan_model::TenantId;

/// Who counts.
const SOURCE: &str = "bartizan/audit";

impl Run {
    /// What the store has a row of is told one by one, also by this process.
    pub(super) async fn recall(&mut self) {
        let Some(scope) = self.scope.clone() else {
            return;
        };
        let passing = &mut self.gathered.passing;
        let read = async {
            let tenant = self.state.store.tenant(&TenantId::default_tenant()).await?;
            let mut tell = |check, asset: &str| passing.has_row(&check, asset);
            tenant.each_result(&scope, &mut tell).await
        };
        if let Err(error) = read.await {
            // What failed before and passes now is found by the search for vanished findings.
            tracing::warn!(%error, "results of an earlier audit cannot be read");
        }
    }

    /// Stores how many objects pass each check, where that changed, and scores the scope by it.
    pub(super) fn count(&mut self) {
        // Checks and scope come with the first report.
        if self.counting.is_some() || self.is_importing() || self.gathered.len() > 0 {
            return;
        }
        let Some((scope, passes)) = self.scope.clone().zip(self.gathered.passing.take_changed())
        else {
            return;
        };
        let state = self.state.clone();
        self.counting = Some(tokio::spawn(async move {
            let store = async {
                let tenant = state.store.tenant(&TenantId::default_tenant()).await?;
                tenant.set_counted(&scope, SOURCE, &passes).await?;
                scores::rescore(&state, &tenant, &scope, None).await;
                Ok::<_, bartizan_store::StoreError>(())
            };
            match store.await {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(%error, "passes of the audit are not counted yet");
                    false
                }
            }
        }));
    }
}
