//! Variables and their components read.

use super::{ContentError, Reader};
use crate::oval::model::{
    Component, Datatype, Function, Operation, Operator, Possible, TimeFormat, Variable,
    VariableSource,
};
use crate::xml::Element;

impl Reader {
    pub(super) fn variable(&mut self, element: &Element) -> Result<Variable, ContentError> {
        let id = self.id(element);
        let source = match &*element.name {
            "constant_variable" => {
                let values = element.named("value");
                let values = values.map(|value| value.text().into_boxed_str());
                VariableSource::Constant(values.collect())
            }
            "external_variable" => VariableSource::External(self.possible(element)?),
            "local_variable" => {
                let component = element
                    .elements()
                    .find(|child| !matches!(&*child.name, "notes" | "Signature"));
                VariableSource::Local(match component {
                    Some(component) => self.component(component)?,
                    None => self.nothing("no component"),
                })
            }
            other => {
                let place = &self.place;
                return Err(ContentError(format!(
                    "{place}: {other:?} is no kind of variable"
                )));
            }
        };
        Ok(Variable {
            id,
            datatype: self.word(element, "datatype", Datatype::parse)?,
            source,
        })
    }

    fn possible(&self, element: &Element) -> Result<Vec<Possible>, ContentError> {
        let mut all = Vec::new();
        for child in element.elements() {
            match &*child.name {
                "possible_value" => all.push(Possible::Value(child.text().into_boxed_str())),
                "possible_restriction" => {
                    let mut restrictions = Vec::new();
                    for one in child.named("restriction") {
                        let operation = self.word(one, "operation", Operation::parse)?;
                        restrictions.push((operation, one.text().into_boxed_str()));
                    }
                    let operator = self.word(child, "operator", Operator::parse)?;
                    all.push(Possible::Restriction(operator, restrictions));
                }
                _ => {}
            }
        }
        Ok(all)
    }

    /// What cannot be computed refers to a variable that is not there: an error when it is
    /// evaluated, and none before.
    fn nothing(&mut self, what: &str) -> Component {
        Component::Variable(self.name(what))
    }

    /// Recursion is bounded by the depth of the XML.
    fn component(&mut self, element: &Element) -> Result<Component, ContentError> {
        let text = |name: &str| -> Box<str> { element.attribute(name).unwrap_or_default().into() };
        let function = match &*element.name {
            "literal_component" => {
                return Ok(Component::Literal(element.text().into_boxed_str()));
            }
            "variable_component" => {
                return Ok(Component::Variable(self.reference(element, "var_ref")));
            }
            "object_component" => {
                return Ok(Component::Object {
                    object: self.reference(element, "object_ref"),
                    field: text("item_field"),
                    record_field: element.attribute("record_field").map(Into::into),
                });
            }
            "arithmetic" => Function::Arithmetic {
                multiply: self.word(element, "arithmetic_operation", |text| match text {
                    Some("add") => Some(false),
                    Some("multiply") => Some(true),
                    _ => None,
                })?,
            },
            "begin" => Function::Begin(text("character")),
            "concat" => Function::Concat,
            "count" => Function::Count,
            "end" => Function::End(text("character")),
            "escape_regex" => Function::EscapeRegex,
            "glob_to_regex" => Function::GlobToRegex {
                noescape: self.flag(element, "glob_noescape")?,
            },
            "regex_capture" => Function::RegexCapture(text("pattern")),
            "split" => Function::Split(text("delimiter")),
            "substring" => Function::Substring {
                start: self.number(element, "substring_start")?,
                length: self.number(element, "substring_length")?,
            },
            "time_difference" => Function::TimeDifference {
                format_1: self.word(element, "format_1", time_format)?,
                format_2: self.word(element, "format_2", time_format)?,
            },
            "unique" => Function::Unique,
            other => {
                let what = format!("unknown function {other}");
                return Ok(self.nothing(&what));
            }
        };
        let mut arguments = Vec::new();
        for child in element.elements() {
            arguments.push(self.component(child)?);
        }
        Ok(Component::Function(function, arguments))
    }

    fn number(&self, element: &Element, attribute: &str) -> Result<i64, ContentError> {
        self.word(element, attribute, |text| text?.parse().ok())
    }
}

fn time_format(text: Option<&str>) -> Option<TimeFormat> {
    Some(match text {
        None | Some("year_month_day") => TimeFormat::YearMonthDay,
        Some("month_day_year") => TimeFormat::MonthDayYear,
        Some("day_month_year") => TimeFormat::DayMonthYear,
        Some("win_filetime") => TimeFormat::WinFiletime,
        Some("seconds_since_epoch") => TimeFormat::SecondsSinceEpoch,
        Some("cim_datetime") => TimeFormat::CimDatetime,
        Some(_) => return None,
    })
}
