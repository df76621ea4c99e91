//! `jsonpatch.escapeKey`.

use super::super::error::Error;
use super::super::functions::{Function, global};
use super::super::value::Value;
use super::text;

pub(in super::super) const FUNCTIONS: &[Function] =
    &[global("jsonpatch.escapeKey", (1, 1), |meter, args| {
        let key = text(args.first().ok_or_else(Error::overload)?)?;
        meter.grow(key.len() * 2)?;
        Ok(Value::text(key.replace('~', "~0").replace('/', "~1")))
    })];
