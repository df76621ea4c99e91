//! Known orders from each ecosystem's documents, and that each order is one.

use super::*;
use proptest::prelude::*;

/// Ascending; what stands in one text separated by a space is equal.
const ASCENDING: &[(Scheme, &[&str])] = &[
    (
        Scheme::Dpkg,
        &[
            "1.0~~",
            "1.0~~a",
            "1.0~",
            "1.0 1.0-0",
            "1.0-1~deb12u1",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1+deb12u1",
            "1.0a",
            "1.0+dfsg",
            "1.10",
            "1:0.1",
        ],
    ),
    (
        Scheme::Rpm,
        &[
            "1.0~rc1-1",
            "1.0-1",
            "1.0^git1-1",
            "1.0a-1",
            "1.0.1-1",
            "1.10-1.el9",
            "1.10-1.el9_2",
            "1.10-2.el9",
            "1:0.1-1 1:00.1-1",
        ],
    ),
    (
        Scheme::Apk,
        &[
            "1.2_alpha",
            "1.2_alpha2",
            "1.2_beta1",
            "1.2_pre1",
            "1.2_rc1",
            "1.2_rc1-r1",
            "1.2 1.2-r0",
            "1.2-r1",
            "1.2-r10",
            "1.2_git20200101",
            "1.2_p1",
            "1.2a",
            "1.2b",
            "1.2.0",
            "1.2.1",
            "1.10",
        ],
    ),
    (
        Scheme::Semver,
        &[
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0 v1.0.0 1.0 1.0.0+build",
            "1.9.0",
            "1.10.0",
        ],
    ),
    (
        // Go: a pseudo-version stands before the tag it leads to.
        Scheme::Semver,
        &[
            "v0.0.0-20191109021931-daa7c04131f5",
            "v0.0.0-20200109021931-daa7c04131f5",
            "v0.1.0",
            "v1.2.3-0.20200101000000-abcdefabcdef",
            "v1.2.3",
            "v2.0.0+incompatible",
        ],
    ),
    (
        Scheme::Pep440,
        &[
            "1.0.dev1",
            "1.0a1",
            "1.0a2",
            "1.0b1",
            "1.0rc1",
            "1.0 1 1.0.0",
            "1.0+local.1",
            "1.0.post1",
            "1.1",
            "1.10",
            "1!0.1",
        ],
    ),
    (
        Scheme::Maven,
        &[
            "1-alpha-1 1-a1",
            "1-beta",
            "1-milestone",
            "1-rc1 1-cr1",
            "1-snapshot 1-SNAPSHOT",
            "1 1.0 1-ga 1.0.0-final 1.release",
            "1-sp",
            "1-abc",
            "1-1",
            "1.1",
            "1.2",
            "1.10",
            "2.0.0.RELEASE",
        ],
    ),
    (
        Scheme::Gem,
        &[
            "1.0.a",
            "1.0.a.2",
            "1.0.b1",
            "1.0.pre",
            "1.0 1 1.0.0",
            "1.0.1",
            "1.9",
            "1.10",
        ],
    ),
    (
        Scheme::Composer,
        &[
            "1.0-dev",
            "1.0.0-alpha1",
            "1.0-beta1",
            "1.0.0-beta2",
            "1.0-RC1",
            "1.0 v1.0.0 1.0.0.0",
            "1.0-p1",
            "1.0.1",
            "1.10",
        ],
    ),
    (
        Scheme::NuGet,
        &[
            "1.0.0-Alpha 1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-beta",
            "1.0.0 1.0 1.0.0.0 1.0.0+x",
            "1.0.0.1",
            "1.0.1",
            "1.10",
        ],
    ),
    (Scheme::Dotted, &["1.2", "1.2.0", "1.2.1", "1.10"]),
];

#[test]
fn known_orders() {
    let mut wrong = Vec::new();
    for (scheme, rows) in ASCENDING {
        let versions: Vec<(usize, &str)> = rows
            .iter()
            .enumerate()
            .flat_map(|(i, row)| row.split(' ').map(move |v| (i, v)))
            .collect();
        for (i, a) in &versions {
            for (j, b) in &versions {
                let got = scheme.compare(a, b);
                if got != Some(i.cmp(j)) {
                    wrong.push(format!("{scheme:?}: {a} and {b}: {got:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_no_version_has_no_order() {
    for (scheme, text) in [
        (Scheme::Dpkg, "1.0 beta"),
        (Scheme::Rpm, ":1"),
        (Scheme::Apk, "edge"),
        (Scheme::Semver, "latest"),
        (Scheme::Semver, "1.2.3.4"),
        (Scheme::Pep440, "unknown"),
        (Scheme::Maven, "..."),
        (Scheme::Gem, "${x}"),
        (Scheme::Composer, "dev-master"),
        (Scheme::NuGet, "1.0.0.0.0"),
        (Scheme::Dotted, "1.a"),
        (Scheme::Git, "abc"),
        (Scheme::Unordered, "1"),
    ] {
        assert_eq!(scheme.compare(text, "1.0"), None, "{scheme:?} {text}");
        assert_eq!(scheme.compare("1.0", text), None, "{scheme:?} {text}");
        assert_eq!(scheme.compare(text, ""), None);
    }
    assert_eq!(Scheme::Maven.compare(&"1".repeat(300), "1"), None);
}

const ALL: &[Scheme] = &[
    Scheme::Dpkg,
    Scheme::Rpm,
    Scheme::Apk,
    Scheme::Semver,
    Scheme::Pep440,
    Scheme::Maven,
    Scheme::Gem,
    Scheme::Composer,
    Scheme::NuGet,
    Scheme::Dotted,
];

fn version() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,2}(\\.[0-9]{1,2}){0,3}",
        "[0-9](\\.[0-9]){0,2}[-._](alpha|beta|rc|pre|sp|p|dev|post|a|b|x)[.]?[0-9]{0,2}",
        "[0-9]:[0-9](\\.[0-9]){0,2}-r?[0-9]",
        "[0-9.a-c~+_-]{1,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn each_is_a_total_order(a in version(), b in version(), c in version()) {
        for scheme in ALL {
            let order = |x: &str, y: &str| scheme.compare(x, y);
            if let Some(same) = order(&a, &a) {
                prop_assert_eq!(same, Ordering::Equal);
            }
            prop_assert_eq!(order(&a, &b), order(&b, &a).map(Ordering::reverse), "{:?}", scheme);
            if let (Some(ab), Some(bc), Some(ac)) = (order(&a, &b), order(&b, &c), order(&a, &c)) {
                if ab.is_le() && bc.is_le() {
                    prop_assert!(ac.is_le(), "{:?} {} {} {}", scheme, a, b, c);
                }
                if ab.is_eq() && bc.is_eq() {
                    prop_assert!(ac.is_eq(), "{:?} {} {} {}", scheme, a, b, c);
                }
            }
        }
    }

    #[test]
    fn hostile_text_never_panics(a in "\\PC{0,12}", b in "\\PC{0,12}") {
        for scheme in ALL {
            let _ = scheme.compare(&a, &b);
        }
    }
}
