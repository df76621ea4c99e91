//! Names and functions are found when an expression is compiled, not when it is evaluated: what
//! is not known is refused at load.

use super::Environment;
use super::ast::{Call, Expr, Fold};
use super::functions;
use super::library::pattern;
use super::time;

/// Types that may be written as values.
const TYPES: [&str; 19] = [
    "bool",
    "bytes",
    "double",
    "google.protobuf.Duration",
    "google.protobuf.Timestamp",
    "int",
    "kubernetes.NamedFormat",
    "kubernetes.Quantity",
    "kubernetes.Semver",
    "kubernetes.URL",
    "list",
    "map",
    "net.CIDR",
    "net.IP",
    "null_type",
    "optional_type",
    "string",
    "type",
    "uint",
];

pub(super) fn resolve(expr: Expr, environment: &Environment) -> Result<Expr, String> {
    let mut resolver = Resolver {
        environment,
        scope: Vec::new(),
    };
    resolver.expr(expr)
}

struct Resolver<'e> {
    environment: &'e Environment,
    /// Names that comprehensions have bound, from outside.
    scope: Vec<String>,
}

impl Resolver<'_> {
    fn expr(&mut self, expr: Expr) -> Result<Expr, String> {
        Ok(match expr {
            Expr::Name(name) => self.name(&name)?,
            Expr::Select(mut select) => {
                if let Some(known) = self.dotted(&select.operand, &select.field, select.optional)? {
                    return Ok(known);
                }
                select.operand = self.expr(select.operand)?;
                Expr::Select(select)
            }
            Expr::Has(mut select) => {
                if self
                    .dotted(&select.operand, &select.field, false)?
                    .is_some()
                {
                    return Ok(Expr::Bool(true));
                }
                select.operand = self.expr(select.operand)?;
                Expr::Has(select)
            }
            Expr::Index(mut index) => {
                index.operand = self.expr(index.operand)?;
                index.index = self.expr(index.index)?;
                Expr::Index(index)
            }
            Expr::Call(call) => self.call(*call)?,
            Expr::And(parts) => Expr::And(self.all(parts)?),
            Expr::Or(parts) => Expr::Or(self.all(parts)?),
            Expr::Not(operand) => Expr::Not(Box::new(self.expr(*operand)?)),
            Expr::Negate(operand) => Expr::Negate(Box::new(self.expr(*operand)?)),
            Expr::Conditional(parts) => {
                let [a, b, c] = *parts;
                Expr::Conditional(Box::new([self.expr(a)?, self.expr(b)?, self.expr(c)?]))
            }
            Expr::Binary(op, sides) => {
                let [a, b] = *sides;
                Expr::Binary(op, Box::new([self.expr(a)?, self.expr(b)?]))
            }
            Expr::List(mut items) => {
                for item in &mut items {
                    item.value = self.expr(std::mem::replace(&mut item.value, Expr::Null))?;
                }
                Expr::List(items)
            }
            Expr::Map(mut entries) => {
                for entry in &mut entries {
                    entry.key = self.expr(std::mem::replace(&mut entry.key, Expr::Null))?;
                    entry.value = self.expr(std::mem::replace(&mut entry.value, Expr::Null))?;
                }
                Expr::Map(entries)
            }
            Expr::Struct(mut made) => {
                self.known_type(&made.name)?;
                for (field, value, _) in &mut made.fields {
                    let fields = ["op", "path", "from", "value"];
                    if made.name == "JSONPatch" && !fields.contains(&field.as_str()) {
                        return Err(format!("JSONPatch has no field {field:?}"));
                    }
                    *value = self.expr(std::mem::replace(value, Expr::Null))?;
                }
                Expr::Struct(made)
            }
            Expr::Fold(fold) => self.fold(*fold)?,
            other => other,
        })
    }

    fn all(&mut self, parts: Vec<Expr>) -> Result<Vec<Expr>, String> {
        parts.into_iter().map(|p| self.expr(p)).collect()
    }

    fn known_type(&self, name: &str) -> Result<(), String> {
        let object = name == "Object" || name.starts_with("Object.");
        if self.environment.mutation && (object || name == "JSONPatch") {
            Ok(())
        } else {
            Err(format!("undeclared reference to the type {name:?}"))
        }
    }

    fn local(&self, name: &str) -> Option<usize> {
        self.scope.iter().rposition(|n| n == name)
    }

    fn name(&self, name: &str) -> Result<Expr, String> {
        if let Some(place) = self.local(name) {
            return Ok(Expr::Local(place));
        }
        let globals = &self.environment.globals;
        if let Some(place) = globals.iter().position(|n| *n == name) {
            return Ok(Expr::Global(place));
        }
        match TYPES.iter().find(|t| **t == name) {
            Some(known) => Ok(Expr::Type(known)),
            None => Err(format!("undeclared reference to {name:?}")),
        }
    }

    /// A variable of the policy, or a type whose name has dots.
    fn dotted(&self, operand: &Expr, field: &str, optional: bool) -> Result<Option<Expr>, String> {
        let Some(path) = operand.dotted() else {
            return Ok(None);
        };
        let root = path.split('.').next().unwrap_or_default();
        if self.local(root).is_some() {
            return Ok(None);
        }
        if path == "variables" {
            let known = &self.environment.variables;
            return match known.iter().rposition(|n| n == field) {
                Some(place) if !optional => Ok(Some(Expr::Variable(place))),
                Some(_) => Err("variables are not optional".into()),
                None => Err(format!("undefined variable {field:?}")),
            };
        }
        let whole = format!("{path}.{field}");
        let known = TYPES.iter().find(|t| **t == whole);
        Ok(known.map(|t| Expr::Type(t)))
    }

    fn call(&mut self, mut call: Call) -> Result<Expr, String> {
        let target = call.target.take();
        // `lists.range(3)` is no call on a value named `lists`.
        let namespaced = target.as_ref().and_then(Expr::dotted).and_then(|path| {
            let root = path.split('.').next().unwrap_or_default();
            let free = self.local(root).is_none();
            let found = functions::find(&format!("{path}.{}", call.name), false);
            found.filter(|_| free)
        });
        let authorizer = target
            .as_ref()
            .and_then(Expr::dotted)
            .is_some_and(|p| p == "authorizer" || p == "authorizer.requestResource");
        if authorizer && self.local("authorizer").is_none() {
            return Err("the authorizer cannot be asked here".into());
        }
        let member = target.is_some() && namespaced.is_none();
        let found = namespaced.or_else(|| functions::find(&call.name, member));
        let Some(function) = found.filter(|f| self.environment.mutation || f.name != ESCAPE) else {
            // What is wrong before it is the better reason.
            self.all(target.into_iter().collect())?;
            return Err(format!(
                "undeclared reference to the function {:?}",
                call.name
            ));
        };
        let mut args = Vec::with_capacity(call.args.len() + 1);
        if member {
            args.extend(target);
        }
        args.append(&mut call.args);
        if !(function.args.0..=function.args.1).contains(&args.len()) {
            return Err(format!("{}() does not take that many arguments", call.name));
        }
        let mut args = self.all(args)?;
        match (function.name, args.as_mut_slice()) {
            ("matches" | "find" | "findAll", [_, Expr::Text(text), ..]) => {
                call.pattern = Some(pattern::compile(text)?);
            }
            ("duration", [Expr::Text(text)]) if time::parse_duration(text).is_none() => {
                return Err(format!("{text:?} is no duration"));
            }
            ("timestamp", [Expr::Text(text)]) if time::parse_timestamp(text).is_none() => {
                return Err(format!("{text:?} is no timestamp"));
            }
            _ => {}
        }
        call.function = Some(function);
        call.args = args;
        Ok(Expr::Call(Box::new(call)))
    }

    fn fold(&mut self, mut fold: Fold) -> Result<Expr, String> {
        fold.range = self.expr(fold.range)?;
        let before = self.scope.len();
        self.scope.append(&mut fold.variables.clone());
        let filter = fold.filter.take().map(|f| self.expr(f)).transpose();
        let body = self.expr(std::mem::replace(&mut fold.body, Expr::Null));
        self.scope.truncate(before);
        fold.filter = filter?;
        fold.body = body?;
        Ok(Expr::Fold(Box::new(fold)))
    }
}

const ESCAPE: &str = "jsonpatch.escapeKey";
