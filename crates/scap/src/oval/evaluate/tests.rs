//! Definitions evaluated over items that are given.

mod limits;

use super::*;
use crate::oval::model::Datatype;
use crate::oval::outcome::Truth::{Error, False, NotApplicable, NotEvaluated, True, Unknown};
use crate::system::Rooted;

type Externals = HashMap<Arc<str>, Vec<Arc<str>>>;

fn parse(inner: &str) -> Document {
    let text = format!(
        "<oval_definitions xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5'>{inner}</oval_definitions>"
    );
    crate::oval::parse::document(&crate::xml::parse(text.as_bytes()).unwrap()).unwrap()
}

/// What is collected, by the object's `name`: `two` has two items, `none` has none.
fn collect(kind: &str, query: &Query) -> Option<Collected> {
    if kind != "fake" {
        return None;
    }
    let item = |name: &str, number: &str| {
        Item::new()
            .string("name", name)
            .with("number", Datatype::Int, number)
            .without("absent", Status::DoesNotExist)
    };
    let name = &query.entity("name")?.values;
    let of = |name: &str| match name {
        "none" => Collected::complete(Vec::new()),
        "one" => Collected::complete(vec![item("a", "1")]),
        // The same item twice is one item.
        "two" => Collected::complete(vec![item("a", "1"), item("b", "2"), item("b", "2")]),
        "broken" => Collected::complete(vec![item("a", "1"), Item::error("denied")]),
        "some" => Collected::incomplete(vec![item("a", "1")], "too many"),
        "failed" => Collected::error("cannot look"),
        "elsewhere" => Collected::not_applicable("no such system"),
        "record" => {
            let mut item = Item::new().with("value", Datatype::Record, "");
            for (name, text) in [("k", "v"), ("k", "w"), ("n", "7")] {
                let field = Item::new().string(name, text).values.remove(0);
                item.values[0].fields.push(field);
            }
            Collected::complete(vec![item])
        }
        other => Collected::complete(vec![item(other, "9")]),
    };
    let mut all = Collected::complete(Vec::new());
    for name in name {
        let Collected {
            flag,
            items,
            message,
        } = of(name);
        all.items.extend(items);
        (all.flag, all.message) = (flag, message);
    }
    Some(all)
}

/// Evaluates, then looks.
fn with<T>(document: &Document, externals: &Externals, look: impl FnOnce(Evaluator<'_>) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let system = Rooted::new(folder.path().to_path_buf(), false);
    let context = Context::new(&system);
    look(Evaluator::new(document, &context, externals).with_collector(&collect))
}

fn object(id: &str, body: &str) -> String {
    format!("<fake_object id='{id}'>{body}</fake_object>")
}

fn named(name: &str) -> String {
    object(name, &format!("<name>{name}</name>"))
}

/// A document with one definition `d` and one test, of the object of that id.
fn one(attributes: &str, object: &str, states: &[&str], more: &str) -> Document {
    let names = [
        "none",
        "one",
        "two",
        "broken",
        "some",
        "failed",
        "elsewhere",
        "record",
    ];
    let refs: String = (0..states.len())
        .map(|place| format!("<state state_ref='s{place}'/>"))
        .collect();
    let written: String = states
        .iter()
        .enumerate()
        .map(|(place, body)| format!("<fake_state id='s{place}'>{body}</fake_state>"))
        .collect();
    parse(&format!(
        "<definitions><definition id='d'><criteria><criterion test_ref='t'/></criteria></definition></definitions>
         <tests><fake_test id='t' {attributes}><object object_ref='{object}'/>{refs}</fake_test></tests>
         <objects>{}<gone_object id='gone'/></objects><states>{written}</states>{more}",
        names.map(named).concat(),
    ))
}

fn result(document: &Document) -> Truth {
    with(document, &Externals::new(), |mut evaluator| {
        evaluator.definition("d")
    })
}

#[test]
fn existence_and_flags() {
    for (existence, object, expected) in [
        ("all_exist", "one", True),
        ("all_exist", "none", False),
        ("all_exist", "some", Unknown),
        ("any_exist", "none", True),
        ("any_exist", "failed", True),
        ("at_least_one_exists", "two", True),
        ("at_least_one_exists", "none", False),
        ("at_least_one_exists", "some", True),
        // An item that could not be read is an error of the whole, as in OpenSCAP.
        ("at_least_one_exists", "broken", Error),
        ("at_least_one_exists", "failed", Error),
        ("at_least_one_exists", "elsewhere", NotApplicable),
        ("none_exist", "none", True),
        ("none_exist", "one", False),
        ("none_exist", "some", False),
        ("none_exist", "failed", Error),
        ("only_one_exists", "one", True),
        ("only_one_exists", "two", False),
        ("only_one_exists", "some", Unknown),
        ("only_one_exists", "absent-object", Error),
    ] {
        let attributes = format!("check_existence='{existence}'");
        let found = result(&one(&attributes, object, &[], ""));
        assert_eq!(found, expected, "{existence} {object}");
    }
    for (object, expected) in [("none", True), ("one", False)] {
        assert_eq!(
            result(&one("check='none exist'", object, &[], "")),
            expected
        );
    }
    // Another kind of object than the test's.
    assert_eq!(result(&one("", "gone", &[], "")), Unknown);
    let no_probe = one("", "gone", &[], "");
    let text = "<definitions><definition id='d'><criteria negate='true'><criterion test_ref='t'/></criteria></definition><definition id='e'/></definitions><tests><gone_test id='t'><object object_ref='o'/></gone_test></tests><objects><gone_object id='o'/></objects>";
    let document = parse(text);
    with(&document, &Externals::new(), |mut evaluator| {
        assert_eq!(
            evaluator.all(),
            [(Arc::from("d"), Unknown), (Arc::from("e"), NotEvaluated)]
        );
        let (_, outcome) = evaluator.objects().next().unwrap();
        assert_eq!(outcome.flag, Flag::NotCollected);
    });
    assert_eq!(no_probe.order.len(), 1);
}

#[test]
fn states_judge_items() {
    let number =
        |rest: &str, value: &str| format!("<number datatype='int' {rest}>{value}</number>");
    let is_one = number("", "1");
    let small = number("operation='less than'", "3");
    for (attributes, object, states, expected) in [
        ("", "two", vec![is_one.as_str()], False),
        ("", "two", vec![&*small], True),
        ("check='at least one'", "two", vec![&*is_one], True),
        ("check='only one'", "two", vec![&*is_one], True),
        ("check='none satisfy'", "two", vec![&*is_one], False),
        ("", "one", vec![&*is_one, "<name>b</name>"], False),
        (
            "state_operator='OR'",
            "one",
            vec![&*is_one, "<name>b</name>"],
            True,
        ),
        // What is seen decides, unless what is not seen could.
        ("", "some", vec!["<name>b</name>"], False),
        ("", "some", vec![&*is_one], Unknown),
        ("check='at least one'", "some", vec![&*is_one], True),
        // An entity without value, and one that the item does not have.
        ("", "one", vec!["<absent>x</absent>"], False),
        ("", "one", vec!["<other>x</other>"], Unknown),
        ("", "one", vec!["<number datatype='int'>x</number>"], Error),
        ("", "none", vec![&*is_one], False),
        ("check_existence='none_exist'", "none", vec![&*is_one], True),
        (
            "",
            "record",
            vec![
                "<value datatype='record'><field name='k' entity_check='at least one'>w</field><field name='n' datatype='int' operation='greater than'>5</field></value>",
            ],
            True,
        ),
        (
            "",
            "record",
            vec!["<value datatype='record'><field name='k'>w</field></value>"],
            False,
        ),
        (
            "",
            "record",
            vec!["<value datatype='record'><field name='z'>w</field></value>"],
            Error,
        ),
    ] {
        let found = result(&one(attributes, object, &states, ""));
        assert_eq!(found, expected, "{attributes} {object} {states:?}");
    }
}

#[test]
fn filters_and_sets() {
    let variables = "<variables><constant_variable id='v' datatype='string'><value>b</value><value>c</value></constant_variable></variables>";
    let states = "<states><fake_state id='a'><name>a</name></fake_state><fake_state id='v'><name var_ref='v' var_check='at least one'/></fake_state><fake_state id='z'><other>z</other></fake_state></states>";
    let set = |operator: &str, inner: &str| format!("<set set_operator='{operator}'>{inner}</set>");
    let (one, two, none) = (
        "<object_reference>one</object_reference>",
        "<object_reference>two</object_reference>",
        "<object_reference>none</object_reference>",
    );
    for (body, expected, flag) in [
        (
            "<name>two</name><filter>a</filter>".to_owned(),
            vec!["b"],
            Flag::Complete,
        ),
        (
            "<name>two</name><filter action='include'>v</filter>".to_owned(),
            vec!["b"],
            Flag::Complete,
        ),
        (
            "<name>two</name><filter>a</filter><filter>v</filter>".to_owned(),
            vec![],
            Flag::DoesNotExist,
        ),
        (
            "<name>two</name><filter action='include'>z</filter>".to_owned(),
            vec![],
            Flag::DoesNotExist,
        ),
        (
            "<name>broken</name><filter action='include'>z</filter>".to_owned(),
            vec!["-"],
            Flag::Error,
        ),
        (
            "<name>two</name><filter>nothing</filter>".to_owned(),
            vec![],
            Flag::Error,
        ),
        (
            set("UNION", &format!("{one}{two}")),
            vec!["a", "b"],
            Flag::Complete,
        ),
        (
            set("INTERSECTION", &format!("{one}{two}")),
            vec!["a"],
            Flag::Complete,
        ),
        (
            set("COMPLEMENT", &format!("{two}{one}")),
            vec!["b"],
            Flag::Complete,
        ),
        (
            set("COMPLEMENT", &format!("{one}{two}")),
            vec![],
            Flag::DoesNotExist,
        ),
        (
            set("UNION", &format!("{one}{two}<filter>a</filter>")),
            vec!["b"],
            Flag::Complete,
        ),
        (
            set(
                "COMPLEMENT",
                &format!(
                    "{}{}",
                    set("UNION", &format!("{none}{two}")),
                    set("UNION", one)
                ),
            ),
            vec!["b"],
            Flag::Complete,
        ),
        (
            set("UNION", &format!("{one}{two}{none}")),
            vec![],
            Flag::Error,
        ),
        (
            set("UNION", "<object_reference>o</object_reference>"),
            vec![],
            Flag::Error,
        ),
    ] {
        let document = parse(&format!(
            "<definitions><definition id='d'><criteria><criterion test_ref='t'/></criteria></definition></definitions><tests><fake_test id='t'><object object_ref='o'/></fake_test></tests><objects>{}{}{}{}</objects>{states}{variables}",
            object("o", &body),
            named("one"),
            named("two"),
            named("none"),
        ));
        with(&document, &Externals::new(), |mut evaluator| {
            evaluator.definition("d");
            let objects = evaluator.objects();
            let outcomes: HashMap<_, _> = objects
                .map(|(object, outcome)| (&*object.id, outcome))
                .collect();
            let outcome = outcomes["o"];
            let names: Vec<&str> = outcome
                .items
                .iter()
                .map(|id| evaluator.item(*id).unwrap().text("name").unwrap_or("-"))
                .collect();
            assert_eq!((names, outcome.flag), (expected, flag), "{body}");
        });
    }
}

const VARIABLES: &str = "<variables>
  <constant_variable id='c' datatype='int'><value>1</value><value>2</value></constant_variable>
  <external_variable id='x' datatype='string'/>
  <external_variable id='unset' datatype='string'/>
  <local_variable id='names' datatype='string'><object_component object_ref='two' item_field='name'/></local_variable>
  <local_variable id='nobody' datatype='string'><object_component object_ref='none' item_field='name'/></local_variable>
  <local_variable id='field' datatype='string'><object_component object_ref='record' item_field='value' record_field='n'/></local_variable>
  <local_variable id='whole' datatype='string'><object_component object_ref='record' item_field='value'/></local_variable>
  <local_variable id='nofield' datatype='string'><object_component object_ref='two' item_field='other'/></local_variable>
  <local_variable id='chain' datatype='string'><variable_component var_ref='x'/></local_variable>
  <local_variable id='count' datatype='int'><count><object_component object_ref='two' item_field='name'/><literal_component>x</literal_component></count></local_variable>
  <local_variable id='zero' datatype='int'><count><object_component object_ref='none' item_field='name'/></count></local_variable>
  <local_variable id='sum' datatype='int'><arithmetic arithmetic_operation='add'><count><object_component object_ref='none' item_field='name'/></count><literal_component>5</literal_component></arithmetic></local_variable>
  <local_variable id='both' datatype='string'><concat><literal_component>^</literal_component><object_component object_ref='two' item_field='name'/></concat></local_variable>
  <local_variable id='neither' datatype='string'><concat><literal_component>^</literal_component><variable_component var_ref='nobody'/></concat></local_variable>
  <local_variable id='broke' datatype='string'><concat><literal_component>^</literal_component><variable_component var_ref='unset'/></concat></local_variable>
  <local_variable id='self' datatype='string'><variable_component var_ref='self'/></local_variable>
  <local_variable id='lost' datatype='string'><variable_component var_ref='nowhere'/></local_variable>
 </variables>";

#[test]
fn variables_have_values_or_a_reason() {
    let document = one("", "two", &[], VARIABLES);
    let externals = Externals::from([(Arc::from("x"), vec![Arc::from("five")])]);
    with(&document, &externals, |mut evaluator| {
        for (id, flag, values) in [
            ("c", Flag::Complete, vec!["1", "2"]),
            ("x", Flag::Complete, vec!["five"]),
            ("unset", Flag::Error, vec![]),
            ("names", Flag::Complete, vec!["a", "b"]),
            ("nobody", Flag::DoesNotExist, vec![]),
            ("field", Flag::Complete, vec!["7"]),
            ("whole", Flag::Error, vec![]),
            ("nofield", Flag::Error, vec![]),
            ("chain", Flag::Complete, vec!["five"]),
            ("self", Flag::Error, vec![]),
            ("count", Flag::Complete, vec!["3"]),
            // As OpenSCAP: what does not exist has no count, but the sum with it is there.
            ("zero", Flag::DoesNotExist, vec!["0"]),
            ("sum", Flag::Complete, vec!["5"]),
            ("both", Flag::Complete, vec!["^a", "^b"]),
            ("neither", Flag::DoesNotExist, vec![]),
            ("broke", Flag::Error, vec![]),
            ("lost", Flag::Error, vec![]),
        ] {
            let outcome = evaluator.variable(id);
            let found: Vec<&str> = outcome.values.iter().map(|value| &**value).collect();
            assert_eq!((outcome.flag, found), (flag, values), "{id}");
            assert!(outcome.has_values() || outcome.message.is_some(), "{id}");
        }
    });
}

#[test]
fn variables_in_states_and_objects() {
    for (state, expected) in [
        ("<number datatype='int' var_ref='c'/>", False),
        (
            "<number datatype='int' var_ref='c' var_check='at least one'/>",
            True,
        ),
        // Compared as the variable's type is: 1 is not less than 1.
        (
            "<number var_ref='c' var_check='at least one' operation='less than'/>",
            True,
        ),
        ("<number var_ref='unset'/>", Error),
        ("<number var_ref='nobody'/>", Error),
    ] {
        let found = result(&one("", "one", &[state], VARIABLES));
        assert_eq!(found, expected, "{state}");
    }
    for (variable, flag, items) in [
        ("names", Flag::Complete, 2),
        ("nobody", Flag::DoesNotExist, 0),
        ("unset", Flag::Error, 0),
        ("nofield", Flag::Error, 0),
    ] {
        let body = object("o", &format!("<name var_ref='{variable}'/>"));
        let document = parse(&format!(
            "<objects>{body}{}{}</objects>{VARIABLES}",
            named("two"),
            named("none")
        ));
        with(&document, &Externals::new(), |mut evaluator| {
            let outcome = evaluator.object(evaluator.document.objects.get("o").unwrap());
            assert_eq!(
                (outcome.flag, outcome.items.len()),
                (flag, items),
                "{variable}"
            );
        });
    }
}

#[test]
fn tests_of_variables() {
    for (variable, existence, state, expected) in [
        (
            "c",
            "all_exist",
            "<value datatype='int' operation='less than'>3</value>",
            True,
        ),
        ("c", "all_exist", "<value datatype='int'>1</value>", False),
        (
            "c",
            "all_exist",
            "<value datatype='int' entity_check='at least one'>1</value>",
            True,
        ),
        ("nobody", "all_exist", "<value>1</value>", False),
        ("nobody", "none_exist", "<value>1</value>", True),
        ("unset", "all_exist", "<value>1</value>", Unknown),
        ("unset", "none_exist", "<value>1</value>", Unknown),
    ] {
        let document = parse(&format!(
            "<definitions><definition id='d'><criteria><criterion test_ref='t'/></criteria></definition></definitions>
             <tests><variable_test id='t' check_existence='{existence}'><object object_ref='o'/><state state_ref='s'/></variable_test></tests>
             <objects><variable_object id='o'><var_ref>{variable}</var_ref></variable_object>{}</objects>
             <states><variable_state id='s'>{state}</variable_state></states>{VARIABLES}",
            named("none"),
        ));
        assert_eq!(
            result(&document),
            expected,
            "{variable} {existence} {state}"
        );
    }
}

#[test]
fn circles_and_missing_references_decide_nothing() {
    let extend = |id: &str, to: &str| {
        format!(
            "<definition id='{id}'><criteria operator='OR'><extend_definition definition_ref='{to}'/><criterion test_ref='yes'/></criteria></definition>"
        )
    };
    let definitions = [
        extend("a", "b"),
        extend("b", "c"),
        extend("c", "b"),
        extend("lost", "nowhere"),
        "<definition id='untested'><criteria><criterion test_ref='nothing'/></criteria></definition>".to_owned(),
        "<definition id='no-state'><criteria><criterion test_ref='no-state'/></criteria></definition>".to_owned(),
        "<definition id='d'><criteria><criterion test_ref='of-circle'/></criteria></definition>".to_owned(),
    ];
    // More than can be followed; the last is true.
    let deep: String = (0..1000)
        .map(|place| {
            let next = if place == 999 { "true".to_owned() } else { format!("n{}", place + 1) };
            format!("<definition id='n{place}'><criteria><extend_definition definition_ref='{next}'/></criteria></definition>")
        })
        .collect();
    let text = format!(
        "<definitions>{}{deep}</definitions>
         <tests><fake_test id='yes'><object object_ref='one'/></fake_test>
          <fake_test id='no-state'><object object_ref='one'/><state state_ref='nothing'/></fake_test>
          <fake_test id='of-circle'><object object_ref='o'/></fake_test></tests>
         <objects>{}{}</objects>
         <variables><local_variable id='v' datatype='string'><object_component object_ref='o' item_field='name'/></local_variable></variables>",
        definitions.concat(),
        named("one"),
        object("o", "<name var_ref='v'/>"),
    );
    let document = parse(&text);
    with(&document, &Externals::new(), |mut evaluator| {
        // In the circle whatever else is true; outside of it that counts.
        for (id, expected) in [
            ("a", True),
            ("b", NotEvaluated),
            ("c", NotEvaluated),
            ("lost", True),
            ("untested", Error),
            ("no-state", Unknown),
            ("d", Error),
            ("n0", Error),
            ("none at all", Error),
        ] {
            assert_eq!(evaluator.definition(id), expected, "{id}");
            evaluator.why(id);
        }
        assert_eq!(evaluator.depth, 0);
        // The order of questions does not matter for a circle.
    });
    with(&document, &Externals::new(), |mut evaluator| {
        assert_eq!(evaluator.definition("c"), NotEvaluated);
        assert_eq!(evaluator.definition("b"), NotEvaluated);
    });
}

fn whys(document: &Document) -> Vec<(String, String, String)> {
    with(document, &Externals::new(), |mut evaluator| {
        evaluator.definition("d");
        let whys = evaluator.why("d").into_iter();
        whys.map(|why| {
            (
                why.what,
                why.actual.unwrap_or_default(),
                why.expected.unwrap_or_default(),
            )
        })
        .collect()
    })
}

#[test]
fn reasons_name_what_decided() {
    let told = |what: &str, actual: &str, expected: &str| {
        vec![(what.to_owned(), actual.to_owned(), expected.to_owned())]
    };
    let big = "<number datatype='int' operation='greater than or equal'>2</number><name operation='pattern match'>.</name>";
    assert_eq!(
        whys(&one("", "two", &[big], "")),
        told("a: number", "1", "greater than or equal 2")
    );
    assert_eq!(
        whys(&one("", "none", &[big], "")),
        told("none", "does not exist", "exists")
    );
    assert_eq!(
        whys(&one("check_existence='none_exist'", "one", &[], "")),
        told("a", "exists", "does not exist")
    );
    assert_eq!(
        whys(&one("", "failed", &[big], "")),
        told("failed", "cannot look", "exists")
    );
    let masked = "<number datatype='int' mask='true' var_ref='c' var_check='at least one' operation='greater than'/>";
    assert_eq!(
        whys(&one("", "one", &[masked], VARIABLES)),
        told("a: number", "(masked)", "greater than 1 or 2")
    );
    let long = "x".repeat(500);
    let state = format!("<name>{long}</name>");
    let found = whys(&one("", "one", &[&state], ""));
    assert_eq!(found[0].2.chars().count(), 201);
}
