//! The options of a Kubernetes cluster that is watched.

use crate::admission::Admission;
use anyhow::{Context, Result, ensure};
use bartizan_cluster::{Cluster, Name, Source, connect};
use bartizan_model::Scope;
use bartizan_policy::Budget;
use bartizan_server::audit::Config;
use bartizan_server::cluster::{Trust, Watched};
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
    /// Take policies from the cluster: templates, constraints and what belongs to them, by watch
    #[arg(long)]
    pub cluster_policies: bool,
    /// Make the kinds of constraints that templates of the cluster define
    #[arg(long, requires = "cluster_policies")]
    pub manage_crds: bool,
    /// Webhook configuration that is to trust the webhook's authority; repeatable
    #[arg(long, value_name = "NAME")]
    pub webhook_configuration: Vec<String>,
    /// Secret by which replicas share one certificate authority, as NAMESPACE/NAME; made when absent
    #[arg(long, value_name = "SECRET", requires = "webhook_configuration")]
    pub authority_secret: Option<String>,
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
    /// Puts into the configuration whatever is asked of the cluster.
    pub fn configure(
        &self,
        config: &mut bartizan_server::Config,
        admission: &Admission,
        runtime: &Runtime,
    ) -> Result<()> {
        let cluster = self.connect(runtime)?;
        let asked = [
            (self.cluster_policies, "--cluster-policies"),
            (self.audit, "--audit"),
            (
                !self.webhook_configuration.is_empty(),
                "--webhook-configuration",
            ),
        ];
        for (_, option) in asked.iter().filter(|(asked, _)| *asked) {
            ensure!(
                cluster.is_some(),
                "{option} needs --in-cluster or --kubeconfig FILE"
            );
        }
        let watched = cluster.clone().filter(|_| self.cluster_policies);
        let watched = watched.map(|cluster| Arc::new(Watched::new(cluster, self.manage_crds)));
        let secret = self.authority_secret.as_deref();
        let secret = secret.map(|text| within(text, "--authority-secret"));
        let secret = secret.transpose()?;
        let trust = cluster
            .clone()
            .filter(|_| !self.webhook_configuration.is_empty());
        let trust = trust.map(|cluster| Trust {
            cluster,
            names: self.webhook_configuration.clone(),
            secret,
        });
        config.watched.clone_from(&watched);
        config.admission = admission.config(&config.data, watched, trust)?;
        if let Some(cluster) = cluster.filter(|_| self.audit) {
            config.audit = Some(self.audit(cluster, admission)?);
        }
        Ok(())
    }

    /// The connection, where one is asked for. No call is made yet.
    fn connect(&self, runtime: &Runtime) -> Result<Option<Arc<dyn Cluster>>> {
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

    fn audit(&self, cluster: Arc<dyn Cluster>, admission: &Admission) -> Result<Config> {
        ensure!(
            !admission.admission_policies.is_empty() || self.cluster_policies,
            "--audit needs --admission-policies or --cluster-policies: without policies it would find nothing"
        );
        let lease = self.audit_lease.as_deref().map(|text| {
            let name = within(text, "--audit-lease")?;
            // Two processes of one name would both lead.
            let identity = format!("bartizan-{}", uuid::Uuid::new_v4());
            anyhow::Ok((name, identity))
        });
        let cores = || std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Config {
            cluster,
            scope: Scope::parse(&admission.admission_scope).context("--admission-scope")?,
            threads: self.audit_threads.unwrap_or_else(cores),
            budget: Budget {
                time: Duration::from_millis(admission.admission_budget.max(1)),
            },
            limit: self.constraint_violations_limit,
            log_violations: self.log_violations,
            lease: lease.transpose()?,
        })
    }
}

/// The name of an object in a namespace.
fn within(text: &str, option: &str) -> Result<Name> {
    let parts = text.split_once('/');
    let parts = parts.filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
    let (namespace, name) = parts.with_context(|| format!("{option}: write NAMESPACE/NAME"))?;
    Ok(Name::within(namespace, name))
}
