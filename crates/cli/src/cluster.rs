//! The options of a Kubernetes cluster that is watched.

use crate::admission::Admission;
use anyhow::{Context, Result, ensure};
use bartizan_cluster::{Cluster, Name, Source, connect};
use bartizan_model::Scope;
use bartizan_policy::Budget;
use bartizan_server::audit::Config;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

#[derive(Args)]
#[command(next_help_heading = "Kubernetes cluster")]
pub struct ClusterArgs {
    /// Reach the cluster as a pod does: by its service account
    #[arg(long, conflicts_with = "kubeconfig")]
    pub in_cluster: bool,
    /// Reach the cluster by this kubeconfig
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; its current one by default
    #[arg(long, requires = "kubeconfig", value_name = "NAME")]
    pub context: Option<String>,
    /// Judge what is in the cluster already, continuously, by the webhook's policies
    #[arg(long)]
    pub audit: bool,
    /// Threads that judge in the audit; as many as there are cores by default
    #[arg(long, value_name = "N", requires = "audit")]
    pub audit_threads: Option<usize>,
    /// Violations that are written into a constraint's status
    #[arg(long, default_value_t = 20, value_name = "N", hide_short_help = true)]
    pub constraint_violations_limit: usize,
    /// Write violations of the audit into the log, under Gatekeeper's event names
    #[arg(long, requires = "audit", hide_short_help = true)]
    pub log_violations: bool,
    /// Lease by which several replicas agree who audits, as NAMESPACE/NAME
    #[arg(long, value_name = "LEASE", requires = "audit", hide_short_help = true)]
    pub audit_lease: Option<String>,
}

impl ClusterArgs {
    /// The connection, where one is asked for. No call is made yet.
    pub fn connect(&self, runtime: &Runtime) -> Result<Option<Arc<dyn Cluster>>> {
        let source = match (&self.kubeconfig, self.in_cluster) {
            (None, false) => return Ok(None),
            (None, true) => Source::InCluster,
            (Some(path), _) => Source::Kubeconfig {
                path: Some(path.clone()),
                context: self.context.clone(),
            },
        };
        let cluster = runtime.block_on(connect(&source));
        Ok(Some(cluster.context("the cluster cannot be reached")?))
    }

    /// The audit's configuration; none where it is not asked for.
    pub fn audit(&self, admission: &Admission, runtime: &Runtime) -> Result<Option<Config>> {
        if !self.audit {
            return Ok(None);
        }
        let cluster = self.connect(runtime)?;
        let cluster = cluster.context("--audit needs --in-cluster or --kubeconfig FILE")?;
        ensure!(
            !admission.admission_policies.is_empty(),
            "--audit needs --admission-policies: without policies it would find nothing"
        );
        let lease = self.audit_lease.as_deref().map(|text| {
            let (namespace, name) = text
                .split_once('/')
                .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
                .context("--audit-lease: write NAMESPACE/NAME")?;
            // Two processes of one name would both lead.
            let identity = format!("bartizan-{}", uuid::Uuid::new_v4());
            anyhow::Ok((Name::within(namespace, name), identity))
        });
        let cores = || std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Some(Config {
            cluster,
            scope: Scope::parse(&admission.admission_scope).context("--admission-scope")?,
            threads: self.audit_threads.unwrap_or_else(cores),
            budget: Budget {
                time: Duration::from_millis(admission.admission_budget.max(1)),
            },
            limit: self.constraint_violations_limit,
            log_violations: self.log_violations,
            lease: lease.transpose()?,
        }))
    }
}
