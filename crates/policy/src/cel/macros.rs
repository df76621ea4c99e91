//! The macros of CEL and its extensions: calls that become nodes of their own.

use super::ast::{Call, Expr, Fold, FoldKind};
use super::parser::{Tree, bounded};

/// `has(a.b)`.
pub(super) fn has(args: Vec<Expr>, depth: usize) -> Result<Tree, String> {
    let mut args = args.into_iter();
    match (args.next(), args.next()) {
        (Some(Expr::Select(select)), None) if !select.optional => {
            bounded(Expr::Has(select), depth + 1)
        }
        _ => Err("has() takes one argument, the selection of a field".into()),
    }
}

/// A call with a target: a macro, or a function.
pub(super) fn member(
    target: Expr,
    name: String,
    args: Vec<Expr>,
    depth: usize,
) -> Result<Tree, String> {
    use FoldKind::{
        All, Exists, ExistsOne, Filter, Map, OptFlatMap, OptMap, SortBy, TransformList,
        TransformMap, TransformMapEntry,
    };
    // The kind, the number of variables, and whether a filter stands before the body.
    let found = match (name.as_str(), args.len()) {
        ("all", 2) => Some((All, 1, false)),
        ("all", 3) => Some((All, 2, false)),
        ("exists", 2) => Some((Exists, 1, false)),
        ("exists", 3) => Some((Exists, 2, false)),
        ("exists_one" | "existsOne", 2) => Some((ExistsOne, 1, false)),
        ("exists_one" | "existsOne", 3) => Some((ExistsOne, 2, false)),
        ("filter", 2) => Some((Filter, 1, false)),
        ("map", 2) => Some((Map, 1, false)),
        ("map", 3) => Some((Map, 1, true)),
        ("optMap", 2) => Some((OptMap, 1, false)),
        ("optFlatMap", 2) => Some((OptFlatMap, 1, false)),
        ("sortBy", 2) => Some((SortBy, 1, false)),
        ("transformList", 3) => Some((TransformList, 2, false)),
        ("transformList", 4) => Some((TransformList, 2, true)),
        ("transformMap", 3) => Some((TransformMap, 2, false)),
        ("transformMap", 4) => Some((TransformMap, 2, true)),
        ("transformMapEntry", 3) => Some((TransformMapEntry, 2, false)),
        ("transformMapEntry", 4) => Some((TransformMapEntry, 2, true)),
        _ => None,
    };
    let Some((kind, count, filtered)) = found else {
        let call = Call {
            name,
            target: Some(target),
            args,
            function: None,
            pattern: None,
        };
        return bounded(Expr::Call(Box::new(call)), depth + 1);
    };
    let mut args = args.into_iter();
    let mut variables = Vec::new();
    for arg in args.by_ref().take(count) {
        match arg {
            Expr::Name(variable) if !variables.contains(&variable) => variables.push(variable),
            _ => return Err(format!("{name}() takes names of variables first")),
        }
    }
    let filter = if filtered { args.next() } else { None };
    let body = args.next().ok_or("a macro without a body")?;
    if kind == TransformMapEntry && !matches!(&body, Expr::Map(all) if all.len() == 1) {
        return Err("transformMapEntry() takes a map of one entry".into());
    }
    let fold = Fold {
        kind,
        range: target,
        variables,
        filter,
        body,
    };
    bounded(Expr::Fold(Box::new(fold)), depth + 1)
}
