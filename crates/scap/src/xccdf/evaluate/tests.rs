//! Benchmarks evaluated against definitions whose results are given.

use super::*;
use crate::content::Bundle;
use crate::xccdf::script::{Ran, SCE, Script};
use std::collections::HashMap;

/// Answers by the end of a definition's id; `x` is what the variable `v` holds.
struct Given {
    externals: Externals,
}

impl Definitions for Given {
    fn definition(&mut self, id: &str) -> Truth {
        let is = |value: &str| {
            let values = self.externals.get("oval:t:var:1");
            Truth::from(values.is_some_and(|values| values.iter().any(|known| &**known == value)))
        };
        match id.rsplit(':').next() {
            Some("1") => Truth::True,
            Some("2") => Truth::False,
            Some("3") => Truth::Error,
            Some("4") => is("five"),
            Some("5") => is("six"),
            _ => Truth::Unknown,
        }
    }

    fn why(&self, _: &str) -> Vec<Why> {
        Vec::new()
    }
}

/// Definitions 1 to 5 of class compliance, 6 is a patch that answers as 1.
const DEFINITIONS: &str = "
<oval_definitions xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5'>
 <definitions>
  <definition id='oval:t:def:1' version='1' class='compliance'><metadata><title>1</title></metadata><criteria><criterion test_ref='oval:t:tst:1'/></criteria></definition>
  <definition id='oval:t:def:2' version='1' class='compliance'><metadata><title>2</title></metadata><criteria><criterion test_ref='oval:t:tst:1'/></criteria></definition>
  <definition id='oval:t:def:3' version='1' class='compliance'><metadata><title>3</title></metadata><criteria><criterion test_ref='oval:t:tst:1'/></criteria></definition>
  <definition id='oval:t:def:4' version='1' class='compliance'><metadata><title>4</title></metadata><criteria><criterion test_ref='oval:t:tst:1'/></criteria></definition>
  <definition id='oval:t:def:5' version='1' class='compliance'><metadata><title>5</title></metadata><criteria><criterion test_ref='oval:t:tst:1'/></criteria></definition>
 </definitions>
 <tests><ind:unknown_test xmlns:ind='http://oval.mitre.org/XMLSchema/oval-definitions-5#independent' id='oval:t:tst:1' version='1' comment='c' check='all'/></tests>
 <variables><external_variable id='oval:t:var:1' version='1' comment='c' datatype='string'/></variables>
</oval_definitions>";

fn check(name: u32) -> String {
    format!(
        "<check system='http://oval.mitre.org/XMLSchema/oval-definitions-5'><check-content-ref href='o.xml' name='oval:t:def:{name}'/></check>"
    )
}

fn exporting(name: u32, value: &str) -> String {
    check(name).replacen(
        '>',
        &format!("><check-export export-name='oval:t:var:1' value-id='{value}'/>"),
        1,
    )
}

fn bundle(inner: &str) -> Bundle {
    let text = format!(
        "<ds:data-stream-collection xmlns:ds='urn:ds' xmlns:xlink='urn:xlink' xmlns:cat='urn:cat' id='c'>
  <ds:data-stream id='s' scap-version='1.3'>
   <ds:dictionaries><ds:component-ref id='ref-d' xlink:href='#comp-d'><cat:catalog><cat:uri name='o.xml' uri='#ref-o'/></cat:catalog></ds:component-ref></ds:dictionaries>
   <ds:checklists><ds:component-ref id='ref-x' xlink:href='#comp-x'><cat:catalog><cat:uri name='o.xml' uri='#ref-o'/><cat:uri name='far.xml' uri='#ref-far'/></cat:catalog></ds:component-ref></ds:checklists>
   <ds:checks><ds:component-ref id='ref-o' xlink:href='#comp-o'/><ds:component-ref id='ref-far' xlink:href='https://far.example/o.xml'/></ds:checks>
  </ds:data-stream>
  <ds:component id='comp-unused'><any xmlns='urn:any'/></ds:component>
  <ds:component id='comp-x'><Benchmark xmlns='http://checklists.nist.gov/xccdf/1.2' id='b'><version>7</version>{inner}</Benchmark></ds:component>
  <ds:component id='comp-o'>{DEFINITIONS}</ds:component>
  <ds:component id='comp-d'><cpe-list xmlns='urn:cpe'>
   <cpe-item name='cpe:/o:here'><check system='http://oval.mitre.org/XMLSchema/oval-definitions-5' href='o.xml'>oval:t:def:1</check></cpe-item>
   <cpe-item name='cpe:/o:there'><check system='http://oval.mitre.org/XMLSchema/oval-definitions-5' href='o.xml'>oval:t:def:2</check></cpe-item>
  </cpe-list></ds:component>
 </ds:data-stream-collection>"
    );
    Bundle::load(text.as_bytes()).unwrap()
}

fn evaluate(inner: &str, options: &Options) -> Evaluation {
    let bundle = bundle(inner);
    let plan = Plan::new(&bundle, options).unwrap();
    let make = |_: &Document, externals: &Externals| Given {
        externals: externals.clone(),
    };
    run_with(&plan, &make, None, &|_, _, _| {}).0
}

fn results(inner: &str, profile: Option<&str>) -> Vec<(String, &'static str)> {
    let options = Options {
        profile: profile.map(str::to_owned),
        ..Options::default()
    };
    words(&evaluate(inner, &options))
}

fn words(evaluation: &Evaluation) -> Vec<(String, &'static str)> {
    let rules = evaluation.rules.iter();
    rules
        .map(|rule| (rule.id.to_string(), rule.result.word()))
        .collect()
}

fn assert_results(found: &[(String, &'static str)], expected: &[(&str, &str)]) {
    let found: Vec<(&str, &str)> = found.iter().map(|(id, word)| (&**id, *word)).collect();
    assert_eq!(found, expected);
}

#[test]
fn checks_decide_rules() {
    let other = "<check system='urn:ocil'><check-content-ref href='q.xml' name='q'/></check>";
    let far = check(1).replace("o.xml", "far.xml");
    let missing = check(9);
    let rule = |id: &str, checks: &str| format!("<Rule id='{id}'>{checks}</Rule>");
    let negated = check(1).replacen("<check ", "<check negate='true' ", 1);
    let both = |operator: &str| {
        format!(
            "<complex-check operator='{operator}'>{}{}</complex-check>",
            check(1),
            check(2)
        )
    };
    let or_far = check(2).replacen(
        "<check-content-ref",
        "<check-content-ref href='far.xml' name='x'/><check-content-ref",
        1,
    );
    let unknown_value = exporting(1, "none");
    let inner = [
        rule("pass", &check(1)),
        rule("fail", &check(2)),
        rule("error", &check(3)),
        // The last with an engine, whatever comes after it.
        rule("last", &format!("{}{}{other}", check(2), check(1))),
        rule("none", other),
        rule("nothing", ""),
        rule("far", &far),
        rule("missing", &missing),
        rule("negated", &negated),
        rule("and", &both("AND")),
        rule("or", &both("OR")),
        rule("next-ref", &or_far),
        rule("no-value", &unknown_value),
    ]
    .concat();
    assert_results(
        &results(&inner, None),
        &[
            ("pass", "pass"),
            ("fail", "fail"),
            ("error", "error"),
            ("last", "pass"),
            ("none", "notchecked"),
            ("nothing", "notchecked"),
            ("far", "notchecked"),
            ("missing", "notchecked"),
            ("negated", "fail"),
            ("and", "fail"),
            ("or", "pass"),
            ("next-ref", "fail"),
            ("no-value", "unknown"),
        ],
    );
}

#[test]
fn groups_profiles_and_roles_select() {
    let rule = |attributes: &str| format!("<Rule {attributes}>{}</Rule>", check(1));
    let inner = format!(
        "<Profile id='p_one'><select idref='off' selected='true'/><select idref='c' selected='false'/><refine-rule idref='in' role='unscored'/></Profile>
         <Profile id='p_two' extends='p_one'><select idref='g' selected='true'/><select idref='off' selected='false'/></Profile>
         <Group id='g' selected='false'>{}</Group>{}{}{}{}",
        rule("id='in'"),
        rule("id='off' selected='false'"),
        rule("id='clustered' cluster-id='c'"),
        rule("id='unchecked' role='unchecked'"),
        rule("id='plain'"),
    );
    let all = |words: [&'static str; 5]| {
        let ids = ["in", "off", "clustered", "unchecked", "plain"];
        ids.into_iter().zip(words).collect::<Vec<_>>()
    };
    for (profile, expected) in [
        (
            None,
            ["notselected", "notselected", "pass", "notchecked", "pass"],
        ),
        (
            Some("p_one"),
            ["notselected", "pass", "notselected", "notchecked", "pass"],
        ),
        (
            Some("_two"),
            [
                "informational",
                "notselected",
                "notselected",
                "notchecked",
                "pass",
            ],
        ),
        (
            Some("(all)"),
            ["pass", "pass", "pass", "notchecked", "pass"],
        ),
    ] {
        assert_results(&results(&inner, profile), &all(expected));
    }
    let only = Options {
        rule: vec!["in".to_owned()],
        ..Options::default()
    };
    let expected = [
        "pass",
        "notselected",
        "notselected",
        "notselected",
        "notselected",
    ];
    assert_results(&words(&evaluate(&inner, &only)), &all(expected));
    let bundle = bundle(&inner);
    let fails = |profile: &str| {
        let options = Options {
            profile: Some(profile.to_owned()),
            ..Options::default()
        };
        Plan::new(&bundle, &options).unwrap_err()
    };
    assert_eq!(fails("nope"), EvalError::NoProfile("nope".into()));
    // Every profile ends with nothing.
    assert_eq!(fails(""), EvalError::AmbiguousProfile(String::new()));
}

#[test]
fn requires_and_conflicts_unselect() {
    let rule = |id: &str, more: &str| format!("<Rule id='{id}'>{more}{}</Rule>", check(1));
    let inner = [
        "<Rule id='off' selected='false'/>".to_owned(),
        rule("needs-off", "<requires idref='off'/>"),
        rule("needs-one", "<requires idref='off plain'/>"),
        rule("against", "<conflicts idref='plain'/>"),
        rule("needs-against", "<requires idref='against'/>"),
        rule("plain", ""),
    ]
    .concat();
    assert_results(
        &results(&inner, None),
        &[
            ("off", "notselected"),
            ("needs-off", "notselected"),
            ("needs-one", "pass"),
            ("against", "notselected"),
            ("needs-against", "notselected"),
            ("plain", "pass"),
        ],
    );
}

#[test]
fn values_reach_the_definitions_that_they_are_exported_to() {
    let inner = format!(
        "<Profile id='p'><refine-value idref='v' selector='b'/><set-value idref='w'>five</set-value></Profile>
         <Value id='v'><value>five</value><value selector='b'>six</value></Value>
         <Value id='w'><value>six</value></Value>
         <Rule id='v4'>{}</Rule><Rule id='w4'>{}</Rule><Rule id='v5'>{}</Rule>",
        exporting(4, "v"),
        exporting(4, "w"),
        exporting(5, "v"),
    );
    assert_results(
        &results(&inner, None),
        &[("v4", "pass"), ("w4", "fail"), ("v5", "fail")],
    );
    assert_results(
        &results(&inner, Some("p")),
        &[("v4", "fail"), ("w4", "pass"), ("v5", "pass")],
    );
    let evaluation = evaluate(&inner, &Options::default());
    let check = evaluation.rules[0].check.as_ref().unwrap();
    assert_eq!(&*check.href, "#ref-o");
    assert_eq!(check.exports[0].2, "five");
    // Two contradicting sets of externals, and no more evaluators than that.
    let bundle = bundle(&inner);
    let plan = Plan::new(&bundle, &Options::default()).unwrap();
    assert_eq!(plan.sessions.len(), 2);
}

#[test]
fn platforms_say_what_applies() {
    let specification = "<cpe2:platform-specification xmlns:cpe2='urn:cpe2'>
       <cpe2:platform id='yes'><cpe2:logical-test operator='AND' negate='false'><cpe2:check-fact-ref system='s' href='o.xml' id-ref='oval:t:def:1'/><cpe2:fact-ref name='cpe:/o:here'/></cpe2:logical-test></cpe2:platform>
       <cpe2:platform id='no'><cpe2:logical-test operator='OR' negate='true'><cpe2:check-fact-ref system='s' href='o.xml' id-ref='oval:t:def:1'/></cpe2:logical-test></cpe2:platform>
       <cpe2:platform id='not-no'><cpe2:logical-test operator='AND' negate='true'><cpe2:check-fact-ref system='s' href='o.xml' id-ref='oval:t:def:2'/></cpe2:logical-test></cpe2:platform>
      </cpe2:platform-specification>";
    let rule = |id: &str, platforms: &[&str]| {
        let platforms: String = platforms
            .iter()
            .map(|idref| format!("<platform idref='{idref}'/>"))
            .collect();
        format!("<Rule id='{id}'>{platforms}{}</Rule>", check(1))
    };
    let inner = format!(
        "{specification}<platform idref='cpe:/o:here'/>{}<Group id='g'><platform idref='#no'/>{}</Group>",
        [
            rule("any", &[]),
            rule("yes", &["#yes"]),
            rule("no", &["#no"]),
            rule("either", &["#no", "#not-no"]),
            rule("name", &["cpe:/o:there"]),
            rule("unknown", &["#unknown"]),
        ]
        .concat(),
        rule("in", &["#yes"]),
    );
    let expected = [
        ("any", "pass"),
        ("yes", "pass"),
        ("no", "notapplicable"),
        ("either", "pass"),
        ("name", "notapplicable"),
        ("unknown", "notapplicable"),
        ("in", "notapplicable"),
    ];
    assert_results(&results(&inner, None), &expected);
    let elsewhere = inner.replacen("cpe:/o:here'/><Rule", "cpe:/o:there'/><Rule", 1);
    let evaluation = evaluate(&elsewhere, &Options::default());
    assert!(!evaluation.applicable);
    assert!(
        words(&evaluation)
            .iter()
            .all(|(_, word)| *word == "notapplicable")
    );
    // A dictionary given beside the content makes it apply.
    let given = Options {
        cpe_files: vec![
            ("d.xml".to_owned(), b"<cpe-list xmlns='urn:cpe'><cpe-item name='cpe:/o:there'><check system='s' href='./p.xml'>oval:t:def:1</check></cpe-item></cpe-list>".to_vec()),
            ("/dir/p.xml".to_owned(), DEFINITIONS.as_bytes().to_vec()),
        ],
        ..Options::default()
    };
    assert!(evaluate(&elsewhere, &given).applicable);
}

#[test]
fn a_document_without_a_name_is_all_of_its_definitions() {
    let whole = check(1).replace(" name='oval:t:def:1'", "");
    let multi = whole.replacen("<check ", "<check multi-check='true' ", 1);
    let inner = format!("<Rule id='whole'>{whole}</Rule><Rule id='multi'>{multi}</Rule>");
    assert_results(
        &results(&inner, None),
        &[
            ("whole", "fail"),
            ("multi", "pass"),
            ("multi", "fail"),
            ("multi", "error"),
            ("multi", "fail"),
            ("multi", "fail"),
        ],
    );
}

#[test]
fn broken_definitions_are_errors_not_silence() {
    let text = "<Benchmark xmlns='http://checklists.nist.gov/xccdf/1.2' id='b'>RULE</Benchmark>"
        .replace("RULE", &format!("<Rule id='r'>{}</Rule>", check(1)));
    let mut bundle = Bundle::load(text.as_bytes()).unwrap();
    let problems = bundle.validate();
    assert!(problems[0].what.contains("o.xml"), "{problems:?}");
    let make = |_: &Document, _: &Externals| Given {
        externals: HashMap::new(),
    };
    let run = |bundle: &Bundle| {
        let plan = Plan::new(bundle, &Options::default()).unwrap();
        let evaluation = run_with(&plan, &make, None, &|_, _, _| {}).0;
        evaluation.rules[0].result
    };
    assert_eq!(run(&bundle), RuleResult::NotChecked);
    bundle.add_file("o.xml", DEFINITIONS.as_bytes()).unwrap();
    assert_eq!(bundle.validate(), []);
    assert_eq!(run(&bundle), RuleResult::Pass);
}

struct Told;

impl Scripts for Told {
    fn run(&self, script: &Script<'_>, environment: &[(String, String)]) -> Result<Ran, String> {
        if script.text.starts_with(b"no") {
            return Err("it is bad".to_owned());
        }
        let value = environment.iter().find(|(name, _)| name == "XCCDF_VALUE_x");
        Ok(Ran {
            status: std::str::from_utf8(script.text).unwrap().parse().ok(),
            stdout: value.map_or("none", |(_, value)| value).into(),
            stderr: Vec::new(),
        })
    }
}

#[test]
fn scripts_decide_only_where_they_may() {
    let sce = |name: &str| {
        format!(
            "<check system='{SCE}'><check-import import-name='stdout'/><check-export export-name='x' value-id='v'/><check-content-ref href='{name}'/></check>"
        )
    };
    let rule = |id: &str, checks: &str| format!("<Rule id='{id}'>{checks}</Rule>");
    let inner = [
        "<Value id='v' type='number'><value>5</value></Value>".to_owned(),
        rule("fails", &sce("fail.sh")),
        rule(
            "negated",
            &sce("fail.sh").replacen("<check ", "<check negate='true' ", 1),
        ),
        rule("odd", &sce("odd.sh")),
        rule("bad", &sce("bad.sh")),
        rule("missing", &sce("missing.sh")),
        // The last with an engine decides.
        rule("both", &format!("{}{}", sce("fail.sh"), check(1))),
        rule("script", &format!("{}{}", check(1), sce("fail.sh"))),
    ]
    .concat();
    let stream = format!(
        "<ds:data-stream-collection xmlns:ds='urn:ds' xmlns:xlink='urn:xlink' xmlns:cat='urn:cat' xmlns:sce='{SCE}_xccdf_stream' id='c'>
  <ds:data-stream id='s'>
   <ds:checklists><ds:component-ref id='ref-x' xlink:href='#comp-x'><cat:catalog><cat:uri name='o.xml' uri='#ref-o'/><cat:uri name='fail.sh' uri='#ref-f'/><cat:uri name='odd.sh' uri='#ref-d'/><cat:uri name='bad.sh' uri='#ref-b'/></cat:catalog></ds:component-ref></ds:checklists>
   <ds:checks><ds:component-ref id='ref-o' xlink:href='#comp-o'/></ds:checks>
   <ds:extended-components><ds:component-ref id='ref-f' xlink:href='#e-f'/><ds:component-ref id='ref-d' xlink:href='#e-d'/><ds:component-ref id='ref-b' xlink:href='#e-b'/></ds:extended-components>
  </ds:data-stream>
  <ds:component id='comp-x'><Benchmark xmlns='http://checklists.nist.gov/xccdf/1.2' id='b'>{inner}</Benchmark></ds:component>
  <ds:component id='comp-o'>{DEFINITIONS}</ds:component>
  <ds:extended-component id='e-f'><sce:script>102</sce:script></ds:extended-component>
  <ds:extended-component id='e-d'><sce:script>7</sce:script></ds:extended-component>
  <ds:extended-component id='e-b'><sce:script>no</sce:script></ds:extended-component>
 </ds:data-stream-collection>"
    );
    let bundle = Bundle::load(stream.as_bytes()).unwrap();
    let evaluated = |scripts: bool| {
        let options = Options {
            scripts,
            ..Options::default()
        };
        let plan = Plan::new(&bundle, &options).unwrap();
        let make = |_: &Document, externals: &Externals| Given {
            externals: externals.clone(),
        };
        run_with(&plan, &make, Some(&Told), &|_, _, _| {}).0
    };
    let without = evaluated(false);
    assert_results(
        &words(&without),
        &[
            ("fails", "notchecked"),
            ("negated", "notchecked"),
            ("odd", "notchecked"),
            ("bad", "notchecked"),
            ("missing", "notchecked"),
            ("both", "pass"),
            ("script", "pass"),
        ],
    );
    let first = without.rules.first().unwrap();
    assert!(first.message.as_ref().unwrap().contains("not allowed"));
    let with = evaluated(true);
    assert_results(
        &words(&with),
        &[
            ("fails", "fail"),
            ("negated", "pass"),
            ("odd", "error"),
            ("bad", "error"),
            ("missing", "notchecked"),
            ("both", "pass"),
            ("script", "fail"),
        ],
    );
    let used = with.rules.first().unwrap().check.as_ref().unwrap();
    assert_eq!(used.imports, [("stdout".into(), "5".to_owned())]);
}
