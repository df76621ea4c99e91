//! Tokens to a tree, with macros expanded as they are met.
//!
//! A tree is never deeper than [`DEPTH`]: evaluating and dropping it recurse.

use super::ast::{Binary, Call, Element, Entry, Expr, Index, Select, Struct};
use super::lexer::{Kind, Token, tokens};
use super::macros;

/// The greatest depth of a tree, and of the recursion that reads it.
pub(super) const DEPTH: usize = 100;

/// The longest expression, in bytes: as long as cel-go takes.
const LENGTH: usize = 100_000;

/// A tree and its depth.
pub(super) type Tree = (Expr, usize);

/// Words that are no names of variables. They may name fields.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "void",
    "while",
];

/// Reads an expression; names are not resolved yet.
pub(super) fn parse(text: &str) -> Result<Expr, String> {
    if text.len() > LENGTH {
        return Err("the expression is too long".into());
    }
    let tokens = tokens(text)?;
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        depth: 0,
    };
    let (expr, _) = parser.expression()?;
    match parser.peek() {
        Kind::End => Ok(expr),
        _ => Err(parser.unexpected()),
    }
}

/// Refuses a tree that is too deep.
pub(super) fn bounded(expr: Expr, depth: usize) -> Result<Tree, String> {
    if depth > DEPTH {
        return Err("the expression is nested too deeply".into());
    }
    Ok((expr, depth))
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Kind {
        self.tokens.get(self.at).map_or(&Kind::End, |t| &t.kind)
    }

    fn next(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.at += 1;
        kind
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Kind::Sign(s) if *s == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.eat(sign) {
            Ok(())
        } else {
            Err(format!(
                "{}, where {sign:?} was expected",
                self.unexpected()
            ))
        }
    }

    fn unexpected(&self) -> String {
        let at = self.tokens.get(self.at).map_or(self.text.len(), |t| t.at);
        let line = self
            .text
            .get(..at)
            .unwrap_or_default()
            .matches('\n')
            .count()
            + 1;
        let what = match self.peek() {
            Kind::End => "the end".to_owned(),
            Kind::Name(name) => format!("{name:?}"),
            Kind::Sign(sign) => format!("{sign:?}"),
            _ => "a literal".to_owned(),
        };
        format!("line {line}: unexpected {what}")
    }

    fn expression(&mut self) -> Result<Tree, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("the expression is nested too deeply".into());
        }
        let (test, depth) = self.either()?;
        let tree = if self.eat("?") {
            let (yes, a) = self.either()?;
            self.expect(":")?;
            let (no, b) = self.expression()?;
            let parts = Box::new([test, yes, no]);
            bounded(Expr::Conditional(parts), depth.max(a).max(b) + 1)
        } else {
            Ok((test, depth))
        };
        self.depth -= 1;
        tree
    }

    fn either(&mut self) -> Result<Tree, String> {
        self.chain("||", Self::both, Expr::Or)
    }

    fn both(&mut self) -> Result<Tree, String> {
        self.chain("&&", |p| p.binary(0), Expr::And)
    }

    fn chain(
        &mut self,
        sign: &str,
        part: impl Fn(&mut Self) -> Result<Tree, String>,
        join: fn(Vec<Expr>) -> Expr,
    ) -> Result<Tree, String> {
        let (first, mut depth) = part(self)?;
        if !self.is(sign) {
            return Ok((first, depth));
        }
        let mut all = vec![first];
        while self.eat(sign) {
            let (next, d) = part(self)?;
            depth = depth.max(d);
            all.push(next);
        }
        bounded(join(all), depth + 1)
    }

    /// Relations (0), sums (1) and products (2).
    fn binary(&mut self, level: usize) -> Result<Tree, String> {
        if level > 2 {
            return self.unary();
        }
        let (mut left, mut depth) = self.binary(level + 1)?;
        while let Some(op) = self.operator(level) {
            self.at += 1;
            let (right, d) = self.binary(level + 1)?;
            (left, depth) = bounded(Expr::Binary(op, Box::new([left, right])), depth.max(d) + 1)?;
        }
        Ok((left, depth))
    }

    fn operator(&self, level: usize) -> Option<Binary> {
        let sign = match self.peek() {
            Kind::Sign(sign) => *sign,
            Kind::Name(name) if name == "in" => "in",
            _ => return None,
        };
        let (at, op) = match sign {
            "==" => (0, Binary::Equal),
            "!=" => (0, Binary::NotEqual),
            "<" => (0, Binary::Less),
            "<=" => (0, Binary::LessOrEqual),
            ">" => (0, Binary::Greater),
            ">=" => (0, Binary::GreaterOrEqual),
            "in" => (0, Binary::In),
            "+" => (1, Binary::Add),
            "-" => (1, Binary::Subtract),
            "*" => (2, Binary::Multiply),
            "/" => (2, Binary::Divide),
            "%" => (2, Binary::Remainder),
            _ => return None,
        };
        (at == level).then_some(op)
    }

    fn unary(&mut self) -> Result<Tree, String> {
        let mut count = 0_usize;
        if self.is("!") {
            while self.eat("!") {
                count += 1;
            }
            let (operand, depth) = self.member()?;
            // `!!x` is kept as one pair, so that the type of `x` still matters.
            let expr = match count % 2 {
                1 => Expr::Not(Box::new(operand)),
                _ => Expr::Not(Box::new(Expr::Not(Box::new(operand)))),
            };
            return bounded(expr, depth + 2);
        }
        while self.eat("-") {
            count += 1;
        }
        if count == 0 {
            return self.member();
        }
        let literal = match self.peek() {
            Kind::Int(value) if *value == i64::MIN.unsigned_abs() => Some(Expr::Int(i64::MIN)),
            _ => None,
        };
        if let Some(least) = literal {
            self.at += 1;
            count -= 1;
            let expr = if count % 2 == 1 {
                Expr::Negate(Box::new(least))
            } else {
                least
            };
            return bounded(expr, 2);
        }
        let (operand, depth) = self.member()?;
        let expr = match (operand, count % 2) {
            (Expr::Int(value), 1) => Expr::Int(value.checked_neg().unwrap_or(value)),
            (Expr::Double(value), 1) => Expr::Double(-value),
            (operand, 1) => Expr::Negate(Box::new(operand)),
            (operand, _) => Expr::Negate(Box::new(Expr::Negate(Box::new(operand)))),
        };
        bounded(expr, depth + 2)
    }

    fn member(&mut self) -> Result<Tree, String> {
        let (mut expr, mut depth) = self.primary()?;
        loop {
            (expr, depth) = if self.eat(".") {
                let optional = self.eat("?");
                let field = self.selector()?;
                if !optional && self.eat("(") {
                    let (args, d) = self.list_until(")")?;
                    let args = args.into_iter().map(|e| e.value).collect();
                    macros::member(expr, field, args, depth.max(d))?
                } else {
                    let select = Select {
                        operand: expr,
                        field,
                        optional,
                    };
                    bounded(Expr::Select(Box::new(select)), depth + 1)?
                }
            } else if self.eat("[") {
                let optional = self.eat("?");
                let (index, d) = self.expression()?;
                self.expect("]")?;
                let index = Index {
                    operand: expr,
                    index,
                    optional,
                };
                bounded(Expr::Index(Box::new(index)), depth.max(d) + 1)?
            } else if self.is("{") {
                let Some(name) = expr.dotted() else {
                    return Err(self.unexpected());
                };
                self.at += 1;
                self.fields(name)?
            } else {
                return Ok((expr, depth));
            };
        }
    }

    fn selector(&mut self) -> Result<String, String> {
        match self.peek() {
            Kind::Name(name) if !matches!(name.as_str(), "true" | "false" | "null" | "in") => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn primary(&mut self) -> Result<Tree, String> {
        // A leading dot means the root of names, where we have only one.
        let rooted = self.eat(".");
        if rooted && !matches!(self.peek(), Kind::Name(_)) {
            return Err(self.unexpected());
        }
        let place = self.at;
        let literal = match self.next() {
            Kind::Int(value) => match i64::try_from(value) {
                Ok(value) => Expr::Int(value),
                Err(_) => return Err("a number is too large".into()),
            },
            Kind::Uint(value) => Expr::Uint(value),
            Kind::Double(value) => Expr::Double(value),
            Kind::Text(text) => Expr::Text(text),
            Kind::Bytes(bytes) => Expr::Bytes(bytes),
            Kind::Name(name) => return self.name(name, rooted, place),
            Kind::Sign("(") => {
                let tree = self.expression()?;
                self.expect(")")?;
                return Ok(tree);
            }
            Kind::Sign("[") => {
                let (all, depth) = self.list_until("]")?;
                return bounded(Expr::List(all), depth + 1);
            }
            Kind::Sign("{") => return self.map(),
            _ => {
                self.at = place;
                return Err(self.unexpected());
            }
        };
        Ok((literal, 1))
    }

    fn name(&mut self, name: String, rooted: bool, place: usize) -> Result<Tree, String> {
        let literal = match name.as_str() {
            "true" => Expr::Bool(true),
            "false" => Expr::Bool(false),
            "null" => Expr::Null,
            _ if name == "in" || RESERVED.contains(&name.as_str()) => {
                self.at = place;
                return Err(self.unexpected());
            }
            _ if self.eat("(") => {
                let (args, depth) = self.list_until(")")?;
                let args: Vec<Expr> = args.into_iter().map(|e| e.value).collect();
                if name == "has" && !rooted {
                    return macros::has(args, depth);
                }
                let call = Call {
                    name,
                    target: None,
                    args,
                    function: None,
                    pattern: None,
                };
                return bounded(Expr::Call(Box::new(call)), depth + 1);
            }
            _ => Expr::Name(name),
        };
        Ok((literal, 1))
    }

    /// Expressions up to the closing sign; `?` before one only in lists.
    fn list_until(&mut self, close: &str) -> Result<(Vec<Element>, usize), String> {
        let mut all = Vec::new();
        let mut depth = 0;
        while !self.is(close) {
            let optional = close == "]" && self.eat("?");
            let (value, d) = self.expression()?;
            depth = depth.max(d);
            all.push(Element { value, optional });
            if !self.eat(",") {
                break;
            }
            if close == ")" && self.is(")") {
                return Err(self.unexpected());
            }
        }
        self.expect(close)?;
        Ok((all, depth))
    }

    fn map(&mut self) -> Result<Tree, String> {
        let mut all = Vec::new();
        let mut depth = 0;
        while !self.is("}") {
            let optional = self.eat("?");
            let (key, a) = self.expression()?;
            self.expect(":")?;
            let (value, b) = self.expression()?;
            depth = depth.max(a).max(b);
            all.push(Entry {
                key,
                value,
                optional,
            });
            if !self.eat(",") {
                break;
            }
        }
        self.expect("}")?;
        bounded(Expr::Map(all), depth + 1)
    }

    fn fields(&mut self, name: String) -> Result<Tree, String> {
        let mut fields = Vec::new();
        let mut depth = 0;
        while !self.is("}") {
            let optional = self.eat("?");
            let field = self.selector()?;
            self.expect(":")?;
            let (value, d) = self.expression()?;
            depth = depth.max(d);
            fields.push((field, value, optional));
            if !self.eat(",") {
                break;
            }
        }
        self.expect("}")?;
        bounded(Expr::Struct(Box::new(Struct { name, fields })), depth + 1)
    }
}
