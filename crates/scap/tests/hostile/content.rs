//! Content that would hang, fill the memory, or read files.

use crate::support::{asking, definition, document, judge};
use bartizan_scap::content::Bundle;
use bartizan_scap::oval::outcome::Truth;
use bartizan_scap::system::Rooted;
use std::io::Write;
use std::time::{Duration, Instant};

fn bombs() -> Vec<u8> {
    let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    packer.write_all(&vec![b' '; 8 << 20]).unwrap();
    packer.finish().unwrap().repeat(64)
}

#[test]
fn documents_are_refused_in_time() {
    let entities: String = (1..10)
        .map(|n| format!("<!ENTITY e{n} '{}'>", format!("&e{};", n - 1).repeat(10)))
        .collect();
    let many =
        |count: usize, one: &dyn Fn(usize) -> String| -> String { (0..count).map(one).collect() };
    let oval = "xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5'";
    for (name, bytes) in [
        (
            "entity expansion",
            format!(
                "<!DOCTYPE a [<!ENTITY e0 'x'>{entities}]><oval_definitions {oval}>&e9;</oval_definitions>"
            ),
        ),
        (
            "external entity",
            format!(
                "<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><oval_definitions {oval}>&e;</oval_definitions>"
            ),
        ),
        (
            "external subset",
            format!("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><oval_definitions {oval}/>"),
        ),
        ("depth", document(&"<a>".repeat(1_000_000))),
        (
            "attributes",
            document(&format!("<a {}/>", many(200_000, &|n| format!("a{n}='' ")))),
        ),
        (
            "namespaces",
            document(&many(200_000, &|n| format!("<a xmlns:a{n}='b'>"))),
        ),
        ("unclosed", document("")[..200].to_owned()),
        ("nul", "\0".repeat(1 << 20)),
        ("not SCAP", "<html/>".to_owned()),
        ("nothing", String::new()),
    ] {
        let begun = Instant::now();
        assert!(Bundle::load(bytes.as_bytes()).is_err(), "{name}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(10), "{name}: {took:?}");
    }
    let begun = Instant::now();
    let error = Bundle::load(&bombs()).unwrap_err().to_string();
    assert!(error.contains("MiB"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(Bundle::load(b"BZh91AY&SY").is_err());
}

#[test]
fn large_texts_are_read_in_time() {
    let begun = Instant::now();
    for inner in [
        format!("<notes a='{}'/>", "a".repeat(32 << 20)),
        format!("<notes>{}</notes>", "&amp;".repeat(2_000_000)),
        "<notes/>".repeat(200_000),
    ] {
        let loaded = Bundle::load(document(&inner).as_bytes());
        assert!(loaded.is_ok(), "{:?}", loaded.err());
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn circles_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let system = Rooted::new(folder.path().to_owned(), false);
    let extend =
        |to: usize| format!("<extend_definition definition_ref='oval:x:def:{to}' negate='true'/>");
    let two = format!("{}{}", definition(1, &extend(2)), definition(2, &extend(1)));
    let mut long = String::new();
    for number in 1..5_000 {
        long.push_str(&definition(number, &extend(number + 1)));
    }
    for definitions in [definition(1, &extend(1)), two, long] {
        let text = document(&format!("<definitions>{definitions}</definitions>"));
        // As OpenSCAP, a definition that leads to itself is not evaluated.
        let truth = judge(&system, &text, 10);
        assert!(
            matches!(truth, Truth::Error | Truth::NotEvaluated),
            "{truth:?}"
        );
    }
    let set = |to: usize| {
        format!(
            "<set xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5'><object_reference>oval:x:obj:{to}</object_reference></set>"
        )
    };
    for existence in ["none_exist", "at_least_one_exists", "all_exist"] {
        let sets = asking(existence, "file", &set(1));
        assert_eq!(judge(&system, &sets, 10), Truth::Error, "{existence}");
        let variables = asking(existence, "file", "<-filepath var_ref='oval:x:var:1'/>").replace(
            "</objects>",
            "</objects><variables><local_variable id='oval:x:var:1' version='1' datatype='string' comment='c'>\
             <variable_component var_ref='oval:x:var:1'/></local_variable></variables>",
        );
        assert_eq!(judge(&system, &variables, 10), Truth::Error, "{existence}");
        let both = variables.replace(
            "<variable_component var_ref='oval:x:var:1'/>",
            "<object_component object_ref='oval:x:obj:1' item_field='filename'/>",
        );
        assert_eq!(judge(&system, &both, 10), Truth::Error, "{existence}");
    }
}

#[test]
fn catastrophic_patterns_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "a".repeat(300_000) + "!").unwrap();
    let system = Rooted::new(folder.path().to_owned(), false);
    for pattern in ["(a+)+$", "[ab]*[cd]", "a*a*a*a*[bc]", "(", "(a|a)*$"] {
        for existence in ["none_exist", "at_least_one_exists"] {
            let text = asking(
                existence,
                "textfilecontent54",
                &format!(
                    "<-filepath>/f</-filepath><-pattern operation='pattern match'>{pattern}</-pattern>\
                     <-instance datatype='int'>1</-instance>"
                ),
            );
            assert_eq!(judge(&system, &text, 20), Truth::Error, "{pattern}");
        }
    }
}
