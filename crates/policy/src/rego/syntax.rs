//! The engine's own syntax tree, as JSON, and questions asked of it.

use super::Loci;
use super::lexer::{Token, tokens};
use regorus::utils::limits::PolicyLengthConfig;
use serde_json::Value;
use std::num::{NonZeroU32, NonZeroUsize};

/// An engine that takes lines as long as a source may be: rewriting makes them longer.
pub(crate) fn engine() -> regorus::Engine {
    let mut engine = regorus::Engine::new();
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: NonZeroU32::new(1 << 20).unwrap_or(NonZeroU32::MIN),
        max_file_bytes: NonZeroUsize::new(4 << 20).unwrap_or(NonZeroUsize::MIN),
        ..PolicyLengthConfig::default()
    });
    engine
}

/// The syntax tree of a module.
pub(crate) fn parse(source: &str, v1: bool) -> Result<Value, String> {
    let mut engine = engine();
    engine.set_rego_v0(!v1);
    engine
        .add_policy("template.rego".into(), source.to_owned())
        .map_err(|e| brief(&e.to_string()))?;
    let text = engine.get_ast_as_json().map_err(|e| e.to_string())?;
    let tree: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let module = tree.get(0).cloned().unwrap_or(tree);
    Ok(module.get("ast").cloned().unwrap_or(module))
}

/// The engine's message without its picture of the source.
pub(crate) fn brief(message: &str) -> String {
    let line = message
        .lines()
        .find_map(|l| l.trim().strip_prefix("--> "))
        .unwrap_or("");
    let text = message
        .lines()
        .find(|l| l.starts_with("error: "))
        .or_else(|| message.lines().find(|l| !l.trim().is_empty()))
        .unwrap_or("");
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let whole = if line.is_empty() {
        text.to_owned()
    } else {
        format!("{text} ({line})")
    };
    whole.chars().take(400).collect()
}

/// The source of nodes: spans of the tree leave out quotes, so they are widened to tokens.
pub(crate) struct Text<'s> {
    pub source: &'s str,
    tokens: Vec<Token>,
}

impl<'s> Text<'s> {
    pub(crate) fn new(source: &'s str) -> Result<Self, String> {
        Ok(Self {
            source,
            tokens: tokens(source)?,
        })
    }

    /// Start and end of a node.
    pub(crate) fn range(&self, node: &Value) -> Option<(usize, usize)> {
        let span = node.get("span")?;
        let number = |f: &str| span.get(f)?.as_u64().and_then(|n| usize::try_from(n).ok());
        let (start, end) = (number("start")?, number("end")?);
        let holding = |at: usize| {
            let i = self.tokens.partition_point(|t| t.end <= at);
            self.tokens.get(i).filter(|t| t.start <= at)
        };
        let start_token = holding(start).map_or(start, |t| t.start);
        let last = end.max(start + 1) - 1;
        let end_token = holding(last).map_or(end, |t| t.end).max(start_token);
        // The engine's spans of composites sometimes begin within: trust only their end.
        let composite = ["fields", "items", "query"]
            .iter()
            .any(|f| node.get(f).is_some());
        let opened = if composite {
            self.opening(end_token)
        } else {
            None
        };
        Some((opened.unwrap_or(start_token), end_token))
    }

    /// Where the bracket opens that closes right before a place.
    fn opening(&self, end: usize) -> Option<usize> {
        let last = self
            .tokens
            .partition_point(|t| t.end <= end)
            .checked_sub(1)?;
        let mut depth = 0_usize;
        for token in self.tokens.get(..=last)?.iter().rev() {
            match token.text(self.source) {
                "}" | "]" | ")" => depth += 1,
                "{" | "[" | "(" => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                return (token.start < end
                    && token.text(self.source).len() == 1
                    && "{[(".contains(token.text(self.source)))
                .then_some(token.start);
            }
        }
        None
    }

    /// The text of a node.
    pub(crate) fn of(&self, node: &Value) -> Option<&'s str> {
        let (start, end) = self.range(node)?;
        self.source.get(start..end)
    }
}

/// The one entry of a node such as `{"Call": {…}}`.
pub(crate) fn variant(node: &Value) -> Option<(&str, &Value)> {
    let map = node.as_object()?;
    if map.len() != 1 {
        return None;
    }
    map.iter().next().map(|(k, v)| (k.as_str(), v))
}

/// Visits every node that is a variant, parents first.
pub(crate) fn visit<'t>(node: &'t Value, see: &mut dyn FnMut(&'t str, &'t Value)) {
    match node {
        Value::Array(items) => items.iter().for_each(|v| visit(v, see)),
        Value::Object(map) => {
            if let Some((name, inner)) = variant(node).filter(|(_, n)| n.get("span").is_some()) {
                see(name, inner);
            }
            map.iter()
                .filter(|(k, _)| *k != "span")
                .for_each(|(_, v)| visit(v, see));
        }
        _ => {}
    }
}

/// What a module is like.
pub(crate) struct Traits {
    pub package: String,
    pub inventory: bool,
    pub loci: Loci,
}

/// Looks for what decides how a module is run.
pub(crate) fn traits(tree: &Value, source: &str) -> Traits {
    let mut traits = Traits {
        package: String::new(),
        inventory: false,
        loci: Loci::default(),
    };
    let Ok(text) = Text::new(source) else {
        return traits;
    };
    if let Some(refr) = tree.get("package").and_then(|p| p.get("refr")) {
        let name = variant(refr).and_then(|(_, inner)| text.of(inner));
        traits.package = name.unwrap_or_default().to_owned();
    }
    let (mut names_loci, mut names_container) = (false, false);
    visit(tree, &mut |name, node| match name {
        "RefDot" | "RefBrack" => {
            let whole = text.of(node).unwrap_or_default();
            if whole.starts_with("data.inventory") || whole.starts_with("data[") {
                traits.inventory = true;
            }
        }
        "Object" => {
            let keys = node.get("fields").and_then(Value::as_array);
            for field in keys.into_iter().flatten() {
                let key = field.get(1).and_then(variant);
                match key.and_then(|(_, k)| text.of(k)) {
                    Some("\"locus\"") => names_loci = true,
                    Some("\"container\"") => names_container = true,
                    _ => {}
                }
            }
        }
        "String" | "RawString" => {
            let whole = text.of(node).unwrap_or_default();
            let inner = whole
                .get(1..whole.len().saturating_sub(1))
                .unwrap_or_default();
            traits.loci.containers |= inner == "container" || inner.starts_with("container:");
            traits.loci.volumes |= inner.starts_with("volume:");
        }
        _ => {}
    });
    if !names_loci {
        traits.loci = Loci {
            containers: names_container,
            volumes: false,
        };
    }
    let tokens = tokens(source).unwrap_or_default();
    if tokens.windows(3).any(|w| {
        let texts: Vec<_> = w.iter().map(|t| t.text(source)).collect();
        texts == ["data", ".", "inventory"]
    }) {
        traits.inventory = true;
    }
    traits
}

/// Text edits: replaced ranges that do not overlap.
pub(crate) fn apply(source: &str, mut edits: Vec<(usize, usize, String)>) -> String {
    edits.sort_by_key(|(start, end, _)| (*start, *end));
    let mut out = String::with_capacity(source.len() + 256);
    let mut done = 0;
    for (start, end, text) in edits {
        if start < done {
            continue;
        }
        out.push_str(source.get(done..start).unwrap_or_default());
        out.push_str(&text);
        done = end;
    }
    out.push_str(source.get(done..).unwrap_or_default());
    out
}
