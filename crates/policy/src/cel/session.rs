//! Evaluation: a walk over the tree of an expression.

use super::arithmetic;
use super::ast::{Binary, Call, Element, Entry, Expr, Fold, FoldKind, Index, Select, Struct};
use super::error::Error;
use super::library::optional;
use super::meter::Meter;
use super::value::{Entries, Key, List, Map, Outcome, Value};
use super::{Program, Variable};
use std::rc::Rc;

/// How deep evaluations of variables within expressions may be nested, in nodes.
const DEPTH: usize = 400;

/// What the expressions of one policy on one object share: the variables of the environment,
/// the lazily evaluated ones, and the budget.
pub(crate) struct Session<'a> {
    pub(super) meter: Meter,
    globals: Vec<Value<'a>>,
    variables: &'a [Variable],
    cache: Vec<Option<Outcome<'a>>>,
    locals: Vec<Value<'a>>,
    depth: usize,
}

impl<'a> Session<'a> {
    /// Globals come in the order in which the environment declares them.
    pub(crate) fn new(globals: Vec<Value<'a>>, variables: &'a [Variable], meter: Meter) -> Self {
        Self {
            meter,
            globals,
            cache: variables.iter().map(|_| None).collect(),
            variables,
            locals: Vec::new(),
            depth: 0,
        }
    }

    /// Sets a variable that comes from outside.
    pub(crate) fn set(&mut self, variable: usize, value: Value<'a>) {
        if let Some(place) = self.cache.get_mut(variable) {
            *place = Some(Ok(value));
        }
    }

    /// The value of an expression.
    pub(crate) fn evaluate(&mut self, program: &'a Program) -> Outcome<'a> {
        self.locals.clear();
        self.depth = 0;
        self.eval(&program.expr)
    }

    fn eval(&mut self, expr: &'a Expr) -> Outcome<'a> {
        self.meter.spend(1)?;
        match expr {
            Expr::Null => Ok(Value::Null),
            Expr::Bool(b) => Ok(Value::Bool(*b)),
            Expr::Int(i) => Ok(Value::Int(*i)),
            Expr::Uint(u) => Ok(Value::Uint(*u)),
            Expr::Double(d) => Ok(Value::Double(*d)),
            Expr::Text(text) => Ok(Value::borrowed(text)),
            Expr::Bytes(bytes) => Ok(Value::Bytes(Rc::from(bytes.as_slice()))),
            Expr::Type(name) => Ok(Value::Type(name)),
            Expr::Local(n) => self.local(*n),
            Expr::Global(n) => match self.globals.get(*n) {
                Some(value) => Ok(value.clone()),
                None => Err(Error::new("no such attribute")),
            },
            _ => {
                if self.depth >= DEPTH {
                    return Err(Error::limit("depth"));
                }
                self.depth += 1;
                let outcome = self.node(expr);
                self.depth -= 1;
                outcome
            }
        }
    }

    fn local(&self, n: usize) -> Outcome<'a> {
        let value = self.locals.get(n).cloned();
        value.ok_or_else(|| Error::new("no such attribute"))
    }

    fn node(&mut self, expr: &'a Expr) -> Outcome<'a> {
        match expr {
            Expr::Variable(n) => self.variable(*n),
            Expr::Select(select) => self.select(select),
            Expr::Has(select) => self.has(select),
            Expr::Index(index) => self.index(index),
            Expr::Call(call) => self.call(call),
            Expr::And(parts) => self.logic(parts, false),
            Expr::Or(parts) => self.logic(parts, true),
            Expr::Not(operand) => match self.eval(operand)? {
                Value::Bool(b) => Ok(Value::Bool(!b)),
                _ => Err(Error::overload()),
            },
            Expr::Negate(operand) => arithmetic::negate(&self.eval(operand)?),
            Expr::Conditional(parts) => {
                let [test, yes, no] = &**parts;
                match self.eval(test)? {
                    Value::Bool(true) => self.eval(yes),
                    Value::Bool(false) => self.eval(no),
                    _ => Err(Error::overload()),
                }
            }
            Expr::Binary(op, sides) => {
                let [left, right] = &**sides;
                let left = self.eval(left)?;
                let right = self.eval(right)?;
                self.binary(*op, left, right)
            }
            Expr::List(items) => self.list(items),
            Expr::Map(entries) => self.map(entries),
            Expr::Struct(made) => self.structure(made),
            Expr::Fold(fold) => self.fold(fold),
            _ => Err(Error::new("an expression that was not compiled")),
        }
    }

    /// A variable of the policy, evaluated when it is first asked for.
    fn variable(&mut self, n: usize) -> Outcome<'a> {
        if let Some(Some(known)) = self.cache.get(n) {
            return known.clone();
        }
        let variables = self.variables;
        let Some(variable) = variables.get(n) else {
            return Err(Error::new("no such variable"));
        };
        let locals = std::mem::take(&mut self.locals);
        let outcome = match &variable.program {
            Ok(program) => self.eval(&program.expr),
            Err(why) => Err(Error::new(why.as_str())),
        };
        self.locals = locals;
        let outcome = outcome.map_err(|why| {
            if why.is_limit() {
                return why;
            }
            let name = &variable.name;
            Error::new(format!("variable {name:?} fails to evaluate: {why}"))
        });
        if let Some(place) = self.cache.get_mut(n) {
            *place = Some(outcome.clone());
        }
        outcome
    }

    /// `&&` ends at the first false, `||` at the first true; an error only counts without one.
    fn logic(&mut self, parts: &'a [Expr], end: bool) -> Outcome<'a> {
        let mut fault = None;
        for part in parts {
            match self.eval(part) {
                Ok(Value::Bool(b)) if b == end => return Ok(Value::Bool(end)),
                Ok(Value::Bool(_)) => {}
                Ok(_) => {
                    fault.get_or_insert_with(Error::overload);
                }
                Err(why) if why.is_limit() => return Err(why),
                Err(why) => {
                    fault.get_or_insert(why);
                }
            }
        }
        fault.map_or(Ok(Value::Bool(!end)), Err)
    }

    fn select(&mut self, select: &'a Select) -> Outcome<'a> {
        let operand = self.eval(&select.operand)?;
        let name = select.field.as_str();
        if select.optional {
            let key = Value::borrowed(name);
            return optional_get(&operand, &key);
        }
        match &operand {
            Value::Map(map) => map.field(name).ok_or_else(|| Error::no_key(name)),
            Value::Struct(kind, map) => match map.field(name) {
                Some(value) => Ok(value),
                None if **kind == *"JSONPatch" && name != "value" => Ok(Value::borrowed("")),
                None => Err(Error::no_key(name)),
            },
            Value::Optional(_) => optional_get(&operand, &Value::borrowed(name)),
            _ => Err(Error::no_key(name)),
        }
    }

    fn has(&mut self, select: &'a Select) -> Outcome<'a> {
        let operand = self.eval(&select.operand)?;
        let name = select.field.as_str();
        let there = match &operand {
            Value::Map(map) | Value::Struct(_, map) => map.field(name).is_some(),
            Value::Optional(Some(inner)) => match &**inner {
                Value::Map(map) | Value::Struct(_, map) => map.field(name).is_some(),
                _ => false,
            },
            Value::List(_) => return Err(Error::overload()),
            _ => false,
        };
        Ok(Value::Bool(there))
    }

    fn index(&mut self, index: &'a Index) -> Outcome<'a> {
        let operand = self.eval(&index.operand)?;
        let key = self.eval(&index.index)?;
        if index.optional || matches!(operand, Value::Optional(_)) {
            return optional_get(&operand, &key);
        }
        lookup(&operand, &key)
    }

    fn call(&mut self, call: &'a Call) -> Outcome<'a> {
        let Some(function) = call.function else {
            return Err(Error::new("a function that was not resolved"));
        };
        // What stands behind an optional that has a value is not evaluated.
        if matches!(function.name, "or" | "orValue")
            && let [target, other] = call.args.as_slice()
        {
            let target = self.eval(target)?;
            return match optional::either(function.name, target)? {
                Some(value) => Ok(value),
                None => self.eval(other),
            };
        }
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            args.push(self.eval(arg)?);
        }
        if let Some(pattern) = &call.pattern {
            return super::library::regex::call(function.name, pattern, &args, &mut self.meter);
        }
        (function.native)(&mut self.meter, &args)
    }

    fn binary(&mut self, op: Binary, left: Value<'a>, right: Value<'a>) -> Outcome<'a> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match op {
            Binary::Equal | Binary::NotEqual => {
                self.meter
                    .spend(left.weight(10_000).min(right.weight(10_000)))?;
                Ok(Value::Bool(left.equals(&right) == (op == Binary::Equal)))
            }
            Binary::In => {
                self.meter.spend(match &right {
                    Value::List(list) => list.len() as u64,
                    _ => 1,
                })?;
                contains(&right, &left).map(Value::Bool)
            }
            Binary::Less | Binary::LessOrEqual | Binary::Greater | Binary::GreaterOrEqual => {
                let order = left.compare(&right)?;
                Ok(Value::Bool(match op {
                    Binary::Less => order == Some(Less),
                    Binary::LessOrEqual => matches!(order, Some(Less | Equal)),
                    Binary::Greater => order == Some(Greater),
                    _ => matches!(order, Some(Greater | Equal)),
                }))
            }
            _ => arithmetic::binary(op, left, right, &mut self.meter),
        }
    }

    fn list(&mut self, items: &'a [Element]) -> Outcome<'a> {
        self.meter.grow(items.len() * size_of::<Value<'_>>())?;
        let mut all = Vec::with_capacity(items.len());
        for item in items {
            let value = self.eval(&item.value)?;
            match (item.optional, value) {
                (false, value) => all.push(value),
                (true, Value::Optional(Some(value))) => all.push((*value).clone()),
                (true, Value::Optional(None)) => {}
                _ => return Err(Error::overload()),
            }
        }
        Ok(Value::list(all))
    }

    fn map(&mut self, entries: &'a [Entry]) -> Outcome<'a> {
        let mut all = Entries::new();
        for entry in entries {
            let key = self.eval(&entry.key)?;
            let value = self.eval(&entry.value)?;
            let value = match (entry.optional, value) {
                (false, value) => value,
                (true, Value::Optional(Some(value))) => (*value).clone(),
                (true, Value::Optional(None)) => continue,
                _ => return Err(Error::overload()),
            };
            self.insert(&mut all, key, value)?;
        }
        Ok(Value::map(all))
    }

    fn insert(
        &mut self,
        entries: &mut Entries<'a>,
        key: Value<'a>,
        value: Value<'a>,
    ) -> Result<(), Error> {
        self.meter.grow(3 * size_of::<Value<'_>>())?;
        let place = match key {
            Value::Double(_) => None,
            _ => Key::of(&key),
        };
        let place = place.ok_or_else(|| Error::new("unsupported key type"))?;
        if entries.insert(place, (key, value)).is_some() {
            return Err(Error::new("a key is repeated"));
        }
        Ok(())
    }

    fn structure(&mut self, made: &'a Struct) -> Outcome<'a> {
        let mut all = Entries::new();
        for (name, value, optional) in &made.fields {
            let value = match (optional, self.eval(value)?) {
                (false, value) => value,
                (true, Value::Optional(Some(value))) => (*value).clone(),
                (true, Value::Optional(None)) => continue,
                _ => return Err(Error::overload()),
            };
            if made.name == "JSONPatch" && name != "value" && !matches!(value, Value::Text(_)) {
                return Err(Error::new(format!("the field {name} of JSONPatch is text")));
            }
            self.insert(&mut all, Value::borrowed(name), value)?;
        }
        let map = Map::Owned(Rc::new(all));
        Ok(Value::Struct(Rc::from(made.name.as_str()), map))
    }

    fn fold(&mut self, fold: &'a Fold) -> Outcome<'a> {
        let range = self.eval(&fold.range)?;
        if matches!(fold.kind, FoldKind::OptMap | FoldKind::OptFlatMap) {
            let Value::Optional(inner) = range else {
                return Err(Error::overload());
            };
            let Some(inner) = inner else {
                return Ok(Value::Optional(None));
            };
            let value = self.bound((*inner).clone(), None, &fold.body)?;
            return match (fold.kind, value) {
                (FoldKind::OptMap, value) => Ok(Value::some(value)),
                (_, value @ Value::Optional(_)) => Ok(value),
                _ => Err(Error::overload()),
            };
        }
        let two = fold.variables.len() == 2;
        let mut state = Folded::new(fold.kind);
        match &range {
            Value::List(list) => {
                for (i, item) in list.iter().enumerate() {
                    let done = if two {
                        let at = Value::Int(i64::try_from(i).unwrap_or(i64::MAX));
                        self.turn(fold, &mut state, at, Some(item))?
                    } else {
                        self.turn(fold, &mut state, item, None)?
                    };
                    if done {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for (key, value) in map.iter() {
                    if self.turn(fold, &mut state, key, two.then_some(value))? {
                        break;
                    }
                }
            }
            _ => return Err(Error::overload()),
        }
        state.end()
    }

    /// Evaluates with one or two more variables.
    fn bound(
        &mut self,
        first: Value<'a>,
        second: Option<Value<'a>>,
        expr: &'a Expr,
    ) -> Outcome<'a> {
        let before = self.locals.len();
        self.locals.push(first);
        self.locals.extend(second);
        let outcome = self.eval(expr);
        self.locals.truncate(before);
        outcome
    }

    /// One element of a fold; true when it needs no more.
    fn turn(
        &mut self,
        fold: &'a Fold,
        state: &mut Folded<'a>,
        first: Value<'a>,
        second: Option<Value<'a>>,
    ) -> Result<bool, Error> {
        self.meter.spend(1)?;
        if let Some(filter) = &fold.filter {
            match self.bound(first.clone(), second.clone(), filter)? {
                Value::Bool(true) => {}
                Value::Bool(false) => return Ok(false),
                _ => return Err(Error::overload()),
            }
        }
        if fold.kind == FoldKind::TransformMapEntry {
            let made = self.bound(first, second, &fold.body)?;
            let Value::Map(made) = made else {
                return Err(Error::overload());
            };
            for (key, value) in made.iter() {
                self.insert(&mut state.entries, key, value)?;
            }
            return Ok(false);
        }
        let outcome = self.bound(first.clone(), second, &fold.body);
        match fold.kind {
            FoldKind::All | FoldKind::Exists => {
                let end = fold.kind == FoldKind::Exists;
                match outcome {
                    Ok(Value::Bool(b)) if b == end => {
                        state.told = true;
                        return Ok(true);
                    }
                    Ok(Value::Bool(_)) => {}
                    Err(why) if why.is_limit() => return Err(why),
                    Ok(_) => {
                        state.fault.get_or_insert_with(Error::overload);
                    }
                    Err(why) => {
                        state.fault.get_or_insert(why);
                    }
                }
            }
            FoldKind::ExistsOne => match outcome? {
                Value::Bool(b) => state.count += u64::from(b),
                _ => return Err(Error::overload()),
            },
            FoldKind::Filter => match outcome? {
                Value::Bool(true) => self.keep(state, first)?,
                Value::Bool(false) => {}
                _ => return Err(Error::overload()),
            },
            FoldKind::SortBy => {
                let key = outcome?;
                self.keep(state, first)?;
                state.keys.push(key);
            }
            FoldKind::TransformMap => {
                let value = outcome?;
                self.insert(&mut state.entries, first, value)?;
            }
            _ => {
                let value = outcome?;
                self.keep(state, value)?;
            }
        }
        Ok(false)
    }

    fn keep(&mut self, state: &mut Folded<'a>, value: Value<'a>) -> Result<(), Error> {
        self.meter.grow(size_of::<Value<'_>>())?;
        state.items.push(value);
        Ok(())
    }
}

/// What a fold has gathered.
struct Folded<'a> {
    kind: FoldKind,
    items: Vec<Value<'a>>,
    keys: Vec<Value<'a>>,
    entries: Entries<'a>,
    fault: Option<Error>,
    count: u64,
    told: bool,
}

impl<'a> Folded<'a> {
    fn new(kind: FoldKind) -> Self {
        Self {
            kind,
            items: Vec::new(),
            keys: Vec::new(),
            entries: Entries::new(),
            fault: None,
            count: 0,
            told: false,
        }
    }

    fn end(self) -> Outcome<'a> {
        match self.kind {
            FoldKind::All | FoldKind::Exists => {
                let end = self.kind == FoldKind::Exists;
                match self.fault {
                    _ if self.told => Ok(Value::Bool(end)),
                    Some(why) => Err(why),
                    None => Ok(Value::Bool(!end)),
                }
            }
            FoldKind::ExistsOne => Ok(Value::Bool(self.count == 1)),
            FoldKind::TransformMap | FoldKind::TransformMapEntry => Ok(Value::map(self.entries)),
            FoldKind::SortBy => super::library::lists::sort_by(self.items, &self.keys),
            _ => Ok(Value::list(self.items)),
        }
    }
}

/// `operand[key]`.
fn lookup<'a>(operand: &Value<'a>, key: &Value<'a>) -> Outcome<'a> {
    match operand {
        Value::Map(map) => {
            if !matches!(key, Value::Bool(_)) && Key::of(key).is_none() {
                return match key {
                    Value::Double(d) => Err(Error::no_key(&d.to_string())),
                    _ => Err(Error::overload()),
                };
            }
            map.get(key).ok_or_else(|| match key {
                Value::Text(name) => Error::no_key(name),
                Value::Int(i) => Error::no_key(&i.to_string()),
                Value::Uint(u) => Error::no_key(&u.to_string()),
                _ => Error::new("no such key"),
            })
        }
        Value::List(list) => {
            let at = match Key::of(key) {
                Some(Key::Number(at)) => at,
                _ => return Err(Error::new("unsupported index type")),
            };
            let item = usize::try_from(at).ok().and_then(|at| list.get(at));
            item.ok_or_else(|| Error::new(format!("index out of bounds: {at}")))
        }
        Value::Struct(_, map) => match key {
            Value::Text(name) => map.field(name).ok_or_else(|| Error::no_key(name)),
            _ => Err(Error::overload()),
        },
        _ => Err(Error::overload()),
    }
}

/// `operand.?key` and `operand[?key]`.
fn optional_get<'a>(operand: &Value<'a>, key: &Value<'a>) -> Outcome<'a> {
    let found = match operand {
        Value::Optional(None) => None,
        Value::Optional(Some(inner)) => return optional_get(inner, key),
        Value::Map(map) | Value::Struct(_, map) => map.get(key),
        Value::List(list) => match Key::of(key) {
            Some(Key::Number(at)) => usize::try_from(at).ok().and_then(|at| list.get(at)),
            _ => return Err(Error::overload()),
        },
        _ => return Err(Error::overload()),
    };
    Ok(found.map_or(Value::Optional(None), Value::some))
}

/// `item in whole`.
fn contains(whole: &Value<'_>, item: &Value<'_>) -> Result<bool, Error> {
    match whole {
        Value::List(List::Json(items)) => Ok(items.iter().any(|i| Value::json(i).equals(item))),
        Value::List(List::Owned(items)) => Ok(items.iter().any(|i| i.equals(item))),
        Value::Map(map) => Ok(map.get(item).is_some()),
        _ => Err(Error::overload()),
    }
}
