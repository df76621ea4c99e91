//! An entity of an object made ready for many comparisons with bytes.

use crate::oval::compare::Pattern;
use crate::oval::model::{Datatype, Operation};
use crate::oval::outcome::Truth;
use crate::probe::{Bound, Context};
use std::sync::Arc;

/// How an entity is compared.
pub(super) enum Matcher<'e> {
    /// A pattern that every name matches that has no line end in it.
    Anything(&'e Bound),
    /// Exactly this.
    Exact(&'e [u8]),
    /// This pattern.
    Pattern(Arc<Pattern>),
    /// Everything else.
    General(&'e Bound),
}

impl<'e> Matcher<'e> {
    /// For an entity.
    pub fn new(ctx: &Context<'_>, bound: &'e Bound) -> Self {
        if let ([value], Datatype::String) = (bound.values.as_slice(), bound.datatype)
            && bound.var_check != crate::oval::model::Check::None
        {
            match bound.operation {
                Operation::Equals => return Self::Exact(value.as_bytes()),
                Operation::PatternMatch
                    if matches!(&**value, ".*" | "^.*$" | "^.*" | ".+" | "^.+$") =>
                {
                    return Self::Anything(bound);
                }
                Operation::PatternMatch => {
                    if let Some(pattern) = ctx.pattern(value) {
                        return Self::Pattern(pattern);
                    }
                }
                _ => {}
            }
        }
        Self::General(bound)
    }

    /// Whether it matches; an error where that cannot be told.
    pub fn matches(&self, ctx: &Context<'_>, actual: &[u8]) -> Result<bool, String> {
        match self {
            Self::Exact(wanted) => Ok(*wanted == actual),
            Self::Pattern(pattern) => {
                utf8(actual)?;
                pattern.is_match(actual)
            }
            Self::Anything(_) if !actual.contains(&b'\n') => utf8(actual).map(|()| true),
            Self::General(bound) | Self::Anything(bound) => {
                let text = String::from_utf8_lossy(actual);
                match ctx.matches(bound, &text) {
                    Truth::True => Ok(true),
                    Truth::Error => Err(format!("{} {text:?} cannot be compared", bound.name)),
                    _ => Ok(false),
                }
            }
        }
    }
}

/// Refuses what PCRE refuses in UTF-8 mode, and so OpenSCAP.
pub(super) fn utf8(actual: &[u8]) -> Result<(), String> {
    match std::str::from_utf8(actual) {
        Ok(_) => Ok(()),
        Err(error) => {
            let good = actual.get(..error.valid_up_to()).unwrap_or_default();
            let shown: String = String::from_utf8_lossy(good)
                .chars()
                .rev()
                .take(40)
                .collect::<Vec<char>>()
                .into_iter()
                .rev()
                .collect();
            Err(format!(
                "not UTF-8 after {shown:?}: no pattern can be compared with it"
            ))
        }
    }
}
