//! What a probe collected: items with their statuses, as OVAL System Characteristics has them.

use super::model::Datatype;
use std::sync::Arc;

/// The status of an item or of one of its entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Status {
    /// It is there.
    #[default]
    Exists,
    /// It is not there.
    DoesNotExist,
    /// It could not be read.
    Error,
    /// It was not asked for.
    NotCollected,
}

/// A collected value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value {
    /// The entity's name.
    pub name: Arc<str>,
    /// How it is read.
    pub datatype: Datatype,
    /// Whether it is there.
    pub status: Status,
    /// The value as text; empty unless it exists.
    pub text: Arc<str>,
    /// The fields of a record.
    pub fields: Vec<Value>,
}

/// A thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Item {
    /// Whether it is there.
    pub status: Status,
    /// Its entities; a name may occur many times.
    pub values: Vec<Value>,
    /// What went wrong.
    pub message: Option<Arc<str>>,
}

impl Item {
    /// An item that exists.
    pub fn new() -> Self {
        Self::default()
    }

    /// An item that could not be read.
    pub fn error(message: impl Into<Arc<str>>) -> Self {
        Self {
            status: Status::Error,
            values: Vec::new(),
            message: Some(message.into()),
        }
    }

    /// Adds a value that exists.
    #[must_use]
    pub fn with(self, name: &str, datatype: Datatype, text: impl Into<Arc<str>>) -> Self {
        self.with_status(name, datatype, Status::Exists, text)
    }

    /// Adds a string that exists.
    #[must_use]
    pub fn string(self, name: &str, text: impl Into<Arc<str>>) -> Self {
        self.with(name, Datatype::String, text)
    }

    /// Adds an integer.
    #[must_use]
    pub fn int(self, name: &str, number: impl std::fmt::Display) -> Self {
        self.with(name, Datatype::Int, number.to_string())
    }

    /// Adds a boolean.
    #[must_use]
    pub fn boolean(self, name: &str, value: bool) -> Self {
        self.with(
            name,
            Datatype::Boolean,
            if value { "true" } else { "false" },
        )
    }

    /// Adds a value that is not there, or not collected.
    #[must_use]
    pub fn without(self, name: &str, status: Status) -> Self {
        self.with_status(name, Datatype::String, status, "")
    }

    /// Adds a value with its status.
    #[must_use]
    pub fn with_status(
        mut self,
        name: &str,
        datatype: Datatype,
        status: Status,
        text: impl Into<Arc<str>>,
    ) -> Self {
        self.values.push(Value {
            name: Arc::from(name),
            datatype,
            status,
            text: text.into(),
            fields: Vec::new(),
        });
        self
    }

    /// The values of that name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.values.iter().filter(move |value| &*value.name == name)
    }

    /// The first value of that name that exists.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values
            .iter()
            .find(|value| &*value.name == name && value.status == Status::Exists)
            .map(|value| &*value.text)
    }
}

/// How complete a collection is (`FlagEnumeration`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// Everything that matches was found.
    Complete,
    /// Nothing matches.
    DoesNotExist,
    /// Could not look.
    Error,
    /// Some of what matches was found.
    Incomplete,
    /// The object means nothing on this system.
    NotApplicable,
    /// Nobody looked: there is no probe for it.
    NotCollected,
}

/// The items of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Collected {
    /// How complete they are.
    pub flag: Flag,
    /// The items.
    pub items: Vec<Item>,
    /// Why it is not complete.
    pub message: Option<String>,
}

impl Collected {
    /// All that matches: `complete`, or `does not exist` when there is none.
    pub fn complete(items: Vec<Item>) -> Self {
        let flag = if items.is_empty() {
            Flag::DoesNotExist
        } else if items.iter().any(|item| item.status == Status::Error) {
            Flag::Incomplete
        } else {
            Flag::Complete
        };
        Self {
            flag,
            items,
            message: None,
        }
    }

    /// Could not look.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            flag: Flag::Error,
            items: Vec::new(),
            message: Some(message.into()),
        }
    }

    /// Means nothing here.
    pub fn not_applicable(message: impl Into<String>) -> Self {
        Self {
            flag: Flag::NotApplicable,
            items: Vec::new(),
            message: Some(message.into()),
        }
    }

    /// Found some, but not surely all.
    pub fn incomplete(items: Vec<Item>, message: impl Into<String>) -> Self {
        Self {
            flag: Flag::Incomplete,
            items,
            message: Some(message.into()),
        }
    }
}
