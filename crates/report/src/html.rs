//! A report as one self-contained HTML page: no script, no address that is loaded.
//!
//! The page is a template (`html/page.html`) over plain strings and numbers made in `view`;
//! the engine escapes every value. A content policy inside the page forbids scripts and
//! loading whatever might slip through.

mod view;

use crate::{RenderError, Snapshot};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use std::io::Write;

/// The media type.
pub const MEDIA_TYPE: &str = "text/html; charset=utf-8";

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The most findings, and the most rows of each other list; how many were left out is
    /// said.
    pub max_findings: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_findings: 5000 }
    }
}

/// Writes a snapshot as a page.
pub fn write<W: Write>(
    snapshot: &Snapshot,
    options: &Options,
    mut out: W,
) -> Result<(), RenderError> {
    let template = |error: minijinja::Error| RenderError::Template(format!("{error:#}"));
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .map_err(template)?;
    environment.set_syntax(syntax);
    environment
        .add_template("page.html", include_str!("html/page.html"))
        .map_err(template)?;
    let page = environment
        .get_template("page.html")
        .and_then(|page| page.render(Serde(view::page(snapshot, options))))
        .map_err(template)?;
    out.write_all(page.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests;
