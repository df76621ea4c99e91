//! What stands in statements: terms, references, calls of functions and built-ins.

use super::{KEYS, Kind, Maker, TEXTS, quoted, value};
use std::fmt::Write;

impl Maker<'_> {
    pub(super) fn scalar(&mut self) -> String {
        match self.r.below(5) {
            0 => self
                .r
                .pick(
                    &["0", "1", "2", "-1", "1.5", "-3", "1e2", "100000000000"],
                    "0",
                )
                .to_owned(),
            1 => self.r.pick(&["true", "false", "null"], "true").to_owned(),
            _ => quoted(self.r.pick(&TEXTS, "a")),
        }
    }

    pub(super) fn literal(&mut self, depth: usize) -> String {
        value(self.r, depth).to_string()
    }

    /// A reference to the input, a variable or a rule; often undefined.
    pub(super) fn reference(&mut self) -> String {
        let mut text = match self.r.below(10) {
            0..=2 if !self.scope.is_empty() => self.variable(),
            3..=4 => match self.named(|_| true) {
                Some((name, Kind::Function(_))) | Some((name, _)) if !name.starts_with('f') => {
                    if self.r.chance(25) {
                        format!("data.p.{name}")
                    } else {
                        name
                    }
                }
                _ => "input.a".to_owned(),
            },
            _ => format!("input.{}", self.r.pick(&KEYS[..5], "a")),
        };
        for _ in 0..self.r.below(3) {
            match self.r.below(8) {
                0 => text.push_str("[0]"),
                1 => text.push_str("[\"x-y\"]"),
                2 if !self.scope.is_empty() => {
                    let name = self.variable();
                    let _ = write!(text, "[{name}]");
                }
                3 => {
                    let _ = write!(text, "[input.{}]", self.r.pick(&KEYS[..5], "a"));
                }
                _ => {
                    let _ = write!(text, ".{}", self.r.pick(&KEYS[..5], "a"));
                }
            }
        }
        text
    }

    pub(super) fn variable(&mut self) -> String {
        let at = self.r.below(self.scope.len());
        self.scope
            .get(at)
            .cloned()
            .unwrap_or_else(|| "input".into())
    }

    pub(super) fn named(&mut self, is: impl Fn(Kind) -> bool) -> Option<(String, Kind)> {
        let such: Vec<_> = self.rules.iter().filter(|(_, k)| is(*k)).cloned().collect();
        let at = self.r.below(such.len());
        such.get(at).cloned()
    }

    pub(super) fn term(&mut self, depth: usize) -> String {
        if depth == 0 {
            return match self.r.below(3) {
                0 => self.scalar(),
                _ => self.reference(),
            };
        }
        match self.r.below(19) {
            16 => {
                let sign = self.r.pick(&["&", "|", "-"], "|");
                format!(
                    "{{{}, {}}} {sign} {}",
                    self.scalar(),
                    self.reference(),
                    self.reference()
                )
            }
            17 => format!("{{\"k\": {{{}, {}}}}}", self.scalar(), self.reference()),
            18 if self.v1 && self.r.chance(30) => match self.r.below(4) {
                0 => format!("$`{{{}}}`", self.call(depth - 1)),
                1 => format!(
                    "$\"{{{}}} \\{{{{{}}}\"",
                    self.scalar(),
                    self.term(depth - 1)
                ),
                _ => format!("$\"a{{{}}}\"", self.reference()),
            },
            0..=1 => self.scalar(),
            2..=5 => self.reference(),
            6 => format!("[{}, {}]", self.term(depth - 1), self.term(depth - 1)),
            7 => format!("{{{}, {}}}", self.term(depth - 1), self.term(depth - 1)),
            8 => format!(
                "{{\"k\": {}, \"l\": {}}}",
                self.term(depth - 1),
                self.term(depth - 1)
            ),
            9..=10 => self.comprehension(depth),
            11 => {
                let sign = self.r.pick(&["+", "-", "*", "/", "%"], "+");
                format!(
                    "{} {sign} {}",
                    self.number(depth - 1),
                    self.number(depth - 1)
                )
            }
            12 => self.own_call(depth),
            _ => self.call(depth),
        }
    }

    pub(super) fn own_call(&mut self, depth: usize) -> String {
        match self.named(|k| matches!(k, Kind::Function(_))) {
            Some((name, Kind::Function(arity))) => {
                let all: Vec<_> = (0..arity)
                    .map(|_| self.term(depth.saturating_sub(1)))
                    .collect();
                format!("{name}({})", all.join(", "))
            }
            _ => self.reference(),
        }
    }

    pub(super) fn comprehension(&mut self, depth: usize) -> String {
        let before = self.scope.clone();
        let mut body = Vec::new();
        for _ in 0..1 + self.r.below(2) {
            body.push(self.statement(depth - 1).replace("\n\t", "; "));
        }
        let term = self.term(depth - 1);
        let key = self.string(0);
        let uses = self.unused(before.len(), &body.join("; "), &format!("{term} {key}"));
        body.extend(uses);
        // An operator there would take the bar for a union.
        let term = if term.contains([' ', '|']) && !term.ends_with([']', '}', ')']) {
            self.reference()
        } else {
            term
        };
        let text = match self.r.below(3) {
            0 => format!("[{term} | {}]", body.join("; ")),
            1 => format!("{{{term} | {}}}", body.join("; ")),
            _ => {
                format!("{{{key}: {term} | {}}}", body.join("; "))
            }
        };
        self.scope = before;
        text
    }

    pub(super) fn number(&mut self, depth: usize) -> String {
        match self.r.below(4) {
            0 => self
                .r
                .pick(
                    &[
                        "0",
                        "1",
                        "2",
                        "-1",
                        "1.5",
                        "7",
                        "-3",
                        "1e2",
                        "4294967296",
                        "0.1",
                    ],
                    "0",
                )
                .to_owned(),
            1 if depth > 0 => format!("count({})", self.collection(depth - 1)),
            _ => self.reference(),
        }
    }

    pub(super) fn string(&mut self, depth: usize) -> String {
        match self.r.below(6) {
            0..=2 => quoted(self.r.pick(&TEXTS, "a")),
            3 if depth > 0 => {
                let term = self.term(depth - 1);
                let verb = self.r.pick(
                    &[
                        "%v", "%s", "%d", "%v %v", "x", "%q", "%05d", "%x", "%X", "%.2f", "%5s|",
                        "%-5v|", "%t", "%c", "%%", "%e", "%+d", "%o", "%b", "%[1]v", "%6.1f", "%T",
                    ],
                    "%v",
                );
                format!("sprintf(\"{verb}\", [{term}])")
            }
            _ => self.reference(),
        }
    }

    pub(super) fn collection(&mut self, depth: usize) -> String {
        match self.r.below(6) {
            0 if depth > 0 => self.comprehension(depth),
            1 => format!("{{{}, {}}}", self.reference(), self.reference()),
            2 => format!("[{}, {}]", self.reference(), self.reference()),
            _ => self.reference(),
        }
    }

    pub(super) fn call(&mut self, depth: usize) -> String {
        const SHAPES: &[(&str, &str)] = &[
            ("count", "c"),
            ("sum", "c"),
            ("max", "c"),
            ("min", "c"),
            ("product", "c"),
            ("sort", "c"),
            ("concat", "sc"),
            ("lower", "s"),
            ("upper", "s"),
            ("split", "ss"),
            ("replace", "sss"),
            ("trim", "ss"),
            ("trim_prefix", "ss"),
            ("trim_suffix", "ss"),
            ("trim_space", "s"),
            ("trim_left", "ss"),
            ("trim_right", "ss"),
            ("indexof", "ss"),
            ("indexof_n", "ss"),
            ("substring", "snn"),
            ("strings.reverse", "s"),
            ("strings.count", "ss"),
            ("strings.any_prefix_match", "sc"),
            ("strings.replace_n", "os"),
            ("format_int", "nb"),
            ("to_number", "t"),
            ("abs", "n"),
            ("round", "n"),
            ("ceil", "n"),
            ("floor", "n"),
            ("type_name", "t"),
            ("object.get", "ost"),
            ("object.keys", "o"),
            ("object.remove", "oc"),
            ("object.filter", "oc"),
            ("object.union", "oo"),
            ("object.subset", "oo"),
            ("array.concat", "aa"),
            ("array.slice", "ann"),
            ("array.reverse", "a"),
            ("json.marshal", "t"),
            ("json.unmarshal", "s"),
            ("json.is_valid", "s"),
            ("json.filter", "oc"),
            ("json.remove", "oc"),
            ("union", "e"),
            ("intersection", "e"),
            ("regex.match", "Rs"),
            ("regex.split", "Rs"),
            ("regex.find_n", "Rsn"),
            ("regex.replace", "sRs"),
            ("glob.match", "Gds"),
            ("numbers.range", "mm"),
            ("base64.encode", "s"),
            ("base64.decode", "s"),
            ("urlquery.encode", "s"),
            ("hex.encode", "s"),
            ("units.parse", "s"),
            ("units.parse_bytes", "s"),
            ("semver.is_valid", "t"),
            ("semver.compare", "ss"),
            ("net.cidr_contains", "ss"),
            ("bits.and", "nn"),
            ("cast_array", "0"),
            ("any", "0"),
            ("all", "0"),
            ("re_match", "1"),
            ("time.parse_rfc3339_ns", "s"),
            ("bits.or", "nn"),
            ("bits.xor", "nn"),
            ("bits.lsh", "nm"),
            ("bits.rsh", "nm"),
            ("bits.negate", "n"),
            ("time.parse_duration_ns", "s"),
            ("time.date", "m"),
            ("time.weekday", "m"),
            ("time.clock", "m"),
            ("time.add_date", "mmmm"),
            ("time.diff", "mm"),
            ("time.format", "m"),
            ("regex.is_valid", "s"),
            ("regex.find_all_string_submatch_n", "Rsm"),
            ("regex.match", "ss"),
            ("glob.quote_meta", "s"),
            ("urlquery.decode", "s"),
            ("urlquery.encode_object", "o"),
            ("urlquery.decode_object", "s"),
            ("base64url.encode", "s"),
            ("base64url.decode", "s"),
            ("base64url.encode_no_pad", "s"),
            ("base64.is_valid", "s"),
            ("hex.decode", "s"),
            ("crypto.sha256", "s"),
            ("crypto.md5", "s"),
            ("net.cidr_intersects", "ss"),
            ("net.cidr_is_valid", "s"),
            ("net.cidr_merge", "c"),
            ("net.cidr_expand", "S"),
            ("object.union_n", "a"),
            ("strings.any_suffix_match", "sc"),
            ("strings.split_n", "ssm"),
            ("numbers.range_step", "mmm"),
            ("array.flatten", "a"),
            ("to_number", "s"),
            ("json.marshal_with_options", "tP"),
            ("yaml.marshal", "t"),
            ("yaml.unmarshal", "s"),
            ("is_number", "t"),
            ("strings.replace_n", "Os"),
            ("json.patch", "oa"),
            ("glob.match", "sds"),
            ("contains", "ss"),
            ("minus", "nn"),
            ("rem", "nn"),
        ];
        let mut at = self.r.below(SHAPES.len());
        // Refused at load: now and then is enough.
        if SHAPES.get(at).is_some_and(|(n, _)| *n == "json.patch") && !self.r.chance(10) {
            at = 0;
        }
        if self.v1 && SHAPES.get(at).is_some_and(|(_, s)| matches!(*s, "0" | "1")) {
            at = 0;
        }
        let Some((name, shape)) = SHAPES.get(at) else {
            return "true".into();
        };
        let shape = match *shape {
            "0" => "c",
            "1" => "Rs",
            other => other,
        };
        let below = depth.saturating_sub(1);
        let all: Vec<String> = shape
            .chars()
            .map(|c| match c {
                'c' if self.r.chance(70) => self.reference(),
                'c' => self.collection(below),
                's' => self.string(below),
                'n' => self.number(below),
                'm' => self
                    .r
                    .pick(&["0", "1", "3", "-2", "input.a", "input.b"], "0")
                    .to_owned(),
                'b' => self.r.pick(&["2", "8", "10", "16"], "10").to_owned(),
                'd' => self.r.pick(&["[]", "[\".\"]", "[\":\"]"], "[]").to_owned(),
                'R' => self
                    .r
                    .pick(
                        &["\"^a\"", "`[a-z]+`", "\"\"", "`\\\\.`", "`(x|y)`"],
                        "\"a\"",
                    )
                    .to_owned(),
                'G' => self
                    .r
                    .pick(
                        &["\"*\"", "\"a*\"", "\"**.z\"", "\"{a,b}\"", "\"[a-c]\""],
                        "\"*\"",
                    )
                    .to_owned(),
                'S' => self
                    .r
                    .pick(&["\"10.0.0.0/30\"", "\"fe80::/126\"", "input.a"], "input.a")
                    .to_owned(),
                'P' => "{\"pretty\": false}".to_owned(),
                'O' => "{\"a\": \"b\", \"é\": \"\"}".to_owned(),
                'o' | 'a' | 'e' => self.reference(),
                _ => self.term(below),
            })
            .collect();
        format!("{name}({})", all.join(", "))
    }
}
