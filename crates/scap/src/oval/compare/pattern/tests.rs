//! Tests of patterns.

use super::*;

fn spans(pattern: &str, text: &[u8]) -> Vec<(usize, usize)> {
    Pattern::new(pattern)
        .unwrap()
        .find_all(text, 1000)
        .unwrap()
        .into_iter()
        .map(|groups| groups[0].unwrap())
        .collect()
}

#[test]
fn every_match_with_its_groups() {
    let pattern = Pattern::new("(a)|(b)").unwrap();
    assert_eq!(
        pattern.find_all(b"xabx", 10).unwrap(),
        [
            vec![Some((1, 2)), Some((1, 2)), None],
            vec![Some((2, 3)), None, Some((2, 3))]
        ]
    );
    assert_eq!(pattern.find_all(b"xabx", 1).unwrap().len(), 1);
    assert_eq!(pattern.find_all(b"xabx", 0).unwrap().len(), 0);
    assert_eq!(pattern.find(b"c").unwrap(), None);
}

#[test]
fn empty_matches_go_on() {
    assert_eq!(spans("a*", b"aab"), [(0, 2), (2, 2), (3, 3)]);
    assert_eq!(spans("a*", "éa".as_bytes()), [(0, 0), (2, 3), (3, 3)]);
    assert_eq!(spans("", b""), [(0, 0)]);
    // OpenSCAP finds the first one twice too.
    assert_eq!(spans("$", b"a\n"), [(1, 1), (1, 1), (2, 2)]);
}

#[test]
fn flags() {
    let flags = Flags {
        multiline: true,
        ignore_case: true,
        dotall: true,
    };
    let pattern = Pattern::with_flags("^B.$", flags).unwrap();
    assert!(pattern.is_match(b"a\nbc\n").unwrap());
    assert!(pattern.is_match(b"b\n").unwrap());
    let plain = Pattern::new("^B.$").unwrap();
    assert!(!plain.is_match(b"a\nBc\n").unwrap());
    assert!(!plain.is_match(b"bc").unwrap());
    assert!(!plain.is_match(b"B\n").unwrap());
    let umlaut = Pattern::with_flags("Ä", flags).unwrap();
    assert!(umlaut.is_match("ä".as_bytes()).unwrap());
    assert!(!umlaut.is_match(b"a").unwrap());
    // U+212A, the sign of Kelvin.
    let kelvin = Pattern::with_flags("\u{212a}", flags).unwrap();
    assert!(kelvin.is_match(b"k").unwrap());
}

#[test]
fn characters_and_bytes() {
    assert_eq!(spans(".", "é\u{1f980}".as_bytes()), [(0, 2), (2, 6)]);
    assert_eq!(spans("é?x", b"x"), [(0, 1)]);
    assert_eq!(spans(r"\x{e9}", "é".as_bytes()), [(0, 2)]);
    assert_eq!(spans(r"\x{1f980}|a", b"ba"), [(1, 2)]);
    // Not UTF-8: bytes.
    assert_eq!(spans("a.b", b"a\xffb"), [(0, 3)]);
    assert_eq!(spans(r"^\xff", b"\xff"), [(0, 1)]);
    assert!(Pattern::new(r"\x{100}").unwrap().is_match(b"\xff").is_err());
    // PCRE's classes are of ASCII.
    assert_eq!(spans(r"\w", "éa".as_bytes()), [(2, 3)]);
}

#[test]
fn what_content_uses() {
    for (pattern, text) in [
        (r"(?<=a)b(?!c)", "abd"),
        (r"^(?:.*\n)*\h*x=(\d+)$", "a\nb\n\t x=5"),
        (r"(['\x22]?)a\1", "'a'"),
        (r"^[^[\s]+$", "ab"),
        (r"^\N+$", "ab"),
        (r"\i\_\y", "i_y"),
        (r"[\i]", "i"),
        (r"(*UTF)(*UCP)^\w$", "é"),
        (r"(?i)ABC", "abc"),
        ("(*ANYCRLF)^a$", "a\r"),
        (r"\Qa.b\E", "a.b"),
        (r"(?P<name>a)(?P=name)", "aa"),
        (r"^(a(?1)?b)$", "aabb"),
    ] {
        assert!(
            Pattern::new(pattern)
                .and_then(|pattern| pattern.is_match(text.as_bytes()))
                .unwrap_or_else(|error| panic!("{pattern}: {error}")),
            "{pattern}"
        );
    }
    for pattern in ["(", "[a", "a{2,1}", "*a", r"\", r"(?<=a*)b", "(?z)"] {
        assert!(Pattern::new(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn catastrophes_end() {
    let text = format!("{}!", "a".repeat(64));
    for pattern in [
        "^(a+)+$",
        "^(a|a)*$",
        "(*NO_JIT)^(a+)+$",
        "(*LIMIT_MATCH=4000000000)(*NO_JIT)^(a|aa)+$",
        r"^(\w+\s?)*$",
        "a*a*a*a*a*a*a*[bc]",
        "(a+)+[bc]",
    ] {
        let pattern = Pattern::new(pattern).unwrap();
        let begun = Instant::now();
        assert!(pattern.is_match(text.as_bytes()).is_err(), "{pattern:?}");
        assert!(
            pattern.find_all(text.as_bytes(), 10).is_err(),
            "{pattern:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(20), "{pattern:?}");
    }
}

#[test]
fn deep_matches_go_by_windows() {
    let text = "ab\n".repeat(20_000);
    let pattern = Pattern::new(r"^((?:a|b|\n)+?)*$").unwrap();
    assert!(pattern.is_match(text.as_bytes()).unwrap());
    let pattern = Pattern::new(r"^(?:([^\n]*)\n|x)*\z").unwrap();
    assert_eq!(
        pattern.find(text.as_bytes()).unwrap().unwrap(),
        [Some((0, 60_000)), Some((59_997, 59_999))]
    );
}

#[test]
fn windows_find_what_one_search_finds() {
    let text = format!("{}b\n{}\n end", "a".repeat(3000), "x ".repeat(40_000));
    for (pattern, found) in [
        ("ab$", Some((2999, 3001))),
        (r"^\s*[ef]", Some((83_003, 83_005))),
        ("b\nx", Some((3000, 3003))),
        (r"(?<=\n) (e)nd\z", Some((83_003, 83_007))),
        ("$", Some((3001, 3001))),
        (r"\z", Some((83_007, 83_007))),
        ("[ab]*[cz]", None),
        (r"\Ax", None),
    ] {
        let flags = Flags {
            multiline: true,
            ..Flags::default()
        };
        let pattern = Pattern::with_flags(pattern, flags).unwrap();
        let first = |text: &str| pattern.find(text.as_bytes()).unwrap().map(|it| it[0]);
        assert_eq!(first(&text), found.map(Some), "{pattern:?}");
        let wide = format!("{text}é");
        if !matches!(found, Some((_, 83_007))) {
            assert_eq!(first(&wide), found.map(Some), "{pattern:?}");
        }
    }
    assert!(
        Pattern::new("(*COMMIT)a")
            .unwrap()
            .is_match(text.as_bytes())
            .is_err()
    );
}

fn ends_with_an_error(pattern: &str, text: &str, seconds: u64) {
    let flags = Flags {
        multiline: true,
        ..Flags::default()
    };
    let begun = Instant::now();
    let pattern = Pattern::with_flags(pattern, flags).unwrap();
    assert!(pattern.is_match(text.as_bytes()).is_err(), "{pattern:?}");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(seconds), "{pattern:?}: {took:?}");
}

#[test]
fn what_one_start_may_do_each_may_do() {
    // As content looks for the last line of a kind: every start goes to the end and back.
    let flags = Flags {
        dotall: true,
        ..Flags::default()
    };
    let pattern = Pattern::with_flags(r".*(?:^|\n)\s*(KEY\s+\d+)\s*(?:$|\n)", flags).unwrap();
    let text = "# a line of a file\n".repeat(400);
    assert_eq!(pattern.find(text.as_bytes()), Ok(None));
    // In the whole text at once, for it can match at one start only.
    let begun = Instant::now();
    let text = "# a line of a file\n".repeat(600);
    assert_eq!(pattern.find(text.as_bytes()), Ok(None));
    assert!(begun.elapsed() < Duration::from_secs(1));
    let found = pattern.find(format!("{text}KEY 7\n").as_bytes()).unwrap();
    assert_eq!(found.unwrap().len(), 2);
}

/// Patterns of public content, on files that are longer than those that most machines have.
#[test]
fn public_patterns_on_long_files() {
    let flags = |multiline, dotall| Flags {
        multiline,
        dotall,
        ignore_case: false,
    };
    let line = "# Password aging controls, as login.defs explains them at length\n";
    let key = "PASS_MIN_DAYS\t7\n";
    let last = r".*\n[^#]*(PASS_MIN_DAYS\s+\d+)\s*\n";
    let uid = r".*(?:^|\n)\s*(PASS_MIN_DAYS[\s]+[\d]+)\s*(?:$|\n)";
    for (lines, sign) in [
        (600, ""),
        (2_000, ""),
        (2_000, "é"),
        (16_000, ""),
        (20_000, "é"),
    ] {
        let before = format!("{sign}\n{}", line.repeat(lines));
        let text = format!("{before}{key}{before}{key}{}", line.repeat(lines));
        for pattern in [last, uid] {
            let compiled = Pattern::with_flags(pattern, flags(true, true)).unwrap();
            let begun = Instant::now();
            let found = compiled.find_all(text.as_bytes(), 10).unwrap();
            assert_eq!(found.len(), 1, "{lines} {sign} {pattern}");
            // The last one, and the match begins where the search does.
            assert_eq!(found[0][0].unwrap().0, 0);
            let group = found[0][1].unwrap();
            assert_eq!(&text[group.0..group.1], key.trim_end());
            assert!(group.0 > before.len() * 2, "{lines} {sign} {pattern}");
            assert_eq!(compiled.find_all(before.as_bytes(), 10), Ok(vec![]));
            let took = begun.elapsed();
            assert!(
                took < Duration::from_secs(10),
                "{lines} {sign} {pattern} {took:?}"
            );
        }
    }
    // Accounts of a directory: each line is a match or not, whatever the others are.
    let account = "user:x:4711:100:A name of someone:/home/user:/bin/bash\n";
    let system = "ntp:x:38:38::/var/lib/ntp:/usr/sbin/nologin\n";
    let shell = r"^(?!root).*:x:([\d]+):[\d]+:[^:]*:[^:]*:(?!\/sbin\/nologin|\/bin\/sync|\/sbin\/shutdown|\/sbin\/halt|\/usr\/sbin\/nologin).*$";
    for sign in ["", "é"] {
        let text = format!(
            "root:x:0:0::/root:/bin/sh\n{sign}{}{system}",
            account.repeat(2_000)
        );
        let pattern = Pattern::with_flags(shell, flags(true, false)).unwrap();
        let found = pattern.find_all(text.as_bytes(), 10_000).unwrap();
        assert_eq!(found.len(), 2_000);
    }
}

/// From the end finds what PCRE finds from the start.
#[test]
fn the_last_is_found_by_windows_too() {
    let flags = Flags {
        multiline: true,
        dotall: true,
        ignore_case: false,
    };
    let text = format!("k=1\n{}k=2 é\n{}", "x\n".repeat(3_000), "k= \n".repeat(900));
    for pattern in [
        r".*k=(\d)",
        r".*^k=(\d) (.)$",
        r".*(?<=\n)x",
        r".*",
        r".*\Ak",
        r".*(k=\d.*)",
        r".*nowhere",
    ] {
        let pattern = Pattern::with_flags(pattern, flags).unwrap();
        let form = pattern.form(text.as_bytes()).unwrap();
        assert!(form.last);
        for from in [0, 4, 5_000] {
            let quick = Search::new(form, text.as_bytes()).unwrap().next(from);
            let mut slow = Search::new(form, text.as_bytes()).unwrap();
            slow.quick = None;
            assert_eq!(slow.next(from), quick, "{pattern:?} {from}");
        }
    }
}

#[test]
fn long_text_that_is_not_ascii() {
    let text = format!(
        "é {}\nthe end\n",
        "key = a value of a file\n".repeat(200_000)
    );
    assert!(text.len() > 4 << 20);
    let flags = Flags {
        multiline: true,
        ..Flags::default()
    };
    for (pattern, found) in [
        (r"^\s*the\s+(end)", true),
        (r"^\s*[Kk]ey\s*=\s*(\d+)\s*$", false),
        (r"(?i)^\s*nothing\s+(\w+)", false),
    ] {
        let pattern = Pattern::with_flags(pattern, flags).unwrap();
        assert_eq!(pattern.is_match(text.as_bytes()), Ok(found), "{pattern:?}");
    }
}

#[test]
fn quadratic_searches_end() {
    ends_with_an_error("[ab]*[cd]", &"a".repeat(1 << 20), 20);
    ends_with_an_error("[ab]*[éü]", &"a".repeat(1 << 20), 20);
}

#[test]
#[ignore = "half a minute"]
fn the_worst_known_searches_end() {
    ends_with_an_error("(?:[ab]*c|[ab])*d", &"a".repeat(4 << 20), 90);
    ends_with_an_error(r"^\s*[xy]", &"\n".repeat(4 << 20), 30);
}

#[test]
fn a_large_text_is_searched_in_time() {
    let text = "key = value\n".repeat(100_000);
    let flags = Flags {
        multiline: true,
        ..Flags::default()
    };
    let begun = Instant::now();
    let pattern = Pattern::with_flags(r"^\s*(\w+)\s*=\s*(.*)$", flags).unwrap();
    assert_eq!(
        pattern.find_all(text.as_bytes(), usize::MAX).unwrap().len(),
        100_000
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
    let text = format!("é\n{text}{text}{text}{text}");
    assert!(pattern.find_all(text.as_bytes(), usize::MAX).is_err());
}
