//! What files hold.

use super::*;

#[test]
fn text_instances_groups_and_flags() {
    let system = Counting::new(&[
        ("/t", "a1\nb2\na3\nA4\n"),
        ("/nul", "one\0two\n"),
        ("/e", "aab"),
    ]);
    std::fs::write(system.folder.path().join("latin"), b"caf\xe9\nx").unwrap();
    let ctx = Context::new(&system);
    let all = "instance#greater than or equal:1";
    let t = "filepath=/t";
    for (entities, behaviors, expected) in [
        ([t, "pattern~^a(\\d)$", all], vec![], "1:a1(1) 2:a3(3)"),
        (
            [t, "pattern~^a(\\d)$", "instance#equals:2"],
            vec![],
            "2:a3(3)",
        ),
        (
            [t, "pattern~^a(\\d)$", "instance#less than:2"],
            vec![],
            "1:a1(1)",
        ),
        ([t, "pattern~^a(\\d)$", "instance#equals:3"], vec![], ""),
        (
            [t, "pattern~^a(\\d)$", all],
            vec![("ignore_case", "true")],
            "1:a1(1) 2:a3(3) 3:A4(4)",
        ),
        (
            [t, "pattern~^a(\\d)$", all],
            vec![("multiline", "false")],
            "",
        ),
        (
            [t, "pattern~^a1.b(2)$", all],
            vec![("singleline", "true")],
            "1:a1\nb2(2)",
        ),
        ([t, "pattern~^a1.b(2)$", all], vec![], ""),
        // Groups that took no part leave no gap.
        (
            [t, "pattern~^(?:a(1)|(b)(2))$", all],
            vec![],
            "1:a1(1) 2:b2(b,2)",
        ),
        (["filepath=/nul", "pattern~two", all], vec![], ""),
        (["filepath=/nul", "pattern~one", all], vec![], "1:one()"),
        (
            ["filepath=/e", "pattern~a*", all],
            vec![],
            "1:aa() 2:() 3:()",
        ),
        (["filepath=/latin", "pattern~x", all], vec![], "error"),
        (["filepath=/none", "pattern~x", all], vec![], ""),
        ([t, "pattern~a(", all], vec![], "error"),
    ] {
        assert_eq!(found(&ctx, &entities, &behaviors), expected, "{entities:?}");
    }
    // Each file once.
    assert_eq!(system.count("read"), 4);
    // Many patterns from a variable.
    let mut many = query(&[t, "pattern~b2", all], &[]);
    many.entities[1].values.push("a3".into());
    assert_eq!(collect(&ctx, "textfilecontent54", &many).items.len(), 2);
    let line = query(&[t, "line~^a(.)"], &[]);
    assert_eq!(collect(&ctx, "textfilecontent", &line).items.len(), 2);
}

#[test]
fn documents_give_values() {
    let system = Counting::new(&[
        ("/x.xml", "<a b='1'/>"),
        ("/bad.xml", "<a>"),
        ("/y", "k: [v]"),
    ]);
    let ctx = Context::new(&system);
    let xml = |entities: &[&str]| collect(&ctx, "xmlfilecontent", &query(entities, &[]));
    let found = xml(&["filepath=/x.xml", "xpath=/a/@b"]);
    assert_eq!(found.items[0].text("value_of"), Some("1"));
    assert_eq!(
        xml(&["filepath=/x.xml", "xpath=/b"]).flag,
        Flag::DoesNotExist
    );
    let unknown = xml(&["filepath=/x.xml", "xpath=count(/a)"]);
    assert_eq!(unknown.flag, Flag::Error);
    assert!(unknown.message.unwrap().contains("count(/a)"));
    assert_eq!(xml(&["filepath=/bad.xml", "xpath=/a"]).flag, Flag::Error);
    let yaml = query(&["filepath=/y", "yamlpath=.k[:]"], &[]);
    let found = collect(&ctx, "yamlfilecontent", &yaml);
    assert_eq!(
        &*found.items[0].named("value").next().unwrap().fields[0].text,
        "v"
    );
}
