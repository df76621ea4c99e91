//! Policies and inputs made at random, by Rego's grammar.
//!
//! Rules are made in layers, so that none refers to itself; names are few and values are of all
//! types, so that references are undefined and built-ins get wrong types often.

mod terms;

use serde_json::{Map, Value, json};
use std::fmt::Write;

/// A small generator of random numbers (splitmix64): the same seed gives the same pairs.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % (n.max(1) as u64)).unwrap_or(0)
    }

    /// True in `n` of 100 times.
    pub fn chance(&mut self, n: usize) -> bool {
        self.below(100) < n
    }

    fn pick<T: Copy>(&mut self, all: &[T], other: T) -> T {
        all.get(self.below(all.len())).copied().unwrap_or(other)
    }
}

/// A policy, what to ask it, and of what.
pub struct Pair {
    pub source: String,
    pub v1: bool,
    pub entries: Vec<String>,
    pub input: Value,
}

const KEYS: [&str; 6] = ["a", "b", "c", "name", "items", "x-y"];
const TEXTS: [&str; 30] = [
    "a",
    "b",
    "",
    "name",
    "x.y.z",
    "nginx:1.2",
    "a,b,c",
    "Ab",
    "100Mi",
    "10.0.0.1",
    "é",
    "日本語",
    "😀a",
    " a ",
    "a\nb",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "fe80::/10",
    "1.2.3",
    "1.2.3-rc.1",
    "2024-02-29T12:00:00Z",
    "1h30m",
    "1.5K",
    "-2",
    "1e3",
    "{\"a\":[1,{}]}",
    "YWJj",
    "%41+b",
    "[a-c]+",
    "616263",
];

/// A text as Rego writes it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Any JSON value.
pub fn value(r: &mut Random, depth: usize) -> Value {
    let scalar = depth == 0 || r.chance(45);
    match r.below(if scalar { 6 } else { 2 }) {
        _ if !scalar && r.chance(50) => {
            let count = r.below(4);
            (0..count).map(|_| value(r, depth - 1)).collect()
        }
        _ if !scalar => {
            let mut map = Map::new();
            for _ in 0..r.below(4) {
                map.insert(r.pick(&KEYS, "a").into(), value(r, depth - 1));
            }
            Value::Object(map)
        }
        0 => json!(r.pick(
            &[
                0,
                1,
                2,
                3,
                -1,
                10,
                -7,
                4_294_967_296,
                9_007_199_254_740_993_i64
            ],
            0
        )),
        1 => json!(r.pick(&[1.5, -0.5, 2.25, 0.1, 1e-7, 2e10, 1_234_567.5], 1.5)),
        2 => json!(r.chance(60)),
        3 => Value::Null,
        _ => json!(r.pick(&TEXTS, "a")),
    }
}

/// An input: an object that has most of the keys.
fn input(r: &mut Random) -> Value {
    let mut map = Map::new();
    for key in KEYS {
        if r.chance(75) {
            map.insert(key.into(), value(r, 3));
        }
    }
    if r.chance(60) {
        let count = r.below(4);
        map.insert("items".into(), (0..count).map(|_| value(r, 2)).collect());
    }
    Value::Object(map)
}

/// Kinds of rules that may be referred to.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Complete,
    Set,
    Object,
    Function(usize),
}

struct Maker<'r> {
    r: &'r mut Random,
    v1: bool,
    rules: Vec<(String, Kind)>,
    /// Variables that have a value at this point.
    scope: Vec<String>,
    next: usize,
}

/// Makes a pair.
pub fn pair(r: &mut Random) -> Pair {
    let v1 = r.chance(50);
    let input = input(r);
    let mut maker = Maker {
        r,
        v1,
        rules: Vec::new(),
        scope: Vec::new(),
        next: 0,
    };
    let mut source = String::from("package p\n\n");
    if !v1 {
        source.push_str("import future.keywords.in\nimport future.keywords.every\n\n");
    }
    let count = 2 + maker.r.below(5);
    for i in 0..count {
        source.push_str(&maker.rule(i));
        source.push('\n');
    }
    let violation = maker.set_rule("violation");
    source.push_str(&violation);
    let mut entries = vec!["data.p.violation".to_owned()];
    for (name, kind) in &maker.rules {
        match kind {
            Kind::Function(_) => {}
            // An object with a fixed key is no rule by itself for us: asked through another.
            Kind::Object => entries.push(format!("data.p.of_{name}")),
            _ => entries.push(format!("data.p.{name}")),
        }
    }
    Pair {
        source,
        v1,
        entries,
        input,
    }
}

impl Maker<'_> {
    fn rule(&mut self, i: usize) -> String {
        match self.r.below(10) {
            0..=2 => {
                let name = format!("r{i}");
                let text = self.complete_rule(&name);
                self.rules.push((name, Kind::Complete));
                text
            }
            3..=4 => {
                let name = format!("s{i}");
                let text = self.set_rule(&name);
                self.rules.push((name, Kind::Set));
                text
            }
            5 => {
                let name = format!("o{i}");
                let text = self.object_rule(&name);
                self.rules.push((name, Kind::Object));
                text
            }
            _ => {
                let name = format!("f{i}");
                let arity = 1 + self.r.below(2);
                let text = self.function(&name, arity);
                self.rules.push((name, Kind::Function(arity)));
                text
            }
        }
    }

    fn head(&self, head: &str, body: &str) -> String {
        let word = if self.v1 { " if" } else { "" };
        format!("{head}{word} {{\n{body}}}\n")
    }

    fn complete_rule(&mut self, name: &str) -> String {
        let mut text = String::new();
        if self.r.chance(35) {
            let literal = self.literal(1);
            let sign = if self.v1 || self.r.chance(50) {
                ":="
            } else {
                "="
            };
            let _ = writeln!(text, "default {name} {sign} {literal}");
        }
        let chain = self.r.chance(40);
        for n in 0..1 + self.r.below(3) {
            let (body, term) = self.body_and_term();
            let equals = if self.v1 {
                ":="
            } else {
                self.r.pick(&["=", ":="], "=")
            };
            // Values of several bodies conflict unless they are the same: mostly `true`.
            let plain = !chain && n > 0 || self.r.chance(30);
            let head = match (chain && n > 0, plain) {
                (true, true) => "else".to_owned(),
                (true, false) => format!("else {equals} {term}"),
                (false, true) => name.to_owned(),
                (false, false) => format!("{name} {equals} {term}"),
            };
            if chain && n > 0 {
                text.truncate(text.trim_end().len());
                text.push(' ');
            }
            text.push_str(&self.head(&head, &body));
        }
        text
    }

    fn set_rule(&mut self, name: &str) -> String {
        let mut text = String::new();
        for _ in 0..1 + self.r.below(2) {
            let (body, term) = self.body_and_term();
            let head = if self.v1 {
                format!("{name} contains {term}")
            } else {
                format!("{name}[{term}]")
            };
            text.push_str(&self.head(&head, &body));
        }
        text
    }

    fn object_rule(&mut self, name: &str) -> String {
        self.scope.clear();
        let body = self.body(2);
        let key = self.string(1);
        let term = self.term(1);
        let path = self.r.chance(30);
        let mut body = body;
        for used in self.unused(0, &body, &format!("{key} {term}")) {
            let _ = writeln!(body, "\t{used}");
        }
        let equals = if self.v1 { ":=" } else { "=" };
        let head = match (path, self.r.below(3)) {
            (false, _) => format!("{name}[{key}] {equals} {term}"),
            (true, 0) => format!("{name}.k.l {equals} {term}"),
            (true, 1) => format!("{name}.k[{key}] {equals} {term}"),
            (true, _) if self.v1 => format!("{name}.k contains {term}"),
            (true, _) => format!("{name}.k.l.m {equals} {term}"),
        };
        let mut rule = self.head(&head, &body);
        if path && head.contains(".k.l ") && self.r.chance(50) {
            let (body, term) = self.body_and_term();
            rule.push_str(&self.head(&format!("{name}.k.m {equals} {term}"), &body));
        }
        let asked = self.head(
            &format!("of_{name} {equals} v0"),
            &format!("\tv0 := {name}\n"),
        );
        format!("{rule}\n{asked}")
    }

    fn function(&mut self, name: &str, arity: usize) -> String {
        let mut text = String::new();
        let equals = if self.v1 {
            ":="
        } else {
            self.r.pick(&["=", ":="], "=")
        };
        let mut closed = true;
        if self.r.chance(15) {
            let all = vec!["_"; arity].join(", ");
            let _ = writeln!(text, "default {name}({all}) {equals} {}", self.literal(1));
        }
        for _ in 0..1 + self.r.below(3) {
            self.scope.clear();
            let mut arguments = Vec::new();
            for _ in 0..arity {
                if self.r.chance(25) {
                    arguments.push(self.scalar());
                } else {
                    arguments.push(self.fresh());
                }
            }
            self.scope = arguments
                .iter()
                .filter(|a| a.starts_with('v'))
                .cloned()
                .collect();
            let mut body = self.body(1);
            if body.is_empty() {
                body = "\ttrue\n".to_owned();
            }
            let term = self.term(1);
            let from = arguments.iter().filter(|a| a.starts_with('v')).count();
            for used in self.unused(from, &body, &term) {
                let _ = writeln!(body, "\t{used}");
            }
            let otherwise = !closed && self.r.chance(30);
            let value = if self.r.chance(40) {
                String::new()
            } else {
                format!(" {equals} {term}")
            };
            if otherwise {
                // An else sees the arguments of the head before it, not these.
                continue;
            }
            closed = false;
            text.push_str(&self.head(&format!("{name}({}){value}", arguments.join(", ")), &body));
            if self.r.chance(30) {
                self.scope = arguments
                    .iter()
                    .filter(|a| a.starts_with('v'))
                    .cloned()
                    .collect();
                let from = self.scope.len();
                let mut body = self.body(1);
                let term = self.term(1);
                for used in self.unused(from, &body, &term) {
                    let _ = writeln!(body, "\t{used}");
                }
                text.truncate(text.trim_end().len());
                text.push(' ');
                text.push_str(&self.head(&format!("else {equals} {term}"), &body));
            }
        }
        text
    }

    fn body_and_term(&mut self) -> (String, String) {
        self.scope.clear();
        let mut body = self.body(2);
        let term = self.term(2);
        for used in self.unused(0, &body, &term) {
            let _ = writeln!(body, "\t{used}");
        }
        (body, term)
    }

    /// Uses of variables that are declared and not used, which OPA refuses.
    fn unused(&mut self, from: usize, body: &str, term: &str) -> Vec<String> {
        let names: Vec<String> = self.scope.iter().skip(from).cloned().collect();
        let count = |name: &str| {
            let words = |text: &str| {
                let parts = text.split(|c: char| !c.is_ascii_alphanumeric());
                parts.filter(|word| *word == name).count()
            };
            words(body) + words(term)
        };
        let mut uses = Vec::new();
        for name in names.iter().filter(|name| count(name) < 2) {
            uses.push(match self.r.below(3) {
                0 => format!("{name} == {name}"),
                1 => format!("{name} != input.zz"),
                _ => format!("not is_set({name})"),
            });
        }
        uses
    }

    fn body(&mut self, depth: usize) -> String {
        let mut text = String::new();
        for _ in 0..1 + self.r.below(3) {
            let statement = self.statement(depth);
            let _ = writeln!(text, "\t{statement}");
        }
        text
    }

    fn fresh(&mut self) -> String {
        self.next += 1;
        format!("v{}", self.next)
    }

    fn statement(&mut self, depth: usize) -> String {
        match self.r.below(24) {
            20 => {
                let reference = self.reference();
                let (path, item) = (self.fresh(), self.fresh());
                if self.r.chance(25) {
                    self.scope.push(item.clone());
                    return match self.r.below(3) {
                        0 => format!("walk({reference}, {item})"),
                        1 => format!("{item} := walk({reference})"),
                        _ => format!("walk({reference}, [[\"a\", {item}], _])"),
                    };
                }
                self.scope.extend([path.clone(), item.clone()]);
                format!("walk({reference}, [{path}, {item}])")
            }
            21 => {
                let (pattern, reference) = (self.pattern(), self.reference());
                match self.r.below(6) {
                    0 => format!("some {pattern} in {reference}"),
                    1 => format!("{pattern} := {reference}"),
                    2 => format!("{reference} = {pattern}"),
                    _ => format!("{pattern} = {reference}"),
                }
            }
            22 => {
                let condition = self.condition(depth);
                let (one, two) = (self.literal(1), self.literal(1));
                format!("{condition} with input.a as {one} with input.b as {two}")
            }
            23 => {
                let condition = self.condition(depth);
                let name = self.r.pick(&["count", "lower", "is_array"], "count");
                format!("{condition} with {name} as {}", self.scalar())
            }
            0..=2 => {
                let term = self.term(depth);
                let name = self.fresh();
                self.scope.push(name.clone());
                format!("{name} := {term}")
            }
            3..=5 => format!("not {}", self.condition(depth)),
            6 => {
                let collection = self.collection(depth);
                let name = self.fresh();
                self.scope.push(name.clone());
                format!("some {name} in {collection}")
            }
            7 => {
                let collection = self.collection(depth);
                let (key, item) = (self.fresh(), self.fresh());
                self.scope.extend([key.clone(), item.clone()]);
                format!("some {key}, {item} in {collection}")
            }
            8 => {
                let reference = self.reference();
                let name = self.fresh();
                self.scope.push(name.clone());
                format!("{name} := {reference}[_]")
            }
            9 if depth > 0 => {
                let collection = self.collection(depth - 1);
                let before = self.scope.clone();
                let item = self.fresh();
                let head = if self.r.chance(30) {
                    let key = self.fresh();
                    self.scope.push(key.clone());
                    format!("{key}, {item}")
                } else {
                    item.clone()
                };
                self.scope.push(item);
                let condition = self.condition(depth - 1);
                let uses = self.unused(before.len(), &format!("{head} {condition}"), "");
                self.scope = before;
                let all: Vec<_> = std::iter::once(condition).chain(uses).collect();
                format!("every {head} in {collection} {{ {} }}", all.join("; "))
            }
            10 => {
                let term = self.reference();
                let (one, two) = (self.fresh(), self.fresh());
                self.scope.extend([one.clone(), two.clone()]);
                format!("[{one}, {two}] = {term}")
            }
            11 => {
                let reference = self.reference();
                let (index, other) = (self.fresh(), self.term(0));
                let text = format!("some {index}\n\t{reference}[{index}] == {other}");
                self.scope.push(index);
                text
            }
            12 => {
                let condition = self.condition(depth);
                let key = self.r.pick(&KEYS[..5], "a");
                let value = self.literal(1);
                let target = match self.r.below(3) {
                    0 => "input".to_owned(),
                    1 => format!("input.{key}"),
                    _ => "data.inventory".to_owned(),
                };
                format!("{condition} with {target} as {value}")
            }
            _ => self.condition(depth),
        }
    }

    /// An object, or one within an array, that is taken apart.
    fn pattern(&mut self) -> String {
        let key = self.r.pick(&KEYS[..5], "a");
        let (one, two) = (self.fresh(), self.fresh());
        self.scope.push(one.clone());
        match self.r.below(8) {
            0 => format!("{{\"{key}\": {{\"a\": {one}}}}}"),
            1 => format!("{{\"{key}\": {one}, \"x-y\": {}}}", self.scalar()),
            2 => format!("[{{\"{key}\": {one}}}, _]"),
            3 => {
                self.scope.push(two.clone());
                format!("{{\"{key}\": [{one}, {two}]}}")
            }
            _ => format!("{{\"{key}\": {one}}}"),
        }
    }

    /// An expression that stands for itself.
    fn condition(&mut self, depth: usize) -> String {
        match self.r.below(10) {
            0..=2 => {
                let sign = self.r.pick(&["==", "!=", "<", ">=", ">", "<="], "==");
                let left = if self.r.chance(75) {
                    self.reference()
                } else {
                    self.term(depth)
                };
                format!("{left} {sign} {}", self.term(depth))
            }
            3..=4 => self.reference(),
            5 => {
                let (a, b) = (self.string(depth), self.string(depth));
                let name = self
                    .r
                    .pick(&["startswith", "endswith", "contains"], "contains");
                format!("{name}({a}, {b})")
            }
            6 => format!("{} in {}", self.reference(), self.collection(0)),
            7 => {
                let name = self.r.pick(
                    &[
                        "is_string",
                        "is_number",
                        "is_array",
                        "is_object",
                        "is_set",
                        "is_null",
                        "is_boolean",
                    ],
                    "is_null",
                );
                format!("{name}({})", self.term(depth))
            }
            _ => self.call(depth),
        }
    }
}
