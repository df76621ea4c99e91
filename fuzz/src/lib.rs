//! Every parser's fuzz entry, by name: for libFuzzer, and for the replay of the corpora.

/// An entry: takes any bytes, must neither panic nor hang.
pub type Target = fn(&[u8]);

/// All targets, alphabetical. Each has a folder of the same name under `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("ask_files", bartizan_ask::fuzzing::files),
    ("ask_question", bartizan_ask::fuzzing::question),
    ("ask_stream", bartizan_ask::fuzzing::stream),
    ("ask_vectors", bartizan_ask::fuzzing::vectors),
    ("cluster_answers", bartizan_cluster::fuzzing::answers),
    ("framework", bartizan_posture::fuzzing::framework),
    ("inventory_archives", bartizan_inventory::fuzzing::archives),
    (
        "inventory_executables",
        bartizan_inventory::fuzzing::executables,
    ),
    ("inventory_layer", bartizan_inventory::tree::fuzzing::layer),
    ("inventory_locks", bartizan_inventory::fuzzing::locks),
    ("inventory_sbom_xml", bartizan_inventory::fuzzing::sbom_xml),
    ("inventory_sboms", bartizan_inventory::fuzzing::sboms),
    ("ledger_checkpoint", bartizan_ledger::fuzzing::checkpoint),
    ("ledger_keys", bartizan_ledger::fuzzing::keys),
    ("ledger_note", bartizan_ledger::fuzzing::note),
    ("ledger_proof", bartizan_ledger::fuzzing::proof),
    ("ledger_tile", bartizan_ledger::fuzzing::tile),
    ("ledger_token", bartizan_ledger::fuzzing::token),
    ("packages_apk", bartizan_packages::fuzzing::apk),
    ("packages_dpkg", bartizan_packages::fuzzing::dpkg),
    ("packages_rpmdb", bartizan_packages::fuzzing::rpmdb),
    ("policy_cel", bartizan_policy::fuzzing::fuzz_cel),
    ("policy_mutate", bartizan_policy::fuzzing::fuzz_mutate),
    ("policy_review", bartizan_policy::fuzzing::fuzz_review),
    ("policy_yaml", bartizan_policy::fuzzing::fuzz_yaml),
    ("report", bartizan_formats::fuzzing::report),
    ("sarif", bartizan_formats::fuzzing::sarif),
    ("scap_content", bartizan_scap::fuzzing::content),
    ("scap_dpkg", bartizan_scap::fuzzing::dpkg),
    ("scap_host_checks", bartizan_scap::fuzzing::host_checks),
    ("scap_paths", bartizan_scap::fuzzing::paths),
    ("scap_patterns", bartizan_scap::fuzzing::patterns),
    ("scap_rpmdb", bartizan_scap::fuzzing::rpmdb),
    ("scap_signature", bartizan_scap::fuzzing::signature),
    ("scap_tailoring", bartizan_scap::fuzzing::tailoring),
    ("scap_units", bartizan_scap::fuzzing::units),
    ("signature_manifest", bartizan_signature::fuzzing::manifest),
    ("signature_piece", bartizan_signature::fuzzing::piece),
    ("signature_trust", bartizan_signature::fuzzing::trust),
    ("stream_archive", bartizan_stream::fuzzing::archive),
    ("stream_lists", bartizan_stream::fuzzing::feed_lists),
    ("stream_segment", bartizan_stream::fuzzing::segment),
    ("vuln_advisories", bartizan_vuln::fuzzing::advisories),
    ("vuln_cve", bartizan_vuln::fuzzing::cve),
    ("vuln_record", bartizan_vuln::fuzzing::record),
    ("vuln_scores", bartizan_vuln::fuzzing::scores),
    ("vuln_statements", bartizan_vuln::fuzzing::statements),
    ("vuln_versions", bartizan_vuln::fuzzing::versions),
    ("xccdf", bartizan_formats::fuzzing::xccdf),
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, target)| *target)
}
