//! Differences that have a cause, by the path of the script or file.

/// Whose a difference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The judge is older than the test, and the test itself expects what we say.
    Judge,
    /// The specification is with us, or it is meant so.
    Meant,
    /// Something that we cannot do.
    Ours,
}

const UNSET: &str = "a variable that is given no value: an error or unknown with us, while the judge \
                     compares with nothing";

const NOT_RUNNING: &str = "what only a running system has: not collected of another root, whose \
                           /proc may be anything";

/// Path or its beginning, whose it is and the cause.
const KNOWN: &[(&str, Whose, &str)] = &[
    (
        "API/OVAL/unittests/test_glob_to_regex",
        Whose::Meant,
        "a glob without its end: the judge counts the variable that it could not compute as \
         an item that exists, we say unknown (OVAL: the error of a function is its variable's)",
    ),
    (
        "API/OVAL/unittests/test_object_component_type.sh",
        Whose::Meant,
        "the judge decides the same and then ends without results",
    ),
    (
        "API/OVAL/unittests/test_object_component_type.oval.xml",
        Whose::Meant,
        "the judge decides the same and then ends without results",
    ),
    (
        "API/OVAL/unittests/test_external_variable.oval.xml",
        Whose::Meant,
        UNSET,
    ),
    ("API/OVAL/report_variable_values/", Whose::Meant, UNSET),
    (
        "API/XCCDF/variable_instance/requires_both-oval.xml",
        Whose::Meant,
        UNSET,
    ),
    (
        "API/OVAL/scap-rhel5-oval.xml",
        Whose::Meant,
        "the judge takes longer than a minute",
    ),
    (
        "API/OVAL/validate/oval-schematron-fail.xml",
        Whose::Meant,
        "the judge decides and then ends without results",
    ),
    (
        "API/XCCDF/applicability/test_remediate_fix",
        Whose::Meant,
        "OVAL outside of the benchmark's folder: content must not choose files elsewhere",
    ),
    (
        "API/XCCDF/parser/test_known_extensions.xml",
        Whose::Meant,
        "OVAL outside of the benchmark's folder: content must not choose files elsewhere",
    ),
    (
        "API/XCCDF/guide/benchmark_id_test-ds.xml",
        Whose::Meant,
        "a dictionary that the stream does not have: the judge refuses the stream",
    ),
    (
        "API/XCCDF/unittests/openscap_2289_regression.xml",
        // Its test does not evaluate it, so that it says nothing for us.
        Whose::Meant,
        "1.3.7 crashes",
    ),
    (
        "API/XCCDF/unittests/test_xccdf_resolve.xccdf.xml",
        Whose::Meant,
        "an assertion of the judge fails",
    ),
    (
        "API/XCCDF/unittests/test_deriving_xccdf_result_from_oval_multicheck.xccdf.xml",
        Whose::Meant,
        "of the many results of a rule the judge scores one, we all",
    ),
    (
        "API/XCCDF/applicability/test_platform_element",
        Whose::Meant,
        "OVAL outside of the benchmark's folder: content must not choose files elsewhere",
    ),
    (
        "API/XCCDF/unittests/test_xccdf_oval_absolute_path",
        Whose::Meant,
        "OVAL outside of the benchmark's folder: content must not choose files elsewhere",
    ),
    (
        "API/XCCDF/unittests/test_no_newline_between_select_elements",
        Whose::Judge,
        "1.3.7 passes over elements that follow each other without blanks",
    ),
    (
        "API/XCCDF/unittests/test_skip_rule",
        Whose::Ours,
        "a rule to skip that is not there: the judge passes over it, we refuse it as a slip",
    ),
    (
        "API/XCCDF/unittests/test_single_line_tailoring",
        Whose::Judge,
        "1.3.7 passes over elements that follow each other without blanks",
    ),
    (
        "DS/ds_without_cpe_dict",
        Whose::Judge,
        "1.3.7 finds no OVAL of platforms in a stream without dictionaries",
    ),
    (
        "DS/test_ds_misc.sh",
        Whose::Ours,
        "benchmarks outside of the file are not read; the judge refuses an invalid stream that \
         we evaluate",
    ),
    (
        "DS/test_sds_eval.sh",
        Whose::Ours,
        "benchmarks outside of the file are not read; the judge refuses an invalid stream that \
         we evaluate",
    ),
    (
        "mitre/test_mitre_ind_probes.sh",
        Whose::Ours,
        "XPath functions other than text() (count) are not supported",
    ),
    (
        "nist/nist_test.sh",
        Whose::Ours,
        "benchmarks outside of the file are not read; besides the judge scores by the rule's \
         weight, we by the refined one",
    ),
    (
        "probes/environmentvariable58/test_probes_environmentvariable58_offline_mode.sh",
        Whose::Meant,
        NOT_RUNNING,
    ),
    ("probes/process58/empty_proc.sh", Whose::Meant, NOT_RUNNING),
    (
        "probes/process58/test_probes_process58_offline_mode.sh",
        Whose::Meant,
        NOT_RUNNING,
    ),
    ("probes/system_info/", Whose::Meant, NOT_RUNNING),
    (
        "probes/partition/test_probes_partition_offline_mode.sh",
        Whose::Meant,
        "the space of a mount that is not there: an error with us, the judge asks its own root",
    ),
    (
        "probes/process58/command_line.sh",
        Whose::Meant,
        "the test looks for the judge's own process",
    ),
    (
        "probes/iflisteners/",
        Whose::Ours,
        "the test type is not supported: unknown",
    ),
    (
        "probes/sql57/",
        Whose::Ours,
        "the test type is not supported: unknown, where the judge knows no such engine",
    ),
    (
        "probes/rpm/rpminfo/test_probes_rpminfo_offline.sh",
        Whose::Judge,
        "the judge finds no packages of another root, which the test expects",
    ),
    (
        "probes/rpm/rpmverify",
        Whose::Ours,
        "verifying whole packages, or files without an answer to everything, is an error",
    ),
    (
        "probes/shadow/test_probes_shadow_offline.sh",
        Whose::Meant,
        "the judge does not look at another root's shadow file, we do",
    ),
    (
        "probes/textfilecontent54/test_recursion_limit.sh",
        Whose::Meant,
        "a pattern that exceeds PCRE 1's recursion and that PCRE 2 decides",
    ),
    (
        "probes/xmlfilecontent/",
        Whose::Ours,
        "XPath functions other than text() are not supported",
    ),
    (
        "probes/yamlfilecontent/",
        Whose::Ours,
        "YAML paths with wildcards and anchors are not supported",
    ),
    ("sce/", Whose::Meant, "scripts of content are not run"),
];

/// Why what is there differs.
pub fn cause(place: &str) -> Option<(Whose, &'static str)> {
    let mut known = KNOWN.iter();
    known
        .find(|(path, ..)| place.starts_with(path))
        .map(|(_, whose, cause)| (*whose, *cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_found_by_the_beginning() {
        assert_eq!(cause("sce/a.sh").unwrap().0, Whose::Meant);
        assert!(cause("scf").is_none());
    }
}
