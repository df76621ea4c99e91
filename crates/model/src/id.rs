//! Typed ids. A function that takes a [`CheckUid`] cannot be handed an asset.
//!
//! All ids are short printable strings, bounded when parsed. Ids are alphabetical here;
//! keep them so.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Why a string is not an id. Whose fault: whoever supplied the string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {value:?} is not valid: {why}")]
pub struct IdError {
    /// Which kind of id was wanted, such as "check uid".
    pub kind: &'static str,
    /// The offending value, cut to 80 characters.
    pub value: String,
    /// What is wrong with it.
    pub why: &'static str,
}

fn checked(kind: &'static str, value: &str, max: usize, slug: bool) -> Result<(), IdError> {
    let fail = |why| {
        Err(IdError {
            kind,
            value: value.chars().take(80).collect(),
            why,
        })
    };
    if value.is_empty() {
        return fail("it is empty");
    }
    if value.len() > max {
        return fail("it is too long");
    }
    if value.chars().any(char::is_control) {
        return fail("it contains a control character");
    }
    if slug
        && !value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    {
        return fail("only letters, digits, '-', '_' and '.' are allowed");
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, slug: $slug:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses the id, refusing empty, overlong and unprintable values.
            pub fn new(value: impl Into<String>) -> Result<Self, IdError> {
                let value = value.into();
                checked($kind, &value, $max, $slug)?;
                Ok(Self(value))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(value: String) -> Result<Self, IdError> {
                Self::new(value)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(value: &str) -> Result<Self, IdError> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id!(
    /// An asset: `scope/group/kind/namespace/name` for Kubernetes, see [`AssetUid::kubernetes`].
    AssetUid, "asset uid", 1024, slug: false
);
id!(
    /// An issued attestation.
    AttestationId, "attestation id", 64, slug: true
);
id!(
    /// A check: `engine/content/rule`, such as `rego/bartizan/k8spspprivileged`.
    CheckUid, "check uid", 512, slug: false
);
id!(
    /// A control within a framework, such as `AC-6(9)` or `5.2.1`.
    ControlId, "control id", 64, slug: false
);
id!(
    /// SHA-256 of bytes, written `sha256:` and 64 hex digits. Not checked beyond its length.
    Digest, "digest", 80, slug: false
);
id!(
    /// A finding's identity, see [`FindingKey::of`].
    FindingKey, "finding key", 80, slug: true
);
id!(
    /// A framework, such as `nist-800-53-r5`.
    FrameworkId, "framework id", 64, slug: true
);
id!(
    /// A queued piece of work.
    JobId, "job id", 64, slug: true
);
id!(
    /// One run of a scanner; made by the scanner, and the submission's idempotency key.
    ScanId, "scan id", 64, slug: true
);
id!(
    /// A plan that asks for scans by the clock.
    ScheduleId, "schedule id", 64, slug: true
);
id!(
    /// What is scored and attested as one: `kind:name`, see [`crate::Scope::id`].
    ScopeId, "scope id", 320, slug: false
);
id!(
    /// A machine that is scanned on request.
    SystemId, "system id", 64, slug: true
);
id!(
    /// A scan that a runner is asked for.
    TaskId, "task id", 64, slug: true
);
id!(
    /// An isolated customer of one installation; leads every key.
    TenantId, "tenant id", 64, slug: true
);
id!(
    /// A person or machine that signs in.
    UserName, "user name", 128, slug: false
);

impl TenantId {
    /// The tenant that exists from the first start.
    pub fn default_tenant() -> Self {
        Self("default".to_owned())
    }
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!("sha256:{}", hex::encode(Sha256::digest(bytes))))
    }
}

impl AssetUid {
    /// The uid of a Kubernetes object: `scope/group/kind/namespace/name`; the core group
    /// and cluster scope leave their part empty. The API version is not part of it, nor
    /// the file: an object that moves between files or versions stays itself.
    pub fn kubernetes(
        scope: &ScopeId,
        group: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Self, IdError> {
        Self::new(format!("{scope}/{group}/{kind}/{namespace}/{name}"))
    }
}

impl CheckUid {
    /// Joins the three parts, lower-case for the rule as Gatekeeper's template names are.
    pub fn of(engine: &str, content: &str, rule: &str) -> Result<Self, IdError> {
        Self::new(format!("{engine}/{content}/{rule}"))
    }

    /// Whether `pattern` names this check. `*` stands for any run of characters,
    /// also none and also `/`; everything else is literal.
    pub fn matches(&self, pattern: &str) -> bool {
        glob(pattern, &self.0)
    }
}

/// Matches `*` globs in time linear in `text` for each star.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

impl FindingKey {
    /// The versioned hash of what makes a finding itself: tenant, check, asset and locus
    /// (a container, a package). Never of message, line or content version: those change
    /// while the finding stays. Each part is length-prefixed, so parts cannot run together.
    pub fn of(tenant: &TenantId, check: &CheckUid, asset: &AssetUid, locus: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"bartizan finding v1");
        for part in [tenant.as_str(), check.as_str(), asset.as_str(), locus] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut text = hex::encode(digest);
        text.truncate(40);
        Self(format!("f1-{text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finding_key_is_stable() {
        let key = FindingKey::of(
            &TenantId::default_tenant(),
            &CheckUid::of("rego", "bartizan", "k8spspprivileged").unwrap(),
            &AssetUid::new("cluster:prod//Pod/shop/web").unwrap(),
            "container:web",
        );
        // Changing this value orphans every stored finding: it needs a `f2-` version.
        assert_eq!(key.as_str().len(), 43);
        assert!(key.as_str().starts_with("f1-"));
        insta::assert_snapshot!(key, @"f1-1a58e8abcdc17e44f09d8f01dec6a039bbadff6d");
    }

    #[test]
    fn glob_literal_and_star() {
        let uid = CheckUid::new("rego/bartizan/k8spspprivileged").unwrap();
        assert!(uid.matches("rego/*/k8spsp*"));
        assert!(uid.matches("*"));
        assert!(uid.matches("rego/bartizan/k8spspprivileged"));
        assert!(!uid.matches("rego/bartizan/k8spsp"));
        assert!(!uid.matches("cel/*"));
        assert!(!uid.matches("*privilegedx"));
    }

    proptest! {
        #[test]
        fn glob_agrees_with_regexless_oracle(p in "[ab*]{0,6}", t in "[ab]{0,8}") {
            fn oracle(p: &[u8], t: &[u8]) -> bool {
                match p.first() {
                    None => t.is_empty(),
                    Some(b'*') => (0..=t.len()).any(|i| oracle(&p[1..], &t[i..])),
                    Some(c) => t.first() == Some(c) && oracle(&p[1..], &t[1..]),
                }
            }
            prop_assert_eq!(glob(&p, &t), oracle(p.as_bytes(), t.as_bytes()));
        }

        #[test]
        fn parts_do_not_run_together(a in "[a-z/]{1,5}", b in "[a-z/]{1,5}", c in "[a-z/]{1,5}", d in "[a-z/]{1,5}") {
            let t = TenantId::default_tenant();
            let key = |x: &str, y: &str| FindingKey::of(&t, &CheckUid::new(x).unwrap(), &AssetUid::new(y).unwrap(), "");
            prop_assert_eq!(key(&a, &b) == key(&c, &d), a == c && b == d);
        }
    }
}
