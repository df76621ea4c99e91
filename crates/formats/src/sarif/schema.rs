//! The part of SARIF 2.1.0 that is read; all else is passed over without being kept.

use super::budget::{First, List, Pairs, Text};
use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Root {
    #[serde(default)]
    pub version: Text,
    #[serde(default)]
    pub runs: List<Run>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Run {
    pub tool: Tool,
    #[serde(default)]
    pub invocations: List<Invocation>,
    pub results: Option<List<RawResult>>,
    #[serde(default)]
    pub original_uri_base_ids: Pairs<Option<ArtifactLocation>>,
    pub automation_details: Option<AutomationDetails>,
    #[serde(default)]
    pub artifacts: List<Artifact>,
    pub external_property_file_references: Option<ExternalFiles>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tool {
    pub driver: Component,
    #[serde(default)]
    pub extensions: List<Component>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Component {
    #[serde(default)]
    pub name: Text,
    #[serde(default)]
    pub version: Text,
    #[serde(default)]
    pub semantic_version: Text,
    #[serde(default)]
    pub rules: List<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rule {
    #[serde(default)]
    pub id: Text,
    #[serde(default)]
    pub name: Text,
    #[serde(default)]
    pub help_uri: Text,
    pub short_description: Option<Message>,
    pub full_description: Option<Message>,
    pub help: Option<Message>,
    pub default_configuration: Option<Configuration>,
    #[serde(default)]
    pub message_strings: Pairs<Option<Message>>,
    pub properties: Option<Properties>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Configuration {
    #[serde(default)]
    pub level: Text,
    #[serde(default)]
    pub rank: Text,
}

/// The members of property bags that tell a severity.
#[derive(Debug, Deserialize)]
pub(super) struct Properties {
    #[serde(default, rename = "security-severity")]
    pub security_severity: Text,
    #[serde(default)]
    pub severity: Text,
    #[serde(default, rename = "problem.severity")]
    pub problem_severity: Text,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub text: Text,
    #[serde(default)]
    pub markdown: Text,
    #[serde(default)]
    pub id: Text,
    #[serde(default)]
    pub arguments: List<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawResult {
    #[serde(default)]
    pub rule_id: Text,
    pub rule_index: Option<i64>,
    pub rule: Option<RuleReference>,
    #[serde(default)]
    pub kind: Text,
    #[serde(default)]
    pub level: Text,
    #[serde(default)]
    pub rank: Text,
    pub message: Option<Message>,
    #[serde(default)]
    pub locations: First<Location>,
    #[serde(default)]
    pub partial_fingerprints: Pairs<Text>,
    #[serde(default)]
    pub fingerprints: Pairs<Text>,
    #[serde(default)]
    pub suppressions: List<RawSuppression>,
    #[serde(default)]
    pub baseline_state: Text,
    pub properties: Option<Properties>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleReference {
    #[serde(default)]
    pub id: Text,
    pub index: Option<i64>,
    pub tool_component: Option<ComponentReference>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ComponentReference {
    pub index: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Location {
    pub physical_location: Option<PhysicalLocation>,
    #[serde(default)]
    pub logical_locations: First<LogicalLocation>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PhysicalLocation {
    pub artifact_location: Option<ArtifactLocation>,
    pub region: Option<Region>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArtifactLocation {
    #[serde(default)]
    pub uri: Text,
    #[serde(default)]
    pub uri_base_id: Text,
    pub index: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Region {
    pub start_line: Option<i64>,
    pub start_column: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogicalLocation {
    #[serde(default)]
    pub fully_qualified_name: Text,
    #[serde(default)]
    pub name: Text,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawSuppression {
    #[serde(default)]
    pub kind: Text,
    #[serde(default)]
    pub status: Text,
    #[serde(default)]
    pub justification: Text,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Invocation {
    pub execution_successful: Option<bool>,
    #[serde(default)]
    pub start_time_utc: Text,
    #[serde(default)]
    pub end_time_utc: Text,
    #[serde(default)]
    pub tool_execution_notifications: List<Notification>,
    #[serde(default)]
    pub tool_configuration_notifications: List<Notification>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Notification {
    #[serde(default)]
    pub level: Text,
    pub message: Option<Message>,
}

#[derive(Debug, Deserialize)]
pub(super) struct AutomationDetails {
    #[serde(default)]
    pub id: Text,
}

#[derive(Debug, Deserialize)]
pub(super) struct Artifact {
    pub location: Option<ArtifactLocation>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExternalFiles {
    pub results: Option<IgnoredAny>,
}
