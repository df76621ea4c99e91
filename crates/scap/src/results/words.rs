//! The words that OVAL's schemas have for things.

use crate::oval::item::{Flag, Status};
use crate::oval::model::{Check, Existence, Operator};

/// The prefix of the schema that a test type is in. What is not in the table is Linux's.
pub(super) fn family(kind: &str) -> &'static str {
    match kind {
        "environmentvariable"
        | "environmentvariable58"
        | "family"
        | "filehash"
        | "filehash58"
        | "ldap"
        | "ldap57"
        | "sql"
        | "sql57"
        | "textfilecontent"
        | "textfilecontent54"
        | "unknown"
        | "variable"
        | "xmlfilecontent"
        | "yamlfilecontent" => "ind-sys",
        "dnscache"
        | "file"
        | "fileextendedattribute"
        | "gconf"
        | "inetd"
        | "interface"
        | "password"
        | "process"
        | "process58"
        | "routingtable"
        | "runlevel"
        | "sccs"
        | "shadow"
        | "symlink"
        | "sysctl"
        | "uname"
        | "xinetd" => "unix-sys",
        _ => "lin-sys",
    }
}

/// The name of a test type's items, where it is another.
pub(super) fn item_kind(kind: &str) -> &str {
    match kind {
        "textfilecontent54" => "textfilecontent",
        "inetlisteningservers" => "inetlisteningserver",
        other => other,
    }
}

pub(super) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Exists => "exists",
        Status::DoesNotExist => "does not exist",
        Status::Error => "error",
        Status::NotCollected => "not collected",
    }
}

pub(super) fn flag_word(flag: Flag) -> &'static str {
    match flag {
        Flag::Complete => "complete",
        Flag::DoesNotExist => "does not exist",
        Flag::Error => "error",
        Flag::Incomplete => "incomplete",
        Flag::NotApplicable => "not applicable",
        Flag::NotCollected => "not collected",
    }
}

pub(super) fn check_word(check: Check) -> &'static str {
    match check {
        Check::All => "all",
        Check::AtLeastOne => "at least one",
        Check::None => "none satisfy",
        Check::OnlyOne => "only one",
    }
}

pub(super) fn existence_word(existence: Existence) -> &'static str {
    match existence {
        Existence::All => "all_exist",
        Existence::Any => "any_exist",
        Existence::AtLeastOne => "at_least_one_exists",
        Existence::None => "none_exist",
        Existence::OnlyOne => "only_one_exists",
    }
}

pub(super) fn operator_word(operator: Operator) -> &'static str {
    match operator {
        Operator::And => "AND",
        Operator::One => "ONE",
        Operator::Or => "OR",
        Operator::Xor => "XOR",
    }
}
