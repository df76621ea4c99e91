//! What the labels of a namespace ask for: a standard to enforce, one to audit, one to warn of.

use super::levels::{Level, Standard, Version};
use serde_json::{Map, Value};

/// The standards of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Pods that fail it are refused.
    pub enforce: Standard,
    /// What fails it is noted in the audit log.
    pub audit: Standard,
    /// What fails it is warned of.
    pub warn: Standard,
}

/// What all labels begin with.
pub const PREFIX: &str = "pod-security.kubernetes.io/";

impl Policy {
    /// Nothing is asked for.
    pub const PRIVILEGED: Self = Self {
        enforce: Standard::PRIVILEGED,
        audit: Standard::PRIVILEGED,
        warn: Standard::PRIVILEGED,
    };

    /// Whether everything is allowed without a word.
    pub fn is_privileged(&self) -> bool {
        [self.enforce, self.audit, self.warn]
            .iter()
            .all(|s| s.level == Level::Privileged)
    }

    /// Whether both ask for the same.
    pub fn equivalent(&self, other: &Self) -> bool {
        self.enforce.equivalent(&other.enforce)
            && self.audit.equivalent(&other.audit)
            && self.warn.equivalent(&other.warn)
    }

    /// Reads labels over defaults, with what is wrong about them. A wrong level to enforce means
    /// `restricted`, one to audit or to warn of `privileged`; a wrong version means `latest`.
    pub fn of_labels(labels: &Map<String, Value>, defaults: &Self) -> (Self, Vec<String>) {
        let mut policy = *defaults;
        let mut read = Reader {
            labels,
            faults: Vec::new(),
        };
        let enforced = read.level("enforce");
        let warned = read.level("warn");
        match enforced {
            Some(Ok(level)) => policy.enforce.level = level,
            Some(Err(())) => policy.enforce.level = Level::Restricted,
            None => {}
        }
        read.version("enforce-version", &mut policy.enforce.version);
        if let Some(level) = read.level("audit") {
            policy.audit.level = level.unwrap_or(Level::Privileged);
        }
        read.version("audit-version", &mut policy.audit.version);
        if let Some(level) = warned {
            policy.warn.level = level.unwrap_or(Level::Privileged);
        }
        read.version("warn-version", &mut policy.warn.version);
        // What is enforced by label is also warned of, since workloads are only warned of.
        if let (Some(Ok(_)), None) = (enforced, warned)
            && policy.enforce.level > policy.warn.level
        {
            policy.warn.level = policy.enforce.level;
            if !labels.contains_key(&format!("{PREFIX}warn-version")) {
                policy.warn.version = policy.enforce.version;
            }
        }
        read.faults.sort_by_key(|(order, _)| *order);
        let faults = read.faults.into_iter().map(|(_, fault)| fault).collect();
        (policy, faults)
    }
}

/// The order in which faults are reported.
const ORDER: [&str; 6] = [
    "enforce",
    "enforce-version",
    "audit",
    "audit-version",
    "warn",
    "warn-version",
];

struct Reader<'l> {
    labels: &'l Map<String, Value>,
    faults: Vec<(Option<usize>, String)>,
}

impl Reader<'_> {
    fn given<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<Result<T, ()>> {
        let value = self.labels.get(&format!("{PREFIX}{name}"))?;
        let text = value.as_str().unwrap_or_default();
        Some(parse(text).map_err(|why| {
            let shown = super::check::go_quoted(text);
            let fault = format!("metadata.labels[{PREFIX}{name}]: Invalid value: {shown}: {why}");
            self.faults
                .push((ORDER.iter().position(|o| *o == name), fault));
        }))
    }

    fn level(&mut self, name: &str) -> Option<Result<Level, ()>> {
        self.given(name, Level::parse)
    }

    fn version(&mut self, name: &str, version: &mut Version) {
        if let Some(given) = self.given(name, Version::parse) {
            *version = given.unwrap_or(Version::Latest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(labels: Value) -> (String, Vec<String>) {
        let map = labels.as_object().unwrap();
        let labels = map
            .iter()
            .map(|(k, v)| (format!("{PREFIX}{k}"), v.clone()))
            .collect();
        let (p, faults) = Policy::of_labels(&labels, &Policy::PRIVILEGED);
        (format!("{} {} {}", p.enforce, p.audit, p.warn), faults)
    }

    #[test]
    fn labels_are_read() {
        let (policy, faults) = read(json!({
            "enforce": "baseline", "enforce-version": "v1.30", "audit": "restricted",
        }));
        assert_eq!(policy, "baseline:v1.30 restricted:latest baseline:v1.30");
        assert!(faults.is_empty());
    }

    #[test]
    fn warnings_follow_what_is_enforced_unless_told_otherwise() {
        let warned = |labels| read(labels).0.rsplit(' ').next().unwrap().to_owned();
        assert_eq!(
            warned(json!({"enforce": "restricted", "warn": "baseline"})),
            "baseline:latest"
        );
        assert_eq!(
            warned(json!({"enforce": "restricted", "warn-version": "v1.2"})),
            "restricted:v1.2"
        );
        assert_eq!(
            warned(json!({"enforce-version": "v1.2"})),
            "privileged:latest"
        );
        assert_eq!(warned(json!({"enforce": "strict"})), "privileged:latest");
    }

    #[test]
    fn faults_enforce_most_and_audit_and_warn_nothing() {
        let (policy, faults) = read(json!({
            "enforce": "strict", "audit": "strict", "warn": "", "warn-version": "1.3",
        }));
        assert_eq!(
            policy,
            "restricted:latest privileged:latest privileged:latest"
        );
        assert_eq!(faults.len(), 4);
        assert_eq!(
            faults[0],
            "metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must \
             be one of privileged, baseline, restricted"
        );
        assert!(
            faults[3].contains("warn-version")
                && faults[3].ends_with("must be \"latest\" or \"v1.x\"")
        );
    }
}
