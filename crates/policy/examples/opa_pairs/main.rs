//! Compares with OPA on policies and inputs made at random.
//! `cargo run --example opa_pairs -- PEER PAIRS SEED [-v]`, where PEER is the program built of
//! `crates/xtask/peers/opa`.

mod generate;

use bartizan_policy::probe::{Probe, Said};
use generate::{Pair, Random, pair};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

/// OPA in a process of its own that answers line by line.
struct Peer {
    _child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    fn start(program: &str) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = child.stdin.take().ok_or("no stdin")?;
        let from = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        Ok(Self {
            _child: child,
            to,
            from,
        })
    }

    fn ask(&mut self, pair: &Pair) -> Result<Vec<Value>, Box<dyn Error>> {
        let question = json!({
            "modules": [{"source": pair.source, "v1": pair.v1}],
            "entries": pair.entries,
            "input": pair.input,
        });
        writeln!(self.to, "{question}")?;
        self.to.flush()?;
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

#[derive(Default)]
struct Counts {
    pairs: u32,
    answers: u32,
    same: u32,
    defined: u32,
    refused: BTreeMap<String, u32>,
    opa_refused: u32,
    opa_failed: u32,
    theirs: BTreeMap<String, u32>,
    unknown: BTreeMap<String, u32>,
    different: u32,
}

impl Counts {
    /// The table, with every cause; `made` says how many policies were.
    fn print(&self, made: u64) {
        let sum = |causes: &BTreeMap<String, u32>| causes.values().sum::<u32>();
        let refused = sum(&self.refused);
        let share = f64::from(refused) * 100.0 / f64::from(self.pairs.max(1));
        println!(
            "pairs that OPA takes      {:>8}   (of {made} made, OPA itself refuses {})",
            self.pairs, self.opa_refused
        );
        println!("refused at load by us     {refused:>8}   ({share:.1} %)");
        println!(
            "answers compared          {:>8}   ({} of them defined)",
            self.answers, self.defined
        );
        println!("OPA fails itself          {:>8}", self.opa_failed);
        println!("the same                  {:>8}", self.same);
        println!("unknown here              {:>8}", sum(&self.unknown));
        println!("different                 {:>8}", self.different);
        // OPA's own are very many, and no fault of ours.
        let causes = [
            ("refused", &self.refused, usize::MAX),
            ("unknown", &self.unknown, usize::MAX),
            ("OPA refuses", &self.theirs, 12),
        ];
        for (what, causes, most) in causes {
            let mut causes: Vec<_> = causes.iter().collect();
            causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (cause, count) in causes.iter().take(most) {
                println!("{count:>6}  {what}: {cause}");
            }
        }
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    std::panic::set_hook(Box::new(|_| {}));
    let arguments: Vec<String> = std::env::args().collect();
    let at = |i: usize| arguments.get(i).map(String::as_str);
    let mut peer = Peer::start(at(1).ok_or("give the peer's program")?)?;
    let wanted: u32 = at(2).unwrap_or("20000").parse()?;
    let seed: u64 = at(3).unwrap_or("1").parse()?;
    let verbose = arguments.iter().any(|a| a == "-v");
    let mut counts = Counts::default();
    let mut turn: u64 = 0;
    while counts.pairs < wanted {
        turn += 1;
        let mut random = Random::new(seed.wrapping_mul(1 << 32).wrapping_add(turn));
        let pair = pair(&mut random);
        let theirs = peer.ask(&pair)?;
        let stage = |a: &Value| a.get("stage").and_then(Value::as_str).map(str::to_owned);
        let failed = theirs.first().and_then(stage);
        if matches!(failed.as_deref(), Some("parse" | "compile")) {
            counts.opa_refused += 1;
            let why = theirs
                .first()
                .and_then(|a| a.get("error"))
                .and_then(Value::as_str);
            for line in why
                .unwrap_or_default()
                .lines()
                .filter(|l| l.contains("rego_"))
                .take(1)
            {
                let line: String = line
                    .chars()
                    .filter(|c| !c.is_ascii_digit())
                    .take(110)
                    .collect();
                *counts.theirs.entry(line).or_default() += 1;
            }
            if verbose && failed.as_deref() == Some("parse") {
                println!("{}\n{theirs:?}", pair.source);
            }
            continue;
        }
        counts.pairs += 1;
        compare(&pair, turn, &theirs, &mut counts, verbose);
    }
    counts.print(turn);
    Ok(if counts.different == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn compare(pair: &Pair, turn: u64, theirs: &[Value], counts: &mut Counts, verbose: bool) {
    let cause = |why: &str| {
        let why = why.split(" (").next().unwrap_or_default();
        why.chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .take(90)
            .collect::<String>()
    };
    let modules = [(pair.source.clone(), pair.v1)];
    let mut probe = match Probe::load(&modules, &pair.entries, None) {
        Ok(probe) => probe,
        Err(why) => {
            *counts.refused.entry(cause(&why)).or_default() += 1;
            if verbose {
                println!("refused {turn}: {why}\n{}", pair.source);
            }
            return;
        }
    };
    for (entry, their) in pair.entries.iter().zip(theirs) {
        // OPA's own fault: neither a value nor an error of the policy.
        let text = their.get("error").and_then(Value::as_str);
        if text.is_some_and(|t| t.contains("eval_internal_error")) {
            counts.opa_failed += 1;
            continue;
        }
        counts.answers += 1;
        let ours = probe.ask(entry, Some(&pair.input));
        let undefined = their.get("undefined").is_some();
        let failed = their.get("stage").is_some();
        let same = match &ours {
            Said::Undefined => undefined,
            Said::Value(value) => their.get("value").is_some_and(|t| same(value, t)),
            Said::Unknown(_) if failed => true,
            Said::Unknown(why) => {
                *counts.unknown.entry(cause(why)).or_default() += 1;
                if verbose {
                    println!(
                        "unknown {turn} {entry}: {why}\n{}input {}\ntheirs {their}",
                        pair.source, pair.input
                    );
                }
                continue;
            }
        };
        counts.defined += u32::from(matches!(ours, Said::Value(_)));
        if same {
            counts.same += 1;
        } else {
            counts.different += 1;
            if verbose || counts.different <= 40 {
                println!(
                    "---- different {turn} {entry} v1={}\n{}input {}\nours   {ours:?}\ntheirs {their}",
                    pair.v1, pair.source, pair.input
                );
            }
            return;
        }
    }
}

/// Whether two values are the same; numbers by value, since OPA keeps how they were written.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) if a.is_i64() && b.is_i64() => a == b,
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            // OPA calculates with more digits and rounds otherwise: the last one may differ.
            (Some(a), Some(b)) => a == b || (a - b).abs() <= 1e-14 * a.abs(),
            _ => a == b,
        },
        (Value::Object(a), Value::Object(b)) if a.contains_key("$set") => {
            // A set has no order, and the two keep it differently.
            let of = |map: &serde_json::Map<String, Value>| match map.get("$set") {
                Some(Value::Array(items)) => items.clone(),
                _ => Vec::new(),
            };
            let (a, b) = (of(a), of(b));
            a.len() == b.len() && a.iter().all(|a| b.iter().any(|b| same(a, b)))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            // A key that is no text is written as JSON, and its numbers as they were.
            let key = |k: &str| serde_json::from_str::<Value>(k).ok();
            let by_value = |k: &str, a: &Value| {
                let k = key(k);
                k.is_some()
                    && b.iter().any(|(other, b)| {
                        let keys = k.as_ref().zip(key(other));
                        keys.is_some_and(|(k, other)| same(k, &other)) && same(a, b)
                    })
            };
            a.len() == b.len()
                && a.iter().all(|(k, a)| match b.get(k) {
                    Some(b) => same(a, b),
                    None => by_value(k, a),
                })
        }
        (a, b) => a == b,
    }
}
