//! The checks, one a file, in the order in which Kubernetes reports them: those of `baseline`
//! by name, then those of `restricted`.

mod allow_privilege_escalation;
mod app_armor_profile;
mod capabilities_baseline;
mod capabilities_restricted;
mod host_namespaces;
mod host_path_volumes;
mod host_ports;
mod host_probes_and_host_lifecycle;
mod privileged;
mod proc_mount;
mod proc_mount_restricted;
mod restricted_volumes;
mod run_as_non_root;
mod run_as_user;
mod se_linux_options;
mod seccomp_profile_baseline;
mod seccomp_profile_restricted;
mod sysctls;
mod windows_host_process;

use super::check::Check;

/// Every check; a file in this folder that is not here fails a test.
pub(super) const ALL: &[&Check] = &[
    &app_armor_profile::CHECK,
    &capabilities_baseline::CHECK,
    &host_namespaces::CHECK,
    &host_path_volumes::CHECK,
    &host_ports::CHECK,
    &host_probes_and_host_lifecycle::CHECK,
    &privileged::CHECK,
    &proc_mount::CHECK,
    &se_linux_options::CHECK,
    &seccomp_profile_baseline::CHECK,
    &sysctls::CHECK,
    &windows_host_process::CHECK,
    &allow_privilege_escalation::CHECK,
    &capabilities_restricted::CHECK,
    &proc_mount_restricted::CHECK,
    &restricted_volumes::CHECK,
    &run_as_non_root::CHECK,
    &run_as_user::CHECK,
    &seccomp_profile_restricted::CHECK,
];

/// What one check has against a Pod in a version: its detail.
#[cfg(test)]
fn detail(check: &Check, minor: u32, spec: serde_json::Value) -> Option<String> {
    detail_with(check, minor, serde_json::Value::Null, spec)
}

#[cfg(test)]
fn detail_with(
    check: &Check,
    minor: u32,
    metadata: serde_json::Value,
    spec: serde_json::Value,
) -> Option<String> {
    let pod = super::pod::Pod::read(&metadata, &spec).unwrap();
    (check.form(minor)?.judge)(&pod).map(|forbidden| forbidden.detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod_security::Level;
    use std::path::Path;

    /// `hostPorts` is in `host_ports`.
    fn file(id: &str) -> String {
        let mut name = String::new();
        for c in id.chars() {
            if c.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(c.to_ascii_lowercase());
        }
        name
    }

    #[test]
    fn every_check_is_registered() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pod_security/checks");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
            .filter(|name| name != "mod")
            .collect();
        files.sort();
        let mut registered: Vec<String> = ALL.iter().map(|check| file(check.id)).collect();
        registered.sort();
        assert_eq!(registered, files);
    }

    #[test]
    fn checks_are_in_the_order_of_reports() {
        assert!(ALL.is_sorted_by_key(|check| (check.level, check.id)));
    }

    #[test]
    fn checks_are_as_they_must_be() {
        for check in ALL {
            let since: Vec<u32> = check.versions().collect();
            assert!(
                since.is_sorted_by(|a, b| a < b) && !since.is_empty(),
                "{}",
                check.id
            );
            assert!(check.level != Level::Privileged, "{}", check.id);
            let page = check.manual();
            for part in ["Looks at", "Allows", "Versions"] {
                assert!(page.contains(part), "{}: {part}", check.id);
            }
            for form in check.forms {
                let Some(replaced) = form.replaces else {
                    continue;
                };
                let replaced = ALL.iter().find(|c| c.id == replaced).unwrap();
                assert_eq!(
                    (check.level, replaced.level),
                    (Level::Restricted, Level::Baseline)
                );
            }
        }
    }
}
