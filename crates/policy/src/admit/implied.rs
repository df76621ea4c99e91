//! What an object under review implies by ExpansionTemplates, judged as part of the review.

use super::{Admitter, Explain, Forms, Found, Remaining, Untold};
use crate::ask::Ask;
use crate::enforce::Action;
use crate::expansion::Resultant;
use crate::matching::Target;
use crate::mutate::About;
use crate::providers::{NoProviders, Providers};
use crate::review::Review;
use bartizan_model::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

impl Admitter {
    /// Who is asked for external data, by policies and by mutators of implied objects; nobody
    /// where this is not said.
    pub fn ask_providers(&mut self, providers: Arc<dyn Providers + Send + Sync>) {
        self.providers = Some(providers);
    }

    /// Judges what the object implies. The object itself is not mutated here: the webhook for
    /// that has come before.
    pub(super) fn implied(
        &mut self,
        review: &Review,
        now: Timestamp,
        remaining: &mut Remaining<'_>,
        found: &mut Found,
    ) {
        let implied = Arc::clone(&self.library.implied);
        if implied.expansions.is_empty() || review.object.is_null() {
            return;
        }
        let about = About {
            namespace: &review.namespace,
            username: &review.user.username,
            ..About::default()
        };
        let world = Arc::clone(&self.world);
        let providers = self.providers.clone();
        let providers: &dyn Providers = match &providers {
            Some(providers) => &**providers,
            None => &NoProviders,
        };
        let mutators = &implied.mutators;
        let expanded =
            implied
                .expansions
                .expand(&review.object, &about, mutators, &world, providers);
        let resultants = match expanded {
            Ok(resultants) => resultants,
            Err(why) => {
                return found.untold.push(Untold {
                    policy: None,
                    constraint: String::new(),
                    denies: true,
                    why: format!("what it implies is not known: {why}"),
                });
            }
        };
        for resultant in &resultants {
            let mut own = Found::default();
            self.resultant(review, resultant, now, remaining, &mut own);
            found.evaluated += own.evaluated;
            let explains = own.explains.into_iter();
            found
                .explains
                .extend(explains.map(|e| as_implied(e, resultant)));
            found
                .untold
                .extend(own.untold.into_iter().map(|told| Untold {
                    why: resultant.message(&told.why),
                    denies: match resultant.action.as_str() {
                        "" => told.denies,
                        other => other == "deny",
                    },
                    ..told
                }));
        }
    }

    fn resultant(
        &mut self,
        review: &Review,
        resultant: &Resultant,
        now: Timestamp,
        remaining: &mut Remaining<'_>,
        found: &mut Found,
    ) {
        let object = &resultant.object;
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or("");
        let api = text("apiVersion");
        let (group, version) = api.split_once('/').unwrap_or(("", api));
        let metadata = |field: &str| object.get("metadata").and_then(|m| m.get(field));
        let namespace = metadata("namespace").and_then(Value::as_str).unwrap_or("");
        let request = json!({
            "kind": {"group": group, "version": version, "kind": text("kind")},
            "name": metadata("name"),
            "namespace": namespace,
            "operation": review.operation.word(),
            "options": null,
            "resource": {"group": "", "version": "", "resource": ""},
            "uid": "",
            "userInfo": {}
        });
        let forms = Forms {
            targets: vec![Target {
                group,
                kind: text("kind"),
                namespace,
                value: object,
                generated: true,
            }],
        };
        let world = Arc::clone(&self.world);
        let known = self.namespace(&world, namespace);
        let ask = Ask::new(object, &Value::Null, known, &request);
        for at in self.candidates(&forms).iter() {
            self.rule(*at, review, &forms, &ask, now, remaining, found);
        }
    }
}

fn as_implied(told: Explain, resultant: &Resultant) -> Explain {
    let actions = match resultant.action.as_str() {
        "" => told.actions,
        "deny" => vec![Action::Deny.word()],
        "warn" => vec![Action::Warn.word()],
        // A word that Gatekeeper does not know does nothing there; here it is recorded.
        _ => vec![Action::Dryrun.word()],
    };
    Explain {
        message: resultant.message(&told.message),
        actions,
        ..told
    }
}
