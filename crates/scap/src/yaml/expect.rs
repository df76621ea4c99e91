//! What a value must be.

use serde::{Deserialize, Deserializer};

/// A regular expression, compiled when the file is read.
#[derive(Debug, Clone)]
pub struct Pattern(pub regex::Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        regex::RegexBuilder::new(&text)
            .size_limit(1 << 20)
            .dfa_size_limit(1 << 20)
            .build()
            .map(Self)
            .map_err(|error| serde::de::Error::custom(format!("the pattern {text:?}: {error}")))
    }
}

/// Conditions on a value: all that are given must hold. Letter case does not count, but in
/// patterns.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expect {
    /// It is this.
    #[serde(default)]
    pub equals: Option<String>,
    /// It is one of these.
    #[serde(default)]
    pub any_of: Vec<String>,
    /// It is none of these.
    #[serde(default)]
    pub none_of: Vec<String>,
    /// It is a number (or a time such as `1h30m`, in seconds) of at least this.
    #[serde(default)]
    pub at_least: Option<i64>,
    /// It is a number (or a time) of at most this.
    #[serde(default)]
    pub at_most: Option<i64>,
    /// It matches.
    #[serde(default)]
    pub pattern: Option<Pattern>,
    /// None of its words, split at commas and spaces, matches this. Words taken away from a
    /// default list (`-word`) do not count.
    #[serde(default)]
    pub without: Option<Pattern>,
    /// It is set, whatever to.
    #[serde(default)]
    pub set: bool,
}

impl Expect {
    /// Whether nothing is asked: a mistake of the author.
    pub fn is_empty(&self) -> bool {
        self.equals.is_none()
            && self.any_of.is_empty()
            && self.none_of.is_empty()
            && self.at_least.is_none()
            && self.at_most.is_none()
            && self.pattern.is_none()
            && self.without.is_none()
            && !self.set
    }

    /// Whether the value is as wanted; an error where a number is wanted and there is none.
    pub fn holds(&self, value: &str) -> Result<bool, String> {
        let value = value.trim();
        let same = |wanted: &String| wanted.eq_ignore_ascii_case(value);
        if self.equals.as_ref().is_some_and(|wanted| !same(wanted))
            || (!self.any_of.is_empty() && !self.any_of.iter().any(same))
            || self.none_of.iter().any(same)
            || (self.set && value.is_empty())
            || self
                .pattern
                .as_ref()
                .is_some_and(|pattern| !pattern.0.is_match(value))
        {
            return Ok(false);
        }
        if let Some(pattern) = &self.without {
            let mut words = value
                .split([',', ' ', '\t'])
                .filter(|word| !word.is_empty());
            if !value.starts_with('-') && words.any(|word| pattern.0.is_match(word)) {
                return Ok(false);
            }
        }
        if self.at_least.is_none() && self.at_most.is_none() {
            return Ok(true);
        }
        let number = number(value).ok_or_else(|| format!("{value:?} is not a number"))?;
        Ok(self.at_least.is_none_or(|least| number >= least)
            && self.at_most.is_none_or(|most| number <= most))
    }

    /// What is wanted, in words.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        if let Some(wanted) = &self.equals {
            parts.push(wanted.clone());
        }
        if !self.any_of.is_empty() {
            parts.push(format!("one of {}", self.any_of.join(", ")));
        }
        if !self.none_of.is_empty() {
            parts.push(format!("none of {}", self.none_of.join(", ")));
        }
        if let Some(least) = self.at_least {
            parts.push(format!("at least {least}"));
        }
        if let Some(most) = self.at_most {
            parts.push(format!("at most {most}"));
        }
        if let Some(pattern) = &self.pattern {
            parts.push(format!("a match of {}", pattern.0));
        }
        if let Some(pattern) = &self.without {
            parts.push(format!("no word that matches {}", pattern.0));
        }
        if self.set {
            parts.push("a value".to_owned());
        }
        parts.join(" and ")
    }
}

/// A whole number, or a time with units (`90s`, `1h30m`) in seconds.
pub fn number(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let mut total = 0_i64;
    let mut digits = String::new();
    for character in text.chars() {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        let unit = match character.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        let count: i64 = digits.parse().ok()?;
        digits.clear();
        total = total.checked_add(count.checked_mul(unit)?)?;
    }
    if text.is_empty() {
        return None;
    }
    if !digits.is_empty() {
        total = total.checked_add(digits.parse().ok()?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(yaml: &str) -> Expect {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn conditions_hold_or_do_not() {
        for (yaml, good, bad) in [
            ("equals: \"No\"", "no", "yes"),
            ("any-of: [a, b]", "B", "c"),
            ("none-of: [a]", "b", "A"),
            ("at-least: 3", "3", "2"),
            ("at-most: 60", "1m", "61"),
            ("at-least: 1\nat-most: 4", "4", "0"),
            ("pattern: '^a+$'", "aa", "b"),
            ("without: '^(md5|.*-cbc)$'", "sha2,aes-ctr", "sha2,aes-cbc"),
            ("without: '^md5$'", "-md5", "md5"),
            ("set: true", "x", ""),
        ] {
            assert_eq!(expect(yaml).holds(good), Ok(true), "{yaml}: {good}");
            assert_eq!(expect(yaml).holds(bad), Ok(false), "{yaml}: {bad}");
        }
        assert!(expect("at-most: 1").holds("many").is_err());
        assert!(expect("at-most: 1").holds("").is_err());
        assert_eq!(number("1h30m5"), Some(5405));
        assert_eq!(number("9999999999999999999w"), None);
    }
}
