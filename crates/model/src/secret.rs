//! What must not stand in results or evidence, whoever found it: passwords and keys.
//!
//! ```text
//! /etc/shadow: line            a secret place
//! /etc/shadow: mode            about the file, not of it
//! root:$6$salt$abc:19000::::   has a hash
//! ```

/// Places that hold passwords or keys: a file, or a file and what was looked at in it.
pub fn is_secret_place(what: &str) -> bool {
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
pub fn has_hash(text: &str) -> bool {
    [
        "$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$7$", "$y$", "$gy$", "pbkdf2.",
    ]
    .iter()
    .any(|form| text.contains(form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_file_is_secret_and_what_is_about_it_is_not() {
        for (what, secret) in [
            ("/etc/shadow: line", true),
            ("/etc/gshadow-: text", true),
            ("/boot/grub2/user.cfg: text", true),
            ("/etc/ssh/ssh_host_rsa_key", true),
            ("/etc/ssl/private/a.key: text", true),
            ("root: password", true),
            ("/etc/shadow: mode", false),
            ("/etc/shadow: user_id", false),
            ("/etc/ssh/sshd_config: subexpression", false),
        ] {
            assert_eq!(is_secret_place(what), secret, "{what}");
        }
        assert!(has_hash("root:$6$salt$abc:19000::::"));
        assert!(has_hash("grub.pbkdf2.sha512.10000.AB"));
        assert!(!has_hash("root:*:19000::::"));
    }
}
