//! Documents read.

use super::*;
use crate::oval::model::{Component, Function, VariableSource};

fn read(inner: &str) -> Result<Document, ContentError> {
    let text = format!(
        "<oval_definitions xmlns='http://oval.mitre.org/XMLSchema/oval-definitions-5' xmlns:xsi='urn:xsi'
          xmlns:ind='http://oval.mitre.org/XMLSchema/oval-definitions-5#independent'
          xmlns:win='http://oval.mitre.org/XMLSchema/oval-definitions-5#windows'>{inner}</oval_definitions>"
    );
    document(&crate::xml::parse(text.as_bytes()).unwrap())
}

#[test]
fn definitions_and_tests() {
    let document = read(
        "<definitions>
          <definition id='d:2' class='patch'><metadata><title> A
             title</title></metadata><criteria operator='OR' negate='true'><criterion test_ref='t:1' negate='1'/><criteria><extend_definition definition_ref='d:1'/></criteria></criteria></definition>
          <definition id='d:1'/><definition id='d:2' class='other'/>
         </definitions>
         <tests><ind:textfilecontent54_test id='t:1' check='only one' check_existence='none_exist' state_operator='XOR' comment='c'><ind:object object_ref='o:1'/><ind:state state_ref='s:1'/><ind:state state_ref='s:2'/></ind:textfilecontent54_test>
          <win:file_test id='t:2' check='all'/></tests>",
    )
    .unwrap();
    assert_eq!(document.order, [Arc::from("d:2"), Arc::from("d:1")]);
    let definition = &document.definitions["d:2"];
    assert_eq!(
        (&*definition.class, &*definition.title),
        ("patch", "A title")
    );
    let Some(Criteria::Group {
        operator: Operator::Or,
        negate: true,
        parts,
    }) = &definition.criteria
    else {
        panic!("{definition:?}");
    };
    assert!(matches!(&parts[0], Criteria::Test { test, negate: true } if &**test == "t:1"));
    assert!(document.definitions["d:1"].criteria.is_none());
    let test = &document.tests["t:1"];
    assert_eq!(&*test.kind, "textfilecontent54");
    assert_eq!(test.existence, Existence::None);
    assert_eq!(
        (test.check, test.state_operator),
        (Check::OnlyOne, Operator::Xor)
    );
    assert_eq!(test.object.as_deref(), Some("o:1"));
    assert_eq!(test.states.len(), 2);
    // Not the file test that has a probe.
    assert_eq!(&*document.tests["t:2"].kind, "windows/file");
}

#[test]
fn objects_and_states() {
    let document = read(
        "<objects>
          <ind:textfilecontent54_object id='o:1'><notes/><ind:behaviors multiline='false'/><ind:path var_ref='v:1' var_check='at least one'/><ind:filename xsi:nil='true'/><ind:pattern operation='pattern match'> ^a</ind:pattern><ind:instance datatype='int' operation='greater than or equal'>1</ind:instance><filter>s:1</filter><filter action='include'>s:2</filter></ind:textfilecontent54_object>
          <ind:yamlfilecontent_object id='o:2'><set set_operator='COMPLEMENT'><set><object_reference> o:1 </object_reference></set><set><object_reference>o:1</object_reference><filter action='exclude'>s:1</filter></set></set></ind:yamlfilecontent_object>
         </objects>
         <states><ind:yamlfilecontent_state id='s:1' operator='ONE'><ind:value datatype='record' entity_check='none exist'><field name='#' operation='not equal' mask='true'>x</field></ind:value></ind:yamlfilecontent_state></states>",
    )
    .unwrap();
    let ObjectBody::Plain {
        behaviors,
        entities,
        filters,
    } = &document.objects["o:1"].body
    else {
        panic!();
    };
    assert_eq!(behaviors, &[(Arc::from("multiline"), Box::from("false"))]);
    let names: Vec<&str> = entities.iter().map(|entity| &*entity.name).collect();
    assert_eq!(names, ["path", "filename", "pattern", "instance"]);
    assert_eq!(entities[0].variable.as_deref(), Some("v:1"));
    assert_eq!(entities[0].var_check, Check::AtLeastOne);
    assert!(entities[1].nil);
    assert_eq!(&*entities[2].value, " ^a");
    assert_eq!(entities[3].operation, Operation::GreaterThanOrEqual);
    assert_eq!(
        filters
            .iter()
            .map(|filter| filter.include)
            .collect::<Vec<_>>(),
        [false, true]
    );
    let ObjectBody::Set(set) = &document.objects["o:2"].body else {
        panic!();
    };
    assert_eq!(set.operator, SetOperator::Complement);
    let SetOperand::Set(first) = &set.operands[0] else {
        panic!();
    };
    assert!(matches!(&first.operands[0], SetOperand::Object(id) if &**id == "o:1"));
    let state = &document.states["s:1"];
    assert_eq!(
        (&*state.kind, state.operator),
        ("yamlfilecontent", Operator::One)
    );
    let entity = &state.entities[0];
    assert_eq!(
        (entity.datatype, entity.entity_check),
        (Datatype::Record, Check::None)
    );
    let field = &entity.fields[0];
    assert_eq!((&*field.name, &*field.value, field.mask), ("#", "x", true));
}

#[test]
fn variables_and_components() {
    let document = read(
        "<variables>
          <constant_variable id='v:1' datatype='int'><value>1</value><value>2</value></constant_variable>
          <external_variable id='v:2'/>
          <local_variable id='v:3'><concat><literal_component> a</literal_component><object_component object_ref='o:1' item_field='value' record_field='f'/><variable_component var_ref='v:2'/><substring substring_start='2' substring_length='-1'/></concat></local_variable>
          <local_variable id='v:4'><merge/></local_variable>
         </variables>",
    )
    .unwrap();
    let variable = &document.variables["v:1"];
    assert_eq!(variable.datatype, Datatype::Int);
    assert!(
        matches!(&variable.source, VariableSource::Constant(values) if values.len() == 2 && &*values[1] == "2")
    );
    let VariableSource::Local(Component::Function(Function::Concat, parts)) =
        &document.variables["v:3"].source
    else {
        panic!();
    };
    assert!(matches!(&parts[0], Component::Literal(text) if &**text == " a"));
    assert!(
        matches!(&parts[1], Component::Object { record_field: Some(field), .. } if &**field == "f")
    );
    assert!(matches!(
        &parts[3],
        Component::Function(
            Function::Substring {
                start: 2,
                length: -1
            },
            _
        )
    ));
    assert!(matches!(
        &document.variables["v:4"].source,
        VariableSource::Local(Component::Variable(_))
    ));
}

#[test]
fn unknown_words_name_their_place() {
    for (inner, place, word) in [
        (
            "<tests><ind:t_test id='t:1' check='most'/></tests>",
            "t:1",
            "@check",
        ),
        (
            "<states><ind:t_state id='s:1'><ind:e operation='like'>1</ind:e></ind:t_state></states>",
            "s:1",
            "@operation",
        ),
        (
            "<definitions><definition id='d:1'><criteria operator='NAND'/></definition></definitions>",
            "d:1",
            "@operator",
        ),
        (
            "<variables><local_variable id='v:1'><substring substring_start='x' substring_length='1'/></local_variable></variables>",
            "v:1",
            "@substring_start",
        ),
        (
            "<variables><other_variable id='v:1'/></variables>",
            "v:1",
            "no kind",
        ),
    ] {
        let error = read(inner).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains(word), "{error}");
    }
}
