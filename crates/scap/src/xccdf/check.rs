//! Checks evaluated: OVAL results become XCCDF results.

use super::model::{Check, OVAL, SimpleCheck};
use super::outcome::{RuleResult, UsedCheck, Why};
use super::plan::{Externals, Plan, Source};
use super::script::{self, SCE, Script, Scripts};
use crate::content::cpe::CheckRef;
use crate::oval::model::Document;
use crate::oval::outcome::Truth;
use std::sync::Arc;

/// The most values that a rule gives as its reason.
const MAX_WHY: usize = 8;

/// What evaluates the definitions of one document.
pub(super) trait Definitions {
    /// The result of a definition.
    fn definition(&mut self, id: &str) -> Truth;
    /// The values that decided it.
    fn why(&self, id: &str) -> Vec<Why>;
}

/// How an evaluator is made.
pub(super) type Make<'p, 'm, D> = &'m dyn Fn(&'p Document, &'p Externals) -> D;

/// What a check came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub result: RuleResult,
    pub check: Option<UsedCheck>,
    pub message: Option<String>,
    pub why: Vec<Why>,
}

impl Answer {
    pub fn only(result: RuleResult, message: Option<&str>) -> Self {
        Self {
            result,
            check: None,
            message: message.map(str::to_owned),
            why: Vec::new(),
        }
    }
}

type Exports = Vec<(Arc<str>, Arc<str>, String)>;

/// The evaluators of a run, opened when they are first needed.
pub(super) struct Checker<'p, 'm, D> {
    plan: &'p Plan<'p>,
    make: Make<'p, 'm, D>,
    scripts: Option<&'m dyn Scripts>,
    open: Vec<Option<D>>,
}

impl<'p, 'm, D: Definitions> Checker<'p, 'm, D> {
    pub fn new(
        plan: &'p Plan<'p>,
        make: Make<'p, 'm, D>,
        scripts: Option<&'m dyn Scripts>,
    ) -> Self {
        Self {
            plan,
            make,
            scripts,
            open: plan.sessions.iter().map(|_| None).collect(),
        }
    }

    /// The evaluators that were needed, with what results call their documents.
    pub fn into_evaluators(self) -> Vec<(Arc<str>, D)> {
        let sessions = self.plan.sessions.iter();
        sessions
            .zip(self.open)
            .filter_map(|(session, open)| Some((Arc::clone(&session.href), open?)))
            .collect()
    }

    fn evaluator(&mut self, session: usize) -> Option<(&'p Document, &mut D)> {
        let plan = self.plan;
        let make = self.make;
        let planned = plan.sessions.get(session)?;
        let open = self.open.get_mut(session)?;
        let evaluator = open.get_or_insert_with(|| make(&planned.document, &planned.externals));
        Some((&*planned.document, evaluator))
    }

    /// Whether a CPE check is true; what cannot be evaluated is not.
    pub fn holds(&mut self, extra: bool, check: &CheckRef) -> bool {
        let Source::Oval(place, _) = *self.plan.cpe_source(extra, check) else {
            return false;
        };
        let session = self.plan.session(place, &[]);
        let Some((document, evaluator)) = session.and_then(|session| self.evaluator(session))
        else {
            return false;
        };
        document.definitions.contains_key(&check.id)
            && evaluator.definition(&check.id) == Truth::True
    }

    /// Evaluates the check of a rule: one answer, or one for each definition of a
    /// `multi-check`. As OpenSCAP, `unscored` makes only the answer of a simple check
    /// `informational`.
    pub fn rule(&mut self, check: &Check, unscored: bool) -> Vec<Answer> {
        let simple = match check {
            Check::Complex { .. } => return vec![self.check(check)],
            Check::Simple(simple) => simple,
        };
        if simple.multi
            && let Some(answers) = self.multi(simple)
        {
            return answers;
        }
        let mut answer = self.simple(simple);
        if unscored && self.plan.exports(simple).is_ok() {
            answer.result = RuleResult::Informational;
        }
        vec![answer]
    }

    /// The answers of the first reference without a name to a document that is here; None
    /// where an earlier reference decides, or none is such.
    fn multi(&mut self, check: &SimpleCheck) -> Option<Vec<Answer>> {
        let exports = self.plan.exports(check).ok()?;
        for (href, name) in &check.refs {
            let place = match self.plan.source(href) {
                Source::Oval(place, _) if &*check.system == OVAL => *place,
                Source::Broken(_) => return None,
                _ => continue,
            };
            if name.is_some() {
                // A named reference that can be evaluated comes first and decides.
                let answer = self.reference(check, href, name.as_ref(), &exports);
                if answer.result == RuleResult::NotChecked {
                    continue;
                }
                return None;
            }
            let session = self.plan.session(place, &exports)?;
            let document = &self.plan.sessions.get(session)?.document;
            if document.order.is_empty() {
                let message = "No definitions found for @multi-check.";
                return Some(vec![Answer::only(RuleResult::Unknown, Some(message))]);
            }
            let answers = document.order.iter().map(|id| {
                let answer = self.reference(check, href, Some(id), &exports);
                negated(answer, check.negate)
            });
            return Some(answers.collect());
        }
        None
    }

    /// Recursion is bounded by the depth of the XML.
    fn check(&mut self, check: &Check) -> Answer {
        let (all, negate, parts) = match check {
            Check::Simple(simple) => return self.simple(simple),
            Check::Complex { all, negate, parts } => (*all, *negate, parts),
        };
        let mut together: Option<Answer> = None;
        for part in parts {
            let mut answer = self.check(part);
            together = Some(match together {
                None => answer,
                Some(mut earlier) => {
                    let result = combine(all, earlier.result, answer.result);
                    // The part that decided speaks for all of them.
                    if result == answer.result && result != earlier.result {
                        std::mem::swap(&mut earlier, &mut answer);
                    }
                    earlier.why.append(&mut answer.why);
                    earlier.why.truncate(MAX_WHY);
                    earlier.result = result;
                    earlier
                }
            });
        }
        let together = together.unwrap_or_else(|| {
            Answer::only(RuleResult::NotChecked, Some("The check has no parts."))
        });
        negated(together, negate)
    }

    fn simple(&mut self, check: &SimpleCheck) -> Answer {
        let exports = match self.plan.exports(check) {
            Ok(exports) => exports,
            Err(why) => {
                let message = format!("Value bindings not found: {why}.");
                return Answer::only(RuleResult::Unknown, Some(&message));
            }
        };
        for (href, name) in &check.refs {
            let answer = self.reference(check, href, name.as_ref(), &exports);
            if answer.result != RuleResult::NotChecked {
                return negated(answer, check.negate);
            }
        }
        let message = "None of the check-content-ref elements was resolvable.";
        Answer::only(RuleResult::NotChecked, Some(message))
    }

    /// Evaluates one alternative: `notchecked` sends on to the next.
    fn reference(
        &mut self,
        check: &SimpleCheck,
        href: &Arc<str>,
        name: Option<&Arc<str>>,
        exports: &Exports,
    ) -> Answer {
        match &*check.system {
            OVAL => {}
            SCE => return self.script(check, href, exports),
            _ => return Answer::only(RuleResult::NotChecked, None),
        }
        let (place, known_as) = match self.plan.source(href) {
            Source::Oval(place, known_as) => (*place, Arc::clone(known_as)),
            Source::Broken(what) => return Answer::only(RuleResult::Error, Some(what)),
            Source::Script(_) | Source::Elsewhere => {
                return Answer::only(RuleResult::NotChecked, None);
            }
        };
        let session = self.plan.session(place, exports);
        let Some((document, evaluator)) = session.and_then(|session| self.evaluator(session))
        else {
            let message = "The check was not planned: a fault of the program.";
            return Answer::only(RuleResult::Error, Some(message));
        };
        let Some((result, why)) = decide(document, evaluator, name) else {
            return Answer::only(RuleResult::NotChecked, None);
        };
        Answer {
            result,
            check: Some(UsedCheck {
                system: Arc::clone(&check.system),
                href: known_as,
                name: name.cloned(),
                exports: exports.clone(),
                imports: Vec::new(),
            }),
            message: None,
            why,
        }
    }

    /// Has a script decide. A name that leads to none is not checked, as with OpenSCAP.
    fn script(&self, check: &SimpleCheck, href: &Arc<str>, exports: &Exports) -> Answer {
        let text = match self.plan.source(href) {
            Source::Script(text) => text,
            Source::Broken(what) => return Answer::only(RuleResult::Error, Some(what)),
            _ => return Answer::only(RuleResult::NotChecked, None),
        };
        let Some(scripts) = self.scripts else {
            return Answer::only(RuleResult::NotChecked, None);
        };
        let script = Script { name: href, text };
        let environment = script::environment(self.plan.benchmark, exports);
        let ran = match scripts.run(&script, &environment) {
            Ok(ran) => ran,
            Err(what) => {
                let message = format!("The script {href} could not be run: {what}.");
                return Answer::only(RuleResult::Error, Some(&message));
            }
        };
        let (result, message, why) = script::result(href, &ran);
        Answer {
            result,
            check: Some(UsedCheck {
                system: Arc::clone(&check.system),
                href: Arc::clone(href),
                name: None,
                exports: exports.clone(),
                imports: script::imports(check, &ran),
            }),
            message,
            why,
        }
    }
}

/// One definition, or without a name all of them together. None: there is no such one.
fn decide<D: Definitions>(
    document: &Document,
    evaluator: &mut D,
    name: Option<&Arc<str>>,
) -> Option<(RuleResult, Vec<Why>)> {
    let mut one = |id: &Arc<str>| {
        let class = &*document.definitions.get(id)?.class;
        let result = from_oval(class, evaluator.definition(id));
        let mut why = evaluator.why(id);
        why.truncate(MAX_WHY);
        Some((result, why))
    };
    if let Some(name) = name {
        return one(name);
    }
    let mut together: Option<(RuleResult, Vec<Why>)> = None;
    for (result, mut why) in document.order.iter().filter_map(&mut one) {
        together = Some(match together {
            None => (result, why),
            Some((earlier, mut reasons)) => {
                if result != RuleResult::Pass {
                    reasons.append(&mut why);
                    reasons.truncate(MAX_WHY);
                }
                (combine(true, earlier, result), reasons)
            }
        });
    }
    // Definitions without any: OpenSCAP calls it an error.
    Some(together.unwrap_or((RuleResult::Error, Vec::new())))
}

/// By the definition's class (SP 800-126): of vulnerabilities and patches, true is bad.
fn from_oval(class: &str, truth: Truth) -> RuleResult {
    let is_bad = matches!(class, "vulnerability" | "patch");
    match truth {
        Truth::True if is_bad => RuleResult::Fail,
        Truth::True => RuleResult::Pass,
        Truth::False if is_bad => RuleResult::Pass,
        Truth::False => RuleResult::Fail,
        Truth::Error => RuleResult::Error,
        Truth::Unknown => RuleResult::Unknown,
        Truth::NotApplicable => RuleResult::NotApplicable,
        Truth::NotEvaluated => RuleResult::NotChecked,
    }
}

fn negated(mut answer: Answer, negate: bool) -> Answer {
    answer.result = match answer.result {
        RuleResult::Pass if negate => RuleResult::Fail,
        RuleResult::Fail if negate => RuleResult::Pass,
        other => other,
    };
    answer
}

/// Combines two results in order. As OpenSCAP's tables, which differ from XCCDF's in one
/// thing: where the earlier is `error` or `unknown` and the later does not decide, the two
/// words are exchanged.
pub(super) fn combine(all: bool, earlier: RuleResult, later: RuleResult) -> RuleResult {
    use RuleResult::{Error, Fail, Pass, Unknown};
    let (decisive, weaker) = if all { (Fail, Pass) } else { (Pass, Fail) };
    match (earlier, later) {
        (one, other) if one == decisive || other == decisive => decisive,
        (Error, _) | (Unknown, Unknown) => Unknown,
        (Unknown, _) => Error,
        (_, Error) => Error,
        (_, Unknown) => Unknown,
        (one, other) if one == weaker || other == weaker => weaker,
        // Not applicable, not checked, not selected, informational: the first of these.
        (one, other) => one.min(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RuleResult::{Error, Fail, NotApplicable, NotChecked, Pass, Unknown};

    #[test]
    fn results_combine_as_openscap_does() {
        for (all, earlier, later, together) in [
            (true, Pass, Pass, Pass),
            (true, Pass, Fail, Fail),
            (true, Error, Fail, Fail),
            (true, Pass, Error, Error),
            (true, Error, Pass, Unknown),
            (true, Unknown, Pass, Error),
            (true, Unknown, Unknown, Unknown),
            (true, NotChecked, Pass, Pass),
            (true, NotChecked, NotApplicable, NotApplicable),
            (false, Fail, Pass, Pass),
            (false, Error, Pass, Pass),
            (false, Fail, NotChecked, Fail),
            (false, NotChecked, NotChecked, NotChecked),
            (false, Fail, Unknown, Unknown),
        ] {
            assert_eq!(
                combine(all, earlier, later),
                together,
                "{all} {earlier:?} {later:?}"
            );
        }
    }

    #[test]
    fn the_class_says_what_true_means() {
        assert_eq!(from_oval("compliance", Truth::True), Pass);
        assert_eq!(from_oval("inventory", Truth::False), Fail);
        assert_eq!(from_oval("vulnerability", Truth::True), Fail);
        assert_eq!(from_oval("patch", Truth::False), Pass);
        assert_eq!(from_oval("patch", Truth::Error), Error);
        assert_eq!(from_oval("compliance", Truth::NotEvaluated), NotChecked);
    }
}
