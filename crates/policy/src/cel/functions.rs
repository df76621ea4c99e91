//! The functions of the environment, by name.

use super::library;
use super::meter::Meter;
use super::value::{Outcome, Value};

/// What a function does. The target of a member function is the first argument.
pub(super) type Native = for<'a> fn(&mut Meter, &[Value<'a>]) -> Outcome<'a>;

/// A function, or all overloads of one name.
pub(super) struct Function {
    pub name: &'static str,
    /// Called as `target.name(…)`, not as `name(…)`.
    pub member: bool,
    /// How many arguments it takes, the target counted.
    pub args: (usize, usize),
    pub native: Native,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A function that is called by its name alone, or by a name with dots.
pub(super) const fn global(name: &'static str, args: (usize, usize), native: Native) -> Function {
    Function {
        name,
        member: false,
        args,
        native,
    }
}

/// A function that is called on a value.
pub(super) const fn member(name: &'static str, args: (usize, usize), native: Native) -> Function {
    Function {
        name,
        member: true,
        args,
        native,
    }
}

/// All functions of the libraries that Kubernetes enables.
const LIBRARIES: &[&[Function]] = &[
    library::core::FUNCTIONS,
    library::convert::FUNCTIONS,
    library::formats::FUNCTIONS,
    library::lists::FUNCTIONS,
    library::net::FUNCTIONS,
    library::optional::FUNCTIONS,
    library::patch::FUNCTIONS,
    library::quantity::FUNCTIONS,
    library::regex::FUNCTIONS,
    library::semver::FUNCTIONS,
    library::strings::FUNCTIONS,
    library::url::FUNCTIONS,
];

/// The function of that name, called in that way.
pub(super) fn find(name: &str, member: bool) -> Option<&'static Function> {
    LIBRARIES
        .iter()
        .flat_map(|functions| functions.iter())
        .find(|f| f.member == member && f.name == name)
}
