//! The OVAL language (5.11.3) as types: definitions, tests, objects, states, variables.
//!
//! Tests, objects and states keep their entities generic (name, datatype, operation, value):
//! one shape for all of the test types, whose meaning is the probes'.

use std::collections::HashMap;
use std::sync::Arc;

/// One `oval_definitions` document.
#[derive(Debug, Default)]
pub struct Document {
    /// By id.
    pub definitions: HashMap<Arc<str>, Definition>,
    /// Ids in document order.
    pub order: Vec<Arc<str>>,
    /// By id.
    pub tests: HashMap<Arc<str>, Test>,
    /// By id.
    pub objects: HashMap<Arc<str>, Object>,
    /// By id.
    pub states: HashMap<Arc<str>, State>,
    /// By id.
    pub variables: HashMap<Arc<str>, Variable>,
}

/// A definition.
#[derive(Debug)]
pub struct Definition {
    /// Its id.
    pub id: Arc<str>,
    /// `compliance`, `inventory`, `vulnerability`, `patch` or `miscellaneous`.
    pub class: Box<str>,
    /// One line.
    pub title: Box<str>,
    /// What decides; absent on deprecated definitions.
    pub criteria: Option<Criteria>,
}

/// How the parts of a criteria combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// All.
    And,
    /// Exactly one.
    One,
    /// At least one.
    Or,
    /// An odd number.
    Xor,
}

impl Operator {
    /// From the attribute's value; `AND` where absent.
    pub fn parse(text: Option<&str>) -> Option<Self> {
        match text {
            None | Some("AND") => Some(Self::And),
            Some("ONE") => Some(Self::One),
            Some("OR") => Some(Self::Or),
            Some("XOR") => Some(Self::Xor),
            Some(_) => None,
        }
    }
}

/// A node of a definition's logic.
#[derive(Debug)]
pub enum Criteria {
    /// `criteria`.
    Group {
        /// How the parts combine.
        operator: Operator,
        /// The result is inverted.
        negate: bool,
        /// The parts.
        parts: Vec<Criteria>,
    },
    /// `criterion`.
    Test {
        /// The test's id.
        test: Arc<str>,
        /// The result is inverted.
        negate: bool,
    },
    /// `extend_definition`.
    Extend {
        /// The definition's id.
        definition: Arc<str>,
        /// The result is inverted.
        negate: bool,
    },
}

/// How many must satisfy (`CheckEnumeration`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// `all`: at least one, and every one.
    All,
    /// `at least one`.
    AtLeastOne,
    /// `none satisfy`.
    None,
    /// `only one`.
    OnlyOne,
}

impl Check {
    /// From the attribute's value; `none exist` is the deprecated name of `none satisfy`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "all" => Some(Self::All),
            "at least one" => Some(Self::AtLeastOne),
            "none satisfy" | "none exist" => Some(Self::None),
            "only one" => Some(Self::OnlyOne),
            _ => None,
        }
    }
}

/// How many must exist (`ExistenceEnumeration`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existence {
    /// `all_exist`.
    All,
    /// `any_exist`.
    Any,
    /// `at_least_one_exists`.
    AtLeastOne,
    /// `none_exist`.
    None,
    /// `only_one_exists`.
    OnlyOne,
}

/// A test.
#[derive(Debug)]
pub struct Test {
    /// Its id.
    pub id: Arc<str>,
    /// The element's name without `_test`, such as `textfilecontent54`.
    pub kind: Arc<str>,
    /// One line.
    pub comment: Box<str>,
    /// How many items must exist.
    pub existence: Existence,
    /// How many items must satisfy the states.
    pub check: Check,
    /// How the states combine on an item.
    pub state_operator: Operator,
    /// The object's id; absent for `unknown_test`.
    pub object: Option<Arc<str>>,
    /// The states' ids.
    pub states: Vec<Arc<str>>,
}

/// What to collect.
#[derive(Debug)]
pub struct Object {
    /// Its id.
    pub id: Arc<str>,
    /// The element's name without `_object`.
    pub kind: Arc<str>,
    /// What it says.
    pub body: ObjectBody,
}

/// The two forms of an object.
#[derive(Debug)]
pub enum ObjectBody {
    /// Entities that items must match.
    Plain {
        /// `behaviors`, name and value.
        behaviors: Vec<(Arc<str>, Box<str>)>,
        /// The entities, in order.
        entities: Vec<Entity>,
        /// Filters, applied in order.
        filters: Vec<Filter>,
    },
    /// A set of other objects' items.
    Set(Set),
}

/// A filter: items that match the state are kept or dropped.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Keep what matches; else drop it.
    pub include: bool,
    /// The state's id.
    pub state: Arc<str>,
}

/// A set operation.
#[derive(Debug)]
pub struct Set {
    /// How the operands combine.
    pub operator: SetOperator,
    /// One or two.
    pub operands: Vec<SetOperand>,
    /// Applied to each referenced object's items.
    pub filters: Vec<Filter>,
}

/// An operand of a set.
#[derive(Debug)]
pub enum SetOperand {
    /// Another object, by id.
    Object(Arc<str>),
    /// A nested set.
    Set(Set),
}

/// `set_operator`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOperator {
    /// In the first and not in the second.
    Complement,
    /// In both.
    Intersection,
    /// In either.
    Union,
}

/// What items are compared with.
#[derive(Debug)]
pub struct State {
    /// Its id.
    pub id: Arc<str>,
    /// The element's name without `_state`.
    pub kind: Arc<str>,
    /// How the entities combine.
    pub operator: Operator,
    /// The entities, in order.
    pub entities: Vec<Entity>,
}

/// A value or a reference to values, with what it is compared by.
#[derive(Debug, Clone)]
pub struct Entity {
    /// The element's name.
    pub name: Arc<str>,
    /// How values are read.
    pub datatype: Datatype,
    /// How values are compared.
    pub operation: Operation,
    /// The collected value must not be shown.
    pub mask: bool,
    /// The variable that gives the values.
    pub variable: Option<Arc<str>>,
    /// How many of the variable's values must match.
    pub var_check: Check,
    /// How many of an item's entities of this name must match (states only).
    pub entity_check: Check,
    /// `check_existence`: how many of an item's entities must exist (states only).
    pub existence: Existence,
    /// `xsi:nil`: matches only where the item has no value.
    pub nil: bool,
    /// The value, where no variable gives it.
    pub value: Box<str>,
    /// The fields of a record, each with its name as [`Entity::name`].
    pub fields: Vec<Entity>,
}

/// OVAL's data types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Datatype {
    Binary,
    Boolean,
    DebianEvrString,
    EvrString,
    FilesetRevision,
    Float,
    Int,
    IosVersion,
    Ipv4,
    Ipv6,
    Record,
    String,
    Version,
}

impl Datatype {
    /// From the attribute's value; `string` where absent.
    pub fn parse(text: Option<&str>) -> Option<Self> {
        Some(match text {
            None | Some("string") => Self::String,
            Some("binary") => Self::Binary,
            Some("boolean") => Self::Boolean,
            Some("debian_evr_string") => Self::DebianEvrString,
            Some("evr_string") => Self::EvrString,
            Some("fileset_revision") => Self::FilesetRevision,
            Some("float") => Self::Float,
            Some("int") => Self::Int,
            Some("ios_version") => Self::IosVersion,
            Some("ipv4_address") => Self::Ipv4,
            Some("ipv6_address") => Self::Ipv6,
            Some("record") => Self::Record,
            Some("version") => Self::Version,
            Some(_) => return None,
        })
    }

    /// The attribute's value.
    pub fn word(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Boolean => "boolean",
            Self::DebianEvrString => "debian_evr_string",
            Self::EvrString => "evr_string",
            Self::FilesetRevision => "fileset_revision",
            Self::Float => "float",
            Self::Int => "int",
            Self::IosVersion => "ios_version",
            Self::Ipv4 => "ipv4_address",
            Self::Ipv6 => "ipv6_address",
            Self::Record => "record",
            Self::String => "string",
            Self::Version => "version",
        }
    }
}

/// OVAL's operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Operation {
    BitwiseAnd,
    BitwiseOr,
    CaseInsensitiveEquals,
    CaseInsensitiveNotEqual,
    Equals,
    GreaterThan,
    GreaterThanOrEqual,
    LessThan,
    LessThanOrEqual,
    NotEqual,
    PatternMatch,
    SubsetOf,
    SupersetOf,
}

impl Operation {
    /// From the attribute's value; `equals` where absent.
    pub fn parse(text: Option<&str>) -> Option<Self> {
        Some(match text {
            None | Some("equals") => Self::Equals,
            Some("bitwise and") => Self::BitwiseAnd,
            Some("bitwise or") => Self::BitwiseOr,
            Some("case insensitive equals") => Self::CaseInsensitiveEquals,
            Some("case insensitive not equal") => Self::CaseInsensitiveNotEqual,
            Some("greater than") => Self::GreaterThan,
            Some("greater than or equal") => Self::GreaterThanOrEqual,
            Some("less than") => Self::LessThan,
            Some("less than or equal") => Self::LessThanOrEqual,
            Some("not equal") => Self::NotEqual,
            Some("pattern match") => Self::PatternMatch,
            Some("subset of") => Self::SubsetOf,
            Some("superset of") => Self::SupersetOf,
            Some(_) => return None,
        })
    }

    /// The attribute's value.
    pub fn word(self) -> &'static str {
        match self {
            Self::BitwiseAnd => "bitwise and",
            Self::BitwiseOr => "bitwise or",
            Self::CaseInsensitiveEquals => "case insensitive equals",
            Self::CaseInsensitiveNotEqual => "case insensitive not equal",
            Self::Equals => "equals",
            Self::GreaterThan => "greater than",
            Self::GreaterThanOrEqual => "greater than or equal",
            Self::LessThan => "less than",
            Self::LessThanOrEqual => "less than or equal",
            Self::NotEqual => "not equal",
            Self::PatternMatch => "pattern match",
            Self::SubsetOf => "subset of",
            Self::SupersetOf => "superset of",
        }
    }
}

/// A variable.
#[derive(Debug)]
pub struct Variable {
    /// Its id.
    pub id: Arc<str>,
    /// How its values are read.
    pub datatype: Datatype,
    /// Where its values come from.
    pub source: VariableSource,
}

/// Where a variable's values come from.
#[derive(Debug)]
pub enum VariableSource {
    /// Written in the content.
    Constant(Vec<Box<str>>),
    /// Given from outside (XCCDF `check-export`), where it is allowed.
    External(Vec<Possible>),
    /// Computed.
    Local(Component),
}

/// What an external variable's values may be: any of these; without any, anything.
#[derive(Debug)]
pub enum Possible {
    /// `possible_value`.
    Value(Box<str>),
    /// `possible_restriction`.
    Restriction(Operator, Vec<(Operation, Box<str>)>),
}

/// A term of a local variable.
#[derive(Debug)]
pub enum Component {
    /// `literal_component`.
    Literal(Box<str>),
    /// `variable_component`.
    Variable(Arc<str>),
    /// `object_component`: a field of the object's items, or of a record in it.
    Object {
        /// The object's id.
        object: Arc<str>,
        /// The item entity.
        field: Box<str>,
        /// The field of a record entity.
        record_field: Option<Box<str>>,
    },
    /// A function of other components.
    Function(Function, Vec<Component>),
}

/// OVAL's functions with their parameters.
#[derive(Debug, Clone)]
pub enum Function {
    /// `arithmetic`: `add` or `multiply`.
    Arithmetic {
        /// Multiply; else add.
        multiply: bool,
    },
    /// `begin`: the value starts with these characters.
    Begin(Box<str>),
    /// `concat`.
    Concat,
    /// `count`.
    Count,
    /// `end`: the value ends with these characters.
    End(Box<str>),
    /// `escape_regex`.
    EscapeRegex,
    /// `glob_to_regex`.
    GlobToRegex {
        /// A leading dot is only matched by a dot.
        noescape: bool,
    },
    /// `regex_capture`: the first group of the pattern.
    RegexCapture(Box<str>),
    /// `split`.
    Split(Box<str>),
    /// `substring`.
    Substring {
        /// From 1.
        start: i64,
        /// Negative: to the end.
        length: i64,
    },
    /// `time_difference`, in seconds.
    TimeDifference {
        /// Format of the first time.
        format_1: TimeFormat,
        /// Format of the second time.
        format_2: TimeFormat,
    },
    /// `unique`.
    Unique,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeFormat {
    /// `day_month_year`.
    DayMonthYear,
    /// `month_day_year`.
    MonthDayYear,
    /// `seconds_since_epoch`.
    SecondsSinceEpoch,
    /// `win_filetime`.
    WinFiletime,
    /// `year_month_day`.
    YearMonthDay,
    /// `cim_datetime`.
    CimDatetime,
}
