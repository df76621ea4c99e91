//! What admission says of a review: the outcome, why, and the answer that goes back.

use crate::enforce::Action;
use crate::review::Response;
use bartizan_model::{CheckUid, Severity};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is answered where a policy could not be told. A named choice, because either way
/// something that was not judged is let pass or is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Failure {
    /// The request goes on, recorded as unknown; the field's default.
    #[default]
    Open,
    /// The request is refused, recorded as unknown.
    Closed,
}

/// How a review ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every policy that matched was evaluated, and none denies.
    Allowed,
    /// A policy denies.
    Denied,
    /// Nothing denies, but something could not be told; see [`Failure`].
    Unknown,
    /// Nothing was asked: the namespace is left out, by Config or label.
    Excluded,
}

impl Outcome {
    /// The word of the record.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Unknown => "unknown",
            Self::Excluded => "excluded",
        }
    }
}

/// One violation, told so that one can find and mend it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explain {
    /// The check.
    pub policy: CheckUid,
    /// The constraint's kind, the template's.
    pub kind: String,
    /// The constraint's name.
    pub constraint: String,
    /// What it leads to, the worst last.
    pub actions: Vec<&'static str>,
    /// How bad it is.
    pub severity: Severity,
    /// What the policy says.
    pub message: String,
    /// The value's path in the object, where the policy tells.
    pub path: Option<String>,
    /// The value there, without secrets.
    pub actual: Option<String>,
    /// What was wanted there.
    pub expected: Option<String>,
    /// How to mend it; empty where the policy does not say.
    pub remediation: String,
    /// Where the template stands.
    pub template_at: String,
    /// Where the constraint stands.
    pub constraint_at: String,
    /// The exception that lets it pass, with owner and reason.
    pub exception: Option<Excepted>,
}

/// Why a violation is let pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Excepted {
    /// The exception's name.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
}

/// Something that could not be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Untold {
    /// The check; none where the review as a whole could not be judged.
    pub policy: Option<CheckUid>,
    /// The constraint's name; empty where it is the review as a whole.
    pub constraint: String,
    /// Whether a violation would have denied.
    pub denies: bool,
    /// Why.
    pub why: String,
}

/// What admission says of a review.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the request goes on.
    pub allowed: bool,
    /// All violations, those of dry runs and those with an exception too.
    pub explains: Vec<Explain>,
    /// What could not be told.
    pub untold: Vec<Untold>,
    /// Why nothing was asked.
    pub excluded: Option<&'static str>,
    /// How many constraints and bindings were evaluated.
    pub evaluated: usize,
    /// What policies want in the audit log, by name.
    pub annotations: BTreeMap<String, String>,
    /// Why the object itself, a policy, cannot be used; nothing was asked then.
    pub invalid: Option<String>,
    /// What else the user should hear.
    pub warnings: Vec<String>,
}

/// A message that goes back is cut here; an API server cuts warnings much earlier.
const MAX_MESSAGE: usize = 32 << 10;

impl Verdict {
    /// From what was found.
    pub(crate) fn of(
        explains: Vec<Explain>,
        untold: Vec<Untold>,
        evaluated: usize,
        failure: Failure,
    ) -> Self {
        let denied = explains.iter().any(|e| e.does(Action::Deny));
        let doubt = untold.iter().any(|u| u.denies);
        let refused = denied || (doubt && failure == Failure::Closed);
        Self {
            outcome: match (denied, untold.is_empty()) {
                (true, _) => Outcome::Denied,
                (false, false) => Outcome::Unknown,
                (false, true) => Outcome::Allowed,
            },
            allowed: !refused,
            explains,
            untold,
            excluded: None,
            evaluated,
            annotations: BTreeMap::new(),
            invalid: None,
            warnings: Vec::new(),
        }
    }

    /// Nothing could be told of the review at all.
    pub fn unknown(why: impl Into<String>, failure: Failure) -> Self {
        let untold = Untold {
            policy: None,
            constraint: String::new(),
            denies: true,
            why: why.into(),
        };
        Self::of(Vec::new(), vec![untold], 0, failure)
    }

    /// The object is a policy that cannot be used.
    pub(crate) fn invalid(why: String) -> Self {
        let mut verdict = Self::of(Vec::new(), Vec::new(), 0, Failure::Closed);
        verdict.outcome = Outcome::Denied;
        verdict.allowed = false;
        verdict.invalid = Some(why);
        verdict
    }

    pub(crate) fn excluded(why: &'static str) -> Self {
        Self {
            outcome: Outcome::Excluded,
            allowed: true,
            explains: Vec::new(),
            untold: Vec::new(),
            excluded: Some(why),
            evaluated: 0,
            annotations: BTreeMap::new(),
            invalid: None,
            warnings: Vec::new(),
        }
    }

    /// The answer, worded as Gatekeeper words it: `[constraint] message`, a line each.
    pub fn response(&self) -> Response {
        let told = |action| {
            let these = self.explains.iter().filter(move |e| e.does(action));
            these.map(|e| format!("[{}] {}", e.constraint, e.message))
        };
        let denials: Vec<String> = told(Action::Deny).collect();
        let mut warnings: Vec<String> = told(Action::Warn).collect();
        warnings.extend(self.warnings.iter().cloned());
        let doubts = self.untold.iter().map(|u| match u.constraint.as_str() {
            "" => format!("not judged: {}", u.why),
            name => format!("[{name}] not judged: {}", u.why),
        });
        let mut doubts: Vec<String> = doubts.collect();
        let (code, reason, message) = if let Some(why) = &self.invalid {
            (422, "Invalid", why.clone())
        } else if !denials.is_empty() {
            warnings.append(&mut doubts);
            (403, "Forbidden", denials.join("\n"))
        } else if !self.allowed {
            (500, "InternalError", doubts.join("\n"))
        } else {
            warnings.append(&mut doubts);
            let code = if warnings.is_empty() { 200 } else { 299 };
            (code, "", self.excluded.unwrap_or_default().to_owned())
        };
        let mut annotations = self.annotations.clone();
        if !matches!(self.outcome, Outcome::Allowed) {
            annotations.insert("outcome".to_owned(), self.outcome.word().to_owned());
        }
        for explain in self.explains.iter().filter(|e| e.exception.is_some()) {
            if let Some(e) = &explain.exception {
                let text = format!("{}: {}", e.owner, e.reason);
                annotations.insert(format!("exception.{}", e.name), cut(text));
            }
        }
        Response {
            allowed: self.allowed,
            code,
            reason: reason.to_owned(),
            message: cut(message),
            warnings: warnings.into_iter().take(32).map(cut).collect(),
            patch: None,
            audit_annotations: annotations,
        }
    }
}

impl Explain {
    /// Whether it leads to this, which an exception prevents.
    pub fn does(&self, action: Action) -> bool {
        self.exception.is_none() && self.actions.contains(&action.word())
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_MESSAGE {
        let mut end = MAX_MESSAGE;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}
