//! Results of a small document whose outcome is given.

use super::super::testresult::tests::context;
use super::*;
use crate::oval::item::Status;
use crate::oval::model::{Check, Datatype, Existence, ObjectBody, Operator};
use crate::oval::model::{Entity, Operation, State};
use crate::xml::parse;

pub struct Given {
    pub document: Document,
    pub items: Vec<Item>,
    pub values: Vec<Arc<str>>,
}

fn entity(name: &str, mask: bool) -> Entity {
    Entity {
        name: name.into(),
        datatype: Datatype::String,
        operation: Operation::Equals,
        mask,
        variable: None,
        var_check: Check::All,
        entity_check: Check::All,
        existence: Existence::AtLeastOne,
        nil: false,
        value: "".into(),
        fields: Vec::new(),
    }
}

fn variable(name: &str) -> Entity {
    Entity {
        variable: Some("oval:t:var:1".into()),
        ..entity(name, false)
    }
}

pub fn given() -> Given {
    let mut document = Document::default();
    let id: Arc<str> = "oval:t:def:1".into();
    document.order.push(Arc::clone(&id));
    let parts = vec![
        Criteria::Test {
            test: "oval:t:tst:1".into(),
            negate: false,
        },
        Criteria::Test {
            test: "oval:t:tst:9".into(),
            negate: true,
        },
    ];
    document.definitions.insert(
        Arc::clone(&id),
        Definition {
            id,
            class: "compliance".into(),
            title: "t".into(),
            criteria: Some(Criteria::Group {
                operator: Operator::Or,
                negate: true,
                parts,
            }),
        },
    );
    document.tests.insert(
        "oval:t:tst:1".into(),
        Test {
            id: "oval:t:tst:1".into(),
            kind: "textfilecontent54".into(),
            comment: "".into(),
            existence: Existence::AtLeastOne,
            check: Check::All,
            state_operator: Operator::And,
            object: Some("oval:t:obj:1".into()),
            states: vec!["oval:t:ste:1".into()],
        },
    );
    document.objects.insert(
        "oval:t:obj:1".into(),
        Object {
            id: "oval:t:obj:1".into(),
            kind: "textfilecontent54".into(),
            body: ObjectBody::Plain {
                behaviors: Vec::new(),
                entities: vec![variable("filepath")],
                filters: Vec::new(),
            },
        },
    );
    document.states.insert(
        "oval:t:ste:1".into(),
        State {
            id: "oval:t:ste:1".into(),
            kind: "textfilecontent54".into(),
            operator: Operator::And,
            entities: vec![entity("subexpression", true), variable("text")],
        },
    );
    let item = Item::new()
        .string("filepath", "/etc/<x>")
        .string("subexpression", "hunter2")
        .int("instance", 1)
        .without("windows_view", Status::DoesNotExist);
    Given {
        document,
        items: vec![item],
        values: vec!["v<".into(), "$6$salt$hash".into()],
    }
}

impl Evaluated for Given {
    fn document(&self) -> &Document {
        &self.document
    }

    fn definitions(&self) -> Vec<(&Definition, Truth)> {
        let definitions = self.document.definitions.values();
        definitions.map(|one| (one, Truth::False)).collect()
    }

    fn tests(&self) -> Vec<TestView<'_>> {
        let tests = self.document.tests.values();
        tests
            .map(|test| TestView {
                test,
                truth: Truth::True,
                message: Some("m&"),
                tested: vec![(7, Truth::True)],
            })
            .collect()
    }

    fn objects(&self) -> Vec<ObjectView<'_>> {
        let objects = self.document.objects.values();
        objects
            .map(|object| ObjectView {
                object,
                flag: Flag::Incomplete,
                message: Some("a <b>"),
                items: vec![7],
            })
            .collect()
    }

    fn variables(&self) -> Vec<(&str, &[Arc<str>])> {
        vec![("oval:t:var:1", &self.values)]
    }

    fn item(&self, id: u32) -> Option<&Item> {
        (id == 7).then(|| self.items.first()).flatten()
    }
}

#[test]
fn results_say_what_was_decided_and_collected() {
    let definitions = b"<?xml version='1.0'?><oval_definitions xmlns='urn:d'><definitions><definition id='oval:t:def:1' version='3'><metadata id='x' version='9'/></definition></definitions><objects><o id='oval:t:obj:1' version='12'/><o id='oval:t:obj:2' version='1&amp;'/></objects></oval_definitions>";
    let fragment = Fragment::document(definitions);
    let written = write(Vec::new(), &given(), Some(&fragment), &context()).unwrap();
    let text = String::from_utf8(written.clone()).unwrap();
    for line in [
        "<oval_definitions xmlns='urn:d'><definitions>",
        "<definition definition_id=\"oval:t:def:1\" result=\"false\" version=\"3\">",
        "<criteria operator=\"OR\" result=\"false\" negate=\"true\">",
        "<criterion test_ref=\"oval:t:tst:1\" version=\"1\" result=\"true\"/>",
        "<criterion test_ref=\"oval:t:tst:9\" version=\"1\" result=\"not evaluated\" negate=\"true\"/>",
        "<test test_id=\"oval:t:tst:1\" version=\"1\" check_existence=\"at_least_one_exists\" check=\"all\" state_operator=\"AND\" result=\"true\">",
        "<message level=\"info\">m&amp;</message>",
        "<tested_variable variable_id=\"oval:t:var:1\">v&lt;</tested_variable>",
        "<tested_variable variable_id=\"oval:t:var:1\">(redacted)</tested_variable>",
        "<variable_value variable_id=\"oval:t:var:1\">v&lt;</variable_value>",
        "<tested_item item_id=\"7\" result=\"true\"/>",
        "<object id=\"oval:t:obj:1\" version=\"12\" flag=\"incomplete\">",
        "<message level=\"warning\">a &lt;b&gt;</message>",
        "<ind-sys:textfilecontent_item id=\"7\" status=\"exists\">",
        "<ind-sys:filepath>/etc/&lt;x&gt;</ind-sys:filepath>",
        "<ind-sys:subexpression mask=\"true\"/>",
        "<ind-sys:instance datatype=\"int\">1</ind-sys:instance>",
        "<ind-sys:windows_view status=\"does not exist\"/>",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("hunter2") && !text.contains("$6$"));
    assert_eq!(text.matches("<?xml").count(), 1);
    let root = parse(&written).unwrap();
    let system = root.child("results").unwrap().child("system").unwrap();
    assert_eq!(system.elements().count(), 3);
}

#[test]
fn versions_are_of_what_is_in_sections() {
    let read = versions(b"<d version='1' id='r'><a version='2' id='s'><x id='i' version='3'><y id='j' version='4'/></x><x id='k' version='-1'/></a></d>").unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read.get("i").map(|version| &**version), Some("3"));
}
