//! What external variables may be, and where relative paths start.

use super::*;

#[test]
fn external_variables_are_limited() {
    let limits = "<possible_value>7</possible_value><possible_restriction>
         <restriction operation='greater than'>10</restriction>
         <restriction operation='less than'>20</restriction></possible_restriction>";
    let more = format!(
        "<variables><external_variable id='x' datatype='int'>{limits}</external_variable></variables>"
    );
    let states = ["<number datatype='int' operation='not equal' var_ref='x' var_check='all'/>"];
    let document = one("", "one", &states, &more);
    for (values, expected) in [
        (vec!["7"], True),
        (vec!["11", "7"], True),
        (vec!["8"], Error),
        (vec!["11", "20"], Error),
    ] {
        let given = values.iter().map(|value| Arc::from(*value)).collect();
        let externals = Externals::from([(Arc::from("x"), given)]);
        let found = with(&document, &externals, |mut evaluator| {
            evaluator.definition("d")
        });
        assert_eq!(found, expected, "{values:?}");
    }
}

#[test]
fn relative_paths_start_from_the_base() {
    let text = "<definitions/><objects><fake_object id='o'><path>./a/</path></fake_object>
         <fake_object id='p'><path operation='pattern match'>a</path></fake_object></objects>";
    let document = parse(text);
    let folder = tempfile::tempdir().unwrap();
    let system = Rooted::new(folder.path().to_path_buf(), false);
    let context = Context::new(&system).with_base(Some("/base".into()));
    let externals = Externals::new();
    let seen = std::cell::RefCell::new(Vec::new());
    let note = |_: &str, query: &Query| {
        let path = query.entity("path")?;
        seen.borrow_mut().push(path.values[0].to_string());
        None
    };
    let mut evaluator = Evaluator::new(&document, &context, &externals).with_collector(&note);
    for id in ["o", "p"] {
        evaluator.object(&document.objects[id]);
    }
    assert_eq!(*seen.borrow(), ["/base/a", "a"]);
}

#[test]
fn paths_of_a_variable_are_as_its_check_asks() {
    let object = |id: &str, check: &str, variable: &str| {
        format!(
            "<fake_object id='{id}'><path var_ref='{variable}' var_check='{check}'/></fake_object>"
        )
    };
    let objects = [
        object("any", "at least one", "two"),
        object("one", "only one", "two"),
        object("all", "all", "two"),
        object("same", "all", "twice"),
        object("none", "none satisfy", "two"),
    ];
    let text = format!(
        "<objects>{}</objects><variables>
         <constant_variable id='two' datatype='string'><value>/a</value><value>/b</value></constant_variable>
         <constant_variable id='twice' datatype='string'><value>/a</value><value>/a</value></constant_variable>
         </variables>",
        objects.concat()
    );
    let document = parse(&text);
    let folder = tempfile::tempdir().unwrap();
    let system = Rooted::new(folder.path().to_path_buf(), false);
    let context = Context::new(&system);
    let externals = Externals::new();
    let found =
        |_: &str, _: &Query| Some(Collected::complete(vec![Item::new().string("path", "/a")]));
    let mut evaluator = Evaluator::new(&document, &context, &externals).with_collector(&found);
    for (id, flag) in [
        ("any", Flag::Complete),
        ("one", Flag::Complete),
        ("all", Flag::DoesNotExist),
        ("same", Flag::Complete),
        ("none", Flag::DoesNotExist),
    ] {
        assert_eq!(evaluator.object(&document.objects[id]).flag, flag, "{id}");
    }
}
