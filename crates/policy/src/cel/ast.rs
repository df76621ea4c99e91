//! The tree of an expression, after macros are expanded and names are resolved.

use super::functions::Function;
use regex::Regex;

/// A node. Names are resolved by `resolve`, before which no node is evaluated.
#[derive(Debug)]
pub(super) enum Expr {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// A name as it was written; gone after resolution.
    Name(String),
    /// The n-th of the variables that comprehensions have bound, from outside.
    Local(usize),
    /// A variable of the environment, by its place in the declaration.
    Global(usize),
    /// A variable of the policy, by its place.
    Variable(usize),
    /// A type as a value.
    Type(&'static str),
    Select(Box<Select>),
    Has(Box<Select>),
    Index(Box<Index>),
    Call(Box<Call>),
    /// All parts of a chain of `&&`.
    And(Vec<Expr>),
    /// All parts of a chain of `||`.
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Conditional(Box<[Expr; 3]>),
    Binary(Binary, Box<[Expr; 2]>),
    List(Vec<Element>),
    Map(Vec<Entry>),
    Struct(Box<Struct>),
    Fold(Box<Fold>),
}

#[derive(Debug)]
pub(super) struct Select {
    pub operand: Expr,
    pub field: String,
    pub optional: bool,
}

#[derive(Debug)]
pub(super) struct Index {
    pub operand: Expr,
    pub index: Expr,
    pub optional: bool,
}

/// A call. A member's operand is the first argument once it is resolved.
#[derive(Debug)]
pub(super) struct Call {
    pub name: String,
    pub target: Option<Expr>,
    pub args: Vec<Expr>,
    pub function: Option<&'static Function>,
    /// The pattern of a regular expression that is a literal.
    pub pattern: Option<Regex>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Divide,
    Equal,
    Greater,
    GreaterOrEqual,
    In,
    Less,
    LessOrEqual,
    Multiply,
    NotEqual,
    Remainder,
    Subtract,
}

#[derive(Debug)]
pub(super) struct Element {
    pub value: Expr,
    pub optional: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub key: Expr,
    pub value: Expr,
    pub optional: bool,
}

/// `Name{field: value}`.
#[derive(Debug)]
pub(super) struct Struct {
    pub name: String,
    pub fields: Vec<(String, Expr, bool)>,
}

/// A macro over the elements of a list, the entries of a map or the value of an optional.
#[derive(Debug)]
pub(super) struct Fold {
    pub kind: FoldKind,
    pub range: Expr,
    /// One or two variables.
    pub variables: Vec<String>,
    pub filter: Option<Expr>,
    pub body: Expr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FoldKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
    OptFlatMap,
    OptMap,
    SortBy,
    TransformList,
    TransformMap,
    TransformMapEntry,
}

impl Expr {
    /// The parts of `a.b.c`, where it is nothing else.
    pub(super) fn dotted(&self) -> Option<String> {
        match self {
            Self::Name(name) => Some(name.clone()),
            Self::Select(select) if !select.optional => {
                Some(format!("{}.{}", select.operand.dotted()?, select.field))
            }
            _ => None,
        }
    }
}
