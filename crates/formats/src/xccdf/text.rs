//! Texts of a benchmark, which have places for values, and texts as reports can hold them.

use super::xml::{Element, Node};

/// The most bytes of one text that are kept.
const MAX_KEPT: usize = 32 << 10;
/// The most characters of a text and of a value in a report.
pub(super) const MAX_TEXT: usize = 16_000;
pub(super) const MAX_VALUE: usize = 512;

/// A text with places where a value or a plain text is put in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// As it is, markup removed.
    Plain(String),
    /// The text of a value, or its title.
    Sub { id: String, title: bool },
}

impl Text {
    /// The text of an element. In prose, markup becomes line ends and dashes.
    pub(super) fn of(element: &Element, prose: bool) -> Self {
        let mut text = Self::default();
        let mut left = MAX_KEPT;
        gather(element, prose, &mut text, &mut left);
        text
    }

    /// How much memory it takes.
    pub(super) fn size(&self) -> usize {
        let parts = self.0.iter().map(|part| match part {
            Part::Plain(text) => text.len(),
            Part::Sub { id, .. } => id.len(),
        });
        parts.sum::<usize>() + self.0.len() * size_of::<Part>()
    }

    /// The text with each place filled; a place that cannot be filled stays as its id in
    /// brackets.
    pub(super) fn render(&self, fill: &dyn Fn(&str, bool) -> Option<String>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Plain(plain) => text.push_str(plain),
                Part::Sub { id, title } => match fill(id, *title) {
                    Some(filled) => text.push_str(&filled),
                    None => text.push_str(&format!("[{id}]")),
                },
            }
        }
        text.trim().to_owned()
    }
}

/// Recursion is bounded by the depth of the XML.
fn gather(element: &Element, prose: bool, text: &mut Text, left: &mut usize) {
    for node in &element.children {
        let inner = match node {
            Node::Text(plain) => {
                push(text, plain, left);
                continue;
            }
            Node::Element(inner) => inner,
        };
        match inner.name.as_str() {
            "sub" => {
                let title = inner.attribute("use") == Some("title");
                sub(text, inner.attribute("idref"), title, left);
            }
            // The form of XCCDF 1.1 within HTML.
            "object"
                if inner
                    .attribute("data")
                    .is_some_and(|data| data.starts_with("#xccdf:")) =>
            {
                let data = inner.attribute("data").unwrap_or_default();
                let title = data.strip_prefix("#xccdf:title:");
                let id = data.strip_prefix("#xccdf:value:").or(title);
                sub(text, id, title.is_some(), left);
            }
            "br" if prose => push(text, "\n", left),
            "li" if prose => {
                push(text, "\n- ", left);
                gather(inner, prose, text, left);
            }
            "p" | "div" | "pre" | "ul" | "ol" | "table" | "tr" if prose => {
                push(text, "\n", left);
                gather(inner, prose, text, left);
                push(text, "\n", left);
            }
            _ => gather(inner, prose, text, left),
        }
    }
}

fn sub(text: &mut Text, id: Option<&str>, title: bool, left: &mut usize) {
    let Some(id) = id.filter(|id| id.len() <= MAX_VALUE) else {
        return;
    };
    let Some(rest) = left.checked_sub(id.len() + size_of::<Part>()) else {
        return;
    };
    *left = rest;
    let id = id.to_owned();
    text.0.push(Part::Sub { id, title });
}

fn push(text: &mut Text, plain: &str, left: &mut usize) {
    let mut end = plain.len().min(*left);
    while !plain.is_char_boundary(end) {
        end -= 1;
    }
    let plain = plain.get(..end).unwrap_or_default();
    *left -= end;
    match text.0.last_mut() {
        Some(Part::Plain(before)) => before.push_str(plain),
        _ => text.0.push(Part::Plain(plain.to_owned())),
    }
}
