//! Which entities of items must not be written into results.

use crate::oval::item::{Item, Value};
use bartizan_model::secret::{has_hash, is_secret_place};

/// Whether an entity of an item must not be written.
pub(super) fn hides(kind: &str, item: &Item, value: &Value) -> bool {
    let is_content = matches!(
        &*value.name,
        "text" | "subexpression" | "value_of" | "value"
    );
    matches!((kind, &*value.name), ("shadow" | "password", "password"))
        || (is_content && is_secret_file(item))
        || has_hash(&value.text)
}

fn is_secret_file(item: &Item) -> bool {
    let file = item.text("filepath").or_else(|| item.text("filename"));
    file.is_some_and(|file| is_secret_place(&format!("{file}: text")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_and_the_rest_is_not() {
        for (kind, item, hidden) in [
            (
                "shadow",
                Item::new()
                    .string("username", "root")
                    .string("password", "!"),
                vec!["password"],
            ),
            (
                "textfilecontent54",
                Item::new()
                    .string("filepath", "/etc/gshadow-")
                    .string("pattern", "^(.*)$")
                    .string("text", "a:b")
                    .string("subexpression", "b"),
                vec!["text", "subexpression"],
            ),
            (
                "textfilecontent54",
                Item::new()
                    .string("filepath", "/boot/grub/user.cfg")
                    .string("text", "P=grub.pbkdf2.sha512.1"),
                vec!["text"],
            ),
            (
                "file",
                Item::new()
                    .string("filepath", "/etc/shadow")
                    .int("user_id", 0),
                vec![],
            ),
        ] {
            let found: Vec<&str> = item
                .values
                .iter()
                .filter(|value| hides(kind, &item, value))
                .map(|value| &*value.name)
                .collect();
            assert_eq!(found, hidden, "{kind} {item:?}");
        }
    }
}
