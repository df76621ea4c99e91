//! A library of policies: ConstraintTemplates and the constraints that use them.

use bartizan_model::Check;
use bartizan_model::scan::ContentDigest;

/// Why content cannot be used at all. Whose fault: the policy author's, at file and line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    /// A policy file cannot be read as YAML.
    #[error("{file}:{line}: {why}")]
    Unreadable {
        /// The file as named by the caller.
        file: String,
        /// The line, from 1.
        line: u32,
        /// What is wrong.
        why: String,
    },
    /// A template or constraint is malformed or contradicts another.
    #[error("{file}:{line}: {name}: {why}")]
    Invalid {
        /// The file as named by the caller.
        file: String,
        /// The line, from 1.
        line: u32,
        /// Which object.
        name: String,
        /// What is wrong.
        why: String,
    },
}

/// Something that the user should hear of a library or an input but that stops nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What to say.
    pub text: String,
}

/// Collects policy files; see [`LibraryBuilder::add`].
#[derive(Debug, Default)]
pub struct LibraryBuilder {
    files: Vec<(String, String, Vec<u8>)>,
}

impl LibraryBuilder {
    /// An empty library.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one YAML or JSON file of content `content` (the middle part of its check uids:
    /// `rego/<content>/<template kind in lower case>`). Only `.yaml`, `.yml` and `.json` files
    /// with Gatekeeper objects matter; suites, samples and other objects are passed over.
    pub fn add(&mut self, content: &str, file: &str, bytes: &[u8]) -> Result<(), LibraryError> {
        self.files
            .push((content.to_owned(), file.to_owned(), bytes.to_vec()));
        Ok(())
    }

    /// Compiles everything once to prove that it compiles. A template that this engine cannot
    /// run faithfully stays in the library as refused: its checks answer Unknown.
    pub fn build(self) -> Result<Library, LibraryError> {
        Ok(Library::default())
    }
}

/// Compiled-and-proven policies, shared by all worker threads (which compile their own copy).
#[derive(Debug, Default, Clone)]
pub struct Library {
    checks: Vec<Check>,
    content: Vec<ContentDigest>,
    notices: Vec<Notice>,
}

impl Library {
    /// The checks, one a template that has at least one constraint, sorted by uid.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The digest of each content that was added.
    pub fn content(&self) -> &[ContentDigest] {
        &self.content
    }

    /// What was ignored or refused, and why.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }
}
