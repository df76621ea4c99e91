//! What must not come in as evidence, whatever a scanner wrote: passwords and keys.

/// Places that hold passwords or keys.
pub(super) fn is_secret_place(what: &str) -> bool {
    let path = what.split(':').next().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    let is_password_file = ["shadow", "opasswd", "master.passwd", "user.cfg"]
        .iter()
        .any(|name| file.contains(name));
    (is_password_file && !what.ends_with("mode") && !what.ends_with("_id"))
        || file.ends_with("_key")
        || file.ends_with(".key")
        || what.ends_with(": password")
}

/// The forms of password hashes (crypt and GRUB).
pub(super) fn has_hash(text: &str) -> bool {
    [
        "$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$7$", "$y$", "$gy$", "pbkdf2.",
    ]
    .iter()
    .any(|form| text.contains(form))
}
