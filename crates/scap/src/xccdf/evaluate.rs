//! A benchmark evaluated under a profile.

use super::check::{Answer, Checker, Definitions};
use super::model::{Body, Item, Role, Rule, Tailoring};
use super::outcome::{Evaluation, RuleOutcome, RuleResult, Why};
use super::plan::{Externals, Plan};
use super::platform::Platforms;
use super::score::scores;
use super::script::Scripts;
use crate::content::Bundle;
use crate::oval::evaluate::Evaluator;
use crate::oval::model::Document;
use crate::oval::outcome::Truth;
use crate::probe::Context;
use std::sync::Arc;

/// What to evaluate.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The profile's id or the end of it; `(all)` selects every rule and group; None for the
    /// benchmark as it is.
    pub profile: Option<String>,
    /// The data stream, where there are many.
    pub datastream_id: Option<String>,
    /// The benchmark's component reference, or the benchmark, where there are many.
    pub xccdf_id: Option<String>,
    /// Only these rules, whether selected or not.
    pub rule: Vec<String>,
    /// Not these rules, whatever else was asked for.
    pub skip_rule: Vec<String>,
    /// Profiles given beside the content.
    pub tailoring: Option<Tailoring>,
    /// CPE dictionaries or platforms given beside the content, with the OVAL definitions that
    /// they refer to: file names and bytes.
    pub cpe_files: Vec<(String, Vec<u8>)>,
    /// Whether scripts of the content may decide rules; see [`run_plan_with_scripts`].
    pub scripts: bool,
}

/// Why nothing was evaluated. The first is the content's fault, the others the caller's or
/// the content's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The content has no benchmark, or none with the ids that were asked for.
    #[error("the content has no such benchmark")]
    NoBenchmark,
    /// No profile has that id or ends so.
    #[error("there is no profile {0:?}")]
    NoProfile(String),
    /// Many profiles end so.
    #[error("more than one profile ends with {0:?}")]
    AmbiguousProfile(String),
    /// A profile extends itself.
    #[error("the profile {0:?} extends itself")]
    Circle(String),
    /// A rule was asked for that is not there.
    #[error("there is no rule {0:?}")]
    NoRule(String),
    /// A CPE file cannot be read.
    #[error("{name}: {what}")]
    Cpe {
        /// The file.
        name: String,
        /// What is wrong.
        what: String,
    },
}

impl Definitions for Evaluator<'_> {
    fn definition(&mut self, id: &str) -> Truth {
        Evaluator::definition(self, id)
    }

    fn why(&self, id: &str) -> Vec<Why> {
        Evaluator::why(self, id)
    }
}

/// Evaluates a benchmark. `progress` hears of each rule before it is evaluated: its id, how
/// many were before it and how many there are.
pub fn run(
    bundle: &Bundle,
    options: &Options,
    context: &Context<'_>,
    progress: &dyn Fn(&str, usize, usize),
) -> Result<Evaluation, EvalError> {
    let plan = Plan::new(bundle, options)?;
    Ok(run_plan(&plan, context, progress).0)
}

/// Evaluates what was planned, and keeps the evaluators for those who write OVAL results:
/// what results call the document, and its evaluator.
pub fn run_plan<'p>(
    plan: &'p Plan<'p>,
    context: &'p Context<'p>,
    progress: &dyn Fn(&str, usize, usize),
) -> (Evaluation, Vec<(Arc<str>, Evaluator<'p>)>) {
    run_plan_with_scripts(plan, context, None, progress)
}

/// As [`run_plan`], with what runs the content's scripts, where [`Options::scripts`] allowed
/// them.
pub fn run_plan_with_scripts<'p>(
    plan: &'p Plan<'p>,
    context: &'p Context<'p>,
    scripts: Option<&dyn Scripts>,
    progress: &dyn Fn(&str, usize, usize),
) -> (Evaluation, Vec<(Arc<str>, Evaluator<'p>)>) {
    let make = |document: &'p Document, externals: &'p Externals| {
        Evaluator::new(document, context, externals)
    };
    run_with(plan, &make, scripts, progress)
}

fn run_with<'p, D: Definitions>(
    plan: &'p Plan<'p>,
    make: &dyn Fn(&'p Document, &'p Externals) -> D,
    scripts: Option<&dyn Scripts>,
    progress: &dyn Fn(&str, usize, usize),
) -> (Evaluation, Vec<(Arc<str>, D)>) {
    let mut run = Run {
        plan,
        checker: Checker::new(plan, make, scripts),
        platforms: Platforms::default(),
        selected: plan.policy.selected.clone(),
        outcomes: Vec::new(),
        begun: 0,
        total: 0,
        progress,
    };
    run.total = run.count();
    let applicable = run.platforms.benchmark(plan, &mut run.checker);
    for place in plan.benchmark.children(None) {
        run.item(place, true);
    }
    let benchmark = plan.benchmark;
    let profile = plan.policy.profile.as_ref();
    let evaluation = Evaluation {
        benchmark: Arc::clone(&benchmark.id),
        version: benchmark.version.clone(),
        profile: profile.map(|profile| Arc::clone(&profile.id)),
        applicable,
        platforms: run.platforms.applied(&benchmark.platforms),
        scores: scores(benchmark, &plan.policy, &run.outcomes),
        rules: run.outcomes,
        values: plan.policy.values(benchmark),
    };
    (evaluation, run.checker.into_evaluators())
}

struct Run<'p, 'm, D> {
    plan: &'p Plan<'p>,
    checker: Checker<'p, 'm, D>,
    platforms: Platforms,
    /// By item: whether it is selected itself. Changes when `requires` or `conflicts` say so.
    selected: Vec<bool>,
    outcomes: Vec<RuleOutcome>,
    begun: usize,
    total: usize,
    progress: &'m dyn Fn(&str, usize, usize),
}

impl<'p, D: Definitions> Run<'p, '_, D> {
    /// How many rules will be evaluated, as far as can be told before.
    fn count(&self) -> usize {
        let plan = self.plan;
        if !plan.only.is_empty() {
            return plan.only.len();
        }
        let mut around: Vec<bool> = Vec::with_capacity(plan.benchmark.items.len());
        let mut rules = 0;
        for (place, item) in plan.benchmark.items.iter().enumerate() {
            let inside = item
                .parent
                .is_none_or(|parent| around.get(parent) == Some(&true));
            let selected = inside && self.is_selected(place);
            around.push(selected);
            if selected && matches!(item.body, Body::Rule(_)) {
                rules += 1;
            }
        }
        rules
    }

    fn is_selected(&self, place: usize) -> bool {
        self.selected.get(place).copied().unwrap_or(false)
    }

    fn is_selected_id(&self, id: &str) -> bool {
        let place = self.plan.benchmark.places.get(id);
        place.is_some_and(|place| self.is_selected(*place))
    }

    /// Whether `requires` and `conflicts` let an item be selected.
    fn may_be_selected(&self, item: &Item) -> bool {
        !item.conflicts.iter().any(|id| self.is_selected_id(id))
            && item
                .requires
                .iter()
                .all(|one_of| one_of.iter().any(|id| self.is_selected_id(id)))
    }

    fn unselect(&mut self, place: usize, end: usize) {
        if let Some(selected) = self.selected.get_mut(place..end) {
            selected.fill(false);
        }
    }

    /// Recursion is bounded by the depth of the XML.
    fn item(&mut self, place: usize, parent_selected: bool) {
        let plan = self.plan;
        let Some(item) = plan.benchmark.items.get(place) else {
            return;
        };
        if let Body::Rule(rule) = &item.body {
            self.rule(place, item, rule, parent_selected);
            return;
        }
        for child in plan.benchmark.children(Some(place)) {
            // Asked anew for each child: an earlier one may have changed what is selected.
            let mut selected = self.is_selected(place);
            if selected && !self.may_be_selected(item) {
                self.unselect(place, item.end);
                selected = false;
            }
            self.item(child, parent_selected && selected);
        }
    }

    fn rule(&mut self, place: usize, item: &'p Item, rule: &'p Rule, parent_selected: bool) {
        let plan = self.plan;
        if plan.skip.contains(&item.id) {
            return self.report(item, Answer::only(RuleResult::NotSelected, None));
        }
        if plan.only.is_empty() {
            let mut selected = parent_selected && self.is_selected(place);
            if selected && !self.may_be_selected(item) {
                self.unselect(place, item.end);
                selected = false;
            }
            if !selected {
                return self.report(item, Answer::only(RuleResult::NotSelected, None));
            }
        } else if !plan.only.contains(&item.id) {
            return self.report(item, Answer::only(RuleResult::NotSelected, None));
        } else if let Some(selected) = self.selected.get_mut(place) {
            *selected = true;
        }
        (self.progress)(&item.id, self.begun, self.total);
        self.begun += 1;
        let role = plan.policy.role(place, rule);
        if role == Role::Unchecked {
            return self.report(item, Answer::only(RuleResult::NotChecked, None));
        }
        if !self.platforms.item(plan, &mut self.checker, place) {
            return self.report(item, Answer::only(RuleResult::NotApplicable, None));
        }
        let Some(check) = plan.deciding(place, rule) else {
            let message = match plan.wants_script(rule) {
                true => "A script decides this rule, and scripts were not allowed to run.",
                false => "No candidate or applicable check found.",
            };
            return self.report(item, Answer::only(RuleResult::NotChecked, Some(message)));
        };
        let answers = self.checker.rule(check, role == Role::Unscored);
        for answer in answers {
            self.report(item, answer);
        }
    }

    fn report(&mut self, item: &Item, answer: Answer) {
        self.outcomes.push(RuleOutcome {
            id: Arc::clone(&item.id),
            result: answer.result,
            check: answer.check,
            message: answer.message,
            why: answer.why,
        });
    }
}

#[cfg(test)]
mod tests;
