//! The Pod Security Standards as part of a review, where the operator wants them judged here:
//! what namespaces' labels enforce, audit and warn of, as Kubernetes' own admission does it.
//! Gatekeeper's Config and its label on a namespace do not concern them.

use super::{Admitter, Explain, Forms, Found, Untold};
use crate::enforce::Action;
use crate::pod_security::admission::{Cluster, Configuration, Request, decide};
use crate::review::{Operation, Review};
use crate::world::World;
use bartizan_model::{CheckUid, Timestamp};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The name that violations go by.
const NAME: &str = "pod-security";

impl Admitter {
    /// From now on the labels of namespaces are honoured, with these defaults and exemptions.
    pub fn judge_pod_security(&mut self, configuration: Arc<Configuration>) {
        self.pod_security = Some(configuration);
    }

    pub(super) fn pods(&self, review: &Review, now: Timestamp, found: &mut Found) {
        let Some(configuration) = &self.pod_security else {
            return;
        };
        if !matches!(review.operation, Operation::Create | Operation::Update) {
            return;
        }
        let named = review.object.get("metadata").and_then(|m| m.get("name"));
        let name = match review.name.as_str() {
            "" => named.and_then(Value::as_str).unwrap_or_default(),
            name => name,
        };
        let is_namespace = review.resource.resource == "namespaces";
        let request = Request {
            group: &review.resource.group,
            resource: &review.resource.resource,
            subresource: &review.sub_resource,
            operation: review.operation.word(),
            namespace: if is_namespace {
                name
            } else {
                &review.namespace
            },
            name,
            user: &review.user.username,
            object: &review.object,
            old_object: &review.old_object,
        };
        let told = decide(configuration, &*self.world, &request);
        let mut say = |mode: &str, action: Action, message: String| {
            let Ok(policy) = CheckUid::of(NAME, "kubernetes", mode) else {
                return;
            };
            let exception = Forms::of(review)
                .ok()
                .and_then(|forms| self.excepted(&policy, NAME, &forms, now));
            found.explains.push(Explain {
                policy,
                kind: "PodSecurity".to_owned(),
                constraint: NAME.to_owned(),
                actions: vec![action.word()],
                severity: action.severity(),
                message,
                path: None,
                actual: None,
                expected: None,
                remediation: String::new(),
                template_at: String::new(),
                constraint_at: format!("namespace {}", request.namespace),
                exception,
            });
        };
        let failed = told.refused.as_ref().is_some_and(|r| r.code >= 500);
        match told.refused {
            Some(refusal) if failed => found.untold.push(Untold {
                policy: None,
                constraint: NAME.to_owned(),
                denies: true,
                why: refusal.message,
            }),
            Some(refusal) => say("enforce", Action::Deny, refusal.message),
            None => {}
        }
        for warning in told.warnings {
            say("warn", Action::Warn, warning);
        }
        if let Some(audited) = told.audit.get("audit-violations") {
            say("audit", Action::Dryrun, audited.clone());
        }
        if let Some(error) = told.audit.get("error").filter(|_| !failed) {
            found.untold.push(Untold {
                policy: None,
                constraint: NAME.to_owned(),
                denies: false,
                why: error.clone(),
            });
        }
        let named = told.audit.into_iter();
        let named = named.map(|(key, value)| (format!("{NAME}.{key}"), value));
        found.annotations.extend(named);
    }
}

impl Cluster for World {
    fn labels(&self, namespace: &str) -> Option<Map<String, Value>> {
        let labels = self.namespace_labels(namespace)?.iter();
        Some(labels.map(|(k, v)| (k.clone(), v.clone().into())).collect())
    }

    /// Only where the inventory holds Pods.
    fn pods(&self, namespace: &str) -> Option<Vec<Value>> {
        let all = self.inventory()?.get("namespace")?.as_object()?;
        let of = |objects: &Value| objects.get("v1").and_then(|v1| v1.get("Pod")).cloned();
        if !all.values().any(|objects| of(objects).is_some()) {
            return None;
        }
        let own = all.get(namespace).and_then(of);
        let own = own.as_ref().and_then(Value::as_object);
        Some(
            own.into_iter()
                .flatten()
                .map(|(_, pod)| pod.clone())
                .collect(),
        )
    }
}
