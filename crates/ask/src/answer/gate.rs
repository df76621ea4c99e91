//! The gate: what a model says goes out sentence by sentence, and only what is cited and carried by
//! the records that were retrieved.

use super::Sentence;
use super::guard::{instructs, tame, visible};
use crate::{Document, words};
use regex::{Captures, Regex};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

const MAX_SENTENCE: usize = 1_200;
const MAX_SENTENCES: usize = 40;
/// This share of a sentence's words must stand in the records that it cites.
const CARRIED: f32 = 0.6;

macro_rules! pattern {
    ($name:ident, $text:literal) => {
        static $name: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($text).ok());
    };
}

pattern!(IMAGE, r"!\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])?");
pattern!(LINK, r"\[([^\]]*)\]\(\s*<?[^)]*\)");
// No `<` of a range of versions: what is behind that is a space or a number.
pattern!(
    TAG,
    r"(?s)<(?:[A-Za-z][\w:-]*(?:[\s/|][^<>]{0,500})?|[/!?|][^<>]{0,500})>"
);
// What may be a tag and is not written like one.
pattern!(ODD_TAG, r"<[A-Za-z/!?|][^<>]*>");
pattern!(
    ADDRESS,
    r#"(?i)\b(?:[a-z][a-z0-9+.-]{1,20}://|mailto:|data:|javascript:|www\.)[^\s<>"'\])]+"#
);
pattern!(
    CITATION,
    r"\[([A-Za-z0-9][A-Za-z0-9:_.\-]*(?:\s*[,;]\s*[A-Za-z0-9][A-Za-z0-9:_.\-]*)*)\]"
);
pattern!(
    NAMED,
    r"(?i)\b(?:CVE[-‐‑–—_ ]?\d{4}[-‐‑–—_ ]?\d{4,19}|GHSA(?:[-‐‑–—_ ][0-9a-z]{4}){3}|(?:DSA|DLA|USN|RHSA|ALSA|RLSA|ELSA|RUSTSEC|PYSEC|GO|OWN)[-‐‑–—]\d[\d:-]*)"
);
pattern!(DOTTED, r"(?i)[\p{L}\d-]+(?:\.[\p{L}\d-]+)*\.\p{L}{2,}");
pattern!(NUMBER, r"\d+(?:\.\d+)*");

/// Words that any sentence about a vulnerability may have: they carry nothing and need no support.
const NEUTRAL: &str = "vulnerability vulnerabilities vulnerable flaw issue record records advisory \
    according says describes described affects affected affecting allow allows allowing could \
    attacker attackers remote user users upgrade update updated fix fixed fixes patch severity \
    rated score scored cvss critical high medium low published exploited known exploitation which \
    because also both while however including include includes earlier later software product \
    package component found exists through lead leads cause causes caused result results via";

static NEUTRALS: LazyLock<HashSet<String>> =
    LazyLock::new(|| words::words(NEUTRAL).into_iter().collect());

/// What becomes of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes out.
    Sentence(Sentence),
    /// It does not, for this reason, which repeats nothing of it.
    Dropped(String),
}

struct Evidence {
    id: String,
    text: String,
    words: HashSet<String>,
    numbers: BTreeSet<String>,
}

/// The gate for one answer.
pub struct Gate {
    evidence: Vec<Evidence>,
    /// Every name of every record, to its evidence.
    names: HashMap<String, usize>,
    addresses: HashSet<String>,
    waiting: String,
    out: usize,
}

impl Gate {
    /// For these records.
    pub fn new(documents: &[Document]) -> Self {
        let mut gate = Self {
            evidence: Vec::new(),
            names: HashMap::new(),
            addresses: HashSet::new(),
            waiting: String::new(),
            out: 0,
        };
        for (i, document) in documents.iter().enumerate() {
            for name in document.all_names() {
                // A name that a record claims does not take another record's own.
                gate.names.entry(name.to_uppercase()).or_insert(i);
            }
            gate.addresses.extend(document.references.iter().cloned());
            let text = support(document);
            gate.evidence.push(Evidence {
                id: document.id.clone(),
                words: words::words(&text).into_iter().collect(),
                numbers: numbers(&text),
                text: text.to_lowercase(),
            });
        }
        for (i, document) in documents.iter().enumerate() {
            gate.names.insert(document.id.to_uppercase(), i);
        }
        gate
    }

    /// Whether it has let enough out.
    pub fn full(&self) -> bool {
        self.out >= MAX_SENTENCES
    }

    /// More of the text; sentences that it completes are judged.
    pub fn push(&mut self, text: &str) -> Vec<Verdict> {
        self.waiting.push_str(text);
        let mut verdicts = Vec::new();
        while let Some(end) = sentence_end(&self.waiting) {
            let sentence: String = self.waiting.drain(..end).collect();
            self.judge(&sentence, &mut verdicts);
        }
        if self.waiting.len() > 4 * MAX_SENTENCE {
            self.waiting.clear();
            verdicts.push(Verdict::Dropped("a sentence without end".to_owned()));
        }
        verdicts
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> Vec<Verdict> {
        let mut verdicts = self.push("\n");
        let rest = std::mem::take(&mut self.waiting);
        self.judge(&rest, &mut verdicts);
        verdicts
    }

    fn judge(&mut self, sentence: &str, verdicts: &mut Vec<Verdict>) {
        if !sentence.chars().any(char::is_alphanumeric) || self.full() {
            return;
        }
        self.out += 1;
        verdicts.push(self.check(sentence));
    }

    /// Judges one sentence.
    pub fn check(&self, sentence: &str) -> Verdict {
        match self.checked(sentence) {
            Ok(sentence) => Verdict::Sentence(sentence),
            Err(why) => Verdict::Dropped(why),
        }
    }

    fn checked(&self, sentence: &str) -> Result<Sentence, String> {
        let no = |why: &str| Err(why.to_owned());
        let (
            Some(image),
            Some(link),
            Some(tag),
            Some(odd_tag),
            Some(address),
            Some(citation),
            Some(named),
        ) = (
            IMAGE.as_ref(),
            LINK.as_ref(),
            TAG.as_ref(),
            ODD_TAG.as_ref(),
            ADDRESS.as_ref(),
            CITATION.as_ref(),
            NAMED.as_ref(),
        )
        else {
            return no("the gate is not working");
        };
        let text = visible(sentence);
        if text.len() > MAX_SENTENCE {
            return no("a sentence that is too long");
        }
        // Tags first: what is left of one without its inside is none any more.
        let text = tag.replace_all(&text, "");
        let text = image.replace_all(&text, "");
        let text = link.replace_all(&text, "$1");
        if odd_tag.is_match(&text) {
            return no("a sentence with markup");
        }
        let text = address.replace_all(&text, |found: &Captures<'_>| {
            let whole = found.get(0).map_or("", |m| m.as_str());
            let exact = whole.trim_end_matches(['.', ',', ';', ':', '!', '?']);
            if self.addresses.contains(exact) {
                whole.to_owned()
            } else {
                "(address left out)".to_owned()
            }
        });
        let text = text.replace(['`', '*', '#', '|', '\\'], "");
        let text = bartizan_model::text::one_line(&text);
        let text = text.trim_start_matches(['-', '•', '>', ' ']).to_owned();

        let mut cites: Vec<usize> = Vec::new();
        for found in citation.captures_iter(&text) {
            let list = found.get(1).map_or("", |m| m.as_str());
            for id in list
                .split([',', ';'])
                .map(str::trim)
                .filter(|id| !id.is_empty())
            {
                match self.names.get(&id.to_uppercase()) {
                    Some(at) if !cites.contains(at) => cites.push(*at),
                    Some(_) => {}
                    None => {
                        return no(if named.is_match(id) {
                            "a sentence cites a vulnerability that is not among the records that were found"
                        } else {
                            "a sentence cites something that is no record"
                        });
                    }
                }
            }
        }
        if cites.is_empty() {
            return no("a sentence without a citation");
        }
        for found in named.find_iter(&text) {
            let plain = canonical(found.as_str());
            if !self.names.contains_key(&plain) {
                return no(
                    "a sentence names a vulnerability that is not among the records that were found",
                );
            }
        }
        let bare = citation.replace_all(&text, "");
        let bare = bare.trim();
        if instructs(bare) {
            return no("a sentence that reads like an instruction");
        }
        self.carried(bare, &cites)?;
        let cites = cites
            .into_iter()
            .filter_map(|at| self.evidence.get(at).map(|e| e.id.clone()))
            .collect();
        Ok(Sentence { text, cites })
    }

    /// Whether the records that are cited carry it: their words, and every number.
    fn carried(&self, bare: &str, cites: &[usize]) -> Result<(), String> {
        let cited: Vec<&Evidence> = cites
            .iter()
            .filter_map(|at| self.evidence.get(*at))
            .collect();
        for number in numbers(bare) {
            if !cited.iter().any(|e| e.numbers.contains(&number)) {
                return Err(
                    "a sentence has a number that the records it cites do not have".to_owned(),
                );
            }
        }
        // A site, a file, a name with a dot: nobody makes one up here.
        for dotted in DOTTED.iter().flat_map(|d| d.find_iter(bare)) {
            let dotted = dotted.as_str().to_lowercase();
            if !cited.iter().any(|e| e.text.contains(&dotted)) {
                return Err(
                    "a sentence has a name that the records it cites do not have".to_owned(),
                );
            }
        }
        let (mut all, mut has) = (0f32, 0f32);
        for word in words::words(bare) {
            if NEUTRALS.contains(&word) || word.bytes().all(|b| b.is_ascii_digit()) {
                continue;
            }
            all += 1.0;
            if cited.iter().any(|e| e.words.contains(&word)) {
                has += 1.0;
            }
        }
        if has < 1.0 || has / all < CARRIED {
            return Err("a sentence that the records it cites do not carry".to_owned());
        }
        Ok(())
    }
}

/// Everything of a record that may carry a sentence; what reads like an instruction may not.
fn support(document: &Document) -> String {
    let mut text = String::new();
    for part in std::iter::once(&document.title).chain(std::iter::once(&document.text)) {
        text.push_str(&tame(part).0);
        text.push('\n');
    }
    let lists = [
        &document.products,
        &document.versions,
        &document.cwes,
        &document.names,
    ];
    for item in lists.into_iter().flatten() {
        text.push_str(&tame(item).0);
        text.push('\n');
    }
    text.push_str(&document.id);
    if let Some(score) = document.score {
        text.push_str(&format!("\n{score}"));
    }
    if let Some(published) = document.published {
        text.push_str(&format!("\n{published}"));
    }
    text.push('\n');
    text.push_str(&document.source);
    text
}

fn numbers(text: &str) -> BTreeSet<String> {
    let Some(number) = NUMBER.as_ref() else {
        return BTreeSet::new();
    };
    number
        .find_iter(text)
        .map(|m| m.as_str().trim_start_matches('0').to_owned())
        .collect()
}

/// However the dashes of a name are written.
fn canonical(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let upper = name.to_uppercase();
    let rest = match upper.strip_prefix("CVE") {
        Some(rest) => {
            plain.push_str("CVE-");
            let digits: Vec<char> = rest.chars().filter(char::is_ascii_digit).collect();
            let (year, number) = digits.split_at(digits.len().min(4));
            plain.extend(year);
            plain.push('-');
            plain.extend(number);
            return plain;
        }
        None => upper,
    };
    for c in rest.chars() {
        plain.push(match c {
            '‐' | '‑' | '–' | '—' | '_' | ' ' => '-',
            c => c,
        });
    }
    plain.trim_end_matches(['-', ':']).to_owned()
}

/// Where the first sentence of the text ends: after its mark and the citations behind it.
fn sentence_end(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, n)| *n);
        let ends = match c {
            '\n' => true,
            '.' | '!' | '?' => {
                let before = text.get(..at).unwrap_or_default().trim_start();
                let counted = !before.is_empty() && before.bytes().all(|b| b.is_ascii_digit());
                match next {
                    None => return None,
                    Some(n) => n.is_whitespace() && !counted,
                }
            }
            '。' => true,
            _ => false,
        };
        if !ends {
            continue;
        }
        let mut end = at + c.len_utf8();
        // A citation may stand behind the mark; whether one comes is known with the next character.
        loop {
            let rest = text.get(end..)?;
            let gap = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            let tail = rest.get(gap..)?;
            if tail.is_empty() {
                return if c == '\n' { Some(end) } else { None };
            }
            if !tail.starts_with('[') {
                return Some(end);
            }
            let close = tail.find(']')?;
            let after = tail.get(close + 1..)?;
            if after.starts_with('(') {
                return Some(end);
            }
            end += gap + close + 1;
            if let Some(mark) = after
                .chars()
                .next()
                .filter(|m| matches!(m, '.' | '!' | '?'))
            {
                end += mark.len_utf8();
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn check(text: &str, sentence: &str) -> Verdict {
        let mut document = Document::new("CVE-2024-0001", Kind::Cve, "acme");
        document.text = text.to_owned();
        Gate::new(&[document]).check(&format!("{sentence} [CVE-2024-0001]"))
    }

    #[test]
    fn a_range_of_versions_is_no_tag() {
        for text in [
            "Affected versions of foo: foo < 2.0.0; foo >= 3.0.0, < 3.1.0.",
            "Affected versions of foo: foo <2.0.0; foo >=3.0.0, <3.1.0.",
        ] {
            let Verdict::Sentence(sentence) = check(text, text) else {
                panic!("{text}");
            };
            assert_eq!(sentence.text, format!("{text} [CVE-2024-0001]"));
        }
    }

    #[test]
    fn no_tag_goes_out() {
        let text = "An overflow in the rocket engine lets attackers run code.";
        for tag in [
            "<b>",
            "</b>",
            "<br/>",
            "<img/src=x>",
            "<img src=x onerror=y>",
            "<x-y:z\nhref=x>",
            "<!-- x -->",
            "<!DOCTYPE html>",
            "<?x?>",
            "<![CDATA[x]]>",
            "</ b>",
            "<|im_start|>",
        ] {
            let Verdict::Sentence(sentence) = check(text, &format!("{tag}{text}")) else {
                panic!("{tag}");
            };
            assert_eq!(sentence.text, format!("{text} [CVE-2024-0001]"), "{tag}");
        }
        let long = format!("<b {}>", "x".repeat(600));
        for tag in ["<x.y z=w>", "<v2.0; foo >", "<<b>b>", "<x\"y z>", &long] {
            let verdict = check(text, &format!("{tag}{text}"));
            assert_eq!(
                verdict,
                Verdict::Dropped("a sentence with markup".to_owned()),
                "{tag}"
            );
        }
    }
}
