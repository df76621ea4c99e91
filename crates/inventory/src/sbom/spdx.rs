//! SPDX: 2.3 is written as JSON; 2.2 and 2.3 are read as JSON and as tags and values.
//!
//! What SPDX has no field for stands in annotations of `bartizan`, so that nothing is lost.

use super::draft::{Draft, Item};
use super::{SbomError, Stamp, ecosystem, licence};
use crate::{Inventory, OsRelease, Target, TargetKind, Unread};
use bartizan_model::component::{Found, SourcePackage};
use bartizan_model::{Component, Digest, Ecosystem};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What we say of a package beyond SPDX.
#[derive(Serialize, Deserialize)]
struct Ours {
    ecosystem: Ecosystem,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<SourcePackage>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    licences: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    found: Vec<Found>,
}

/// Writes an inventory; the same arguments give the same bytes.
pub fn write(inventory: &Inventory, stamp: &Stamp<'_>) -> Vec<u8> {
    // SPDX has whole seconds.
    let at = jiff::Timestamp::from_second(stamp.at.as_second())
        .unwrap_or_default()
        .to_string();
    let tool = format!("Tool: bartizan-{}", stamp.version);
    let annotation = |what: &str, value: String| {
        json!({
            "annotationDate": at, "annotationType": "OTHER", "annotator": tool,
            "comment": format!("bartizan {what}: {value}"),
        })
    };
    let target = &inventory.target;
    let mut told = vec![annotation("target", text(target))];
    if let Some(os) = &inventory.os {
        told.push(annotation("os", text(os)));
    }
    let mut packages = vec![json!({
        "SPDXID": "SPDXRef-Target",
        "name": target.name,
        "versionInfo": target.digest.as_ref().map(Digest::as_str).unwrap_or_default(),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": match target.kind {
            TargetKind::Host => "DEVICE",
            TargetKind::Image => "CONTAINER",
            TargetKind::Folder | TargetKind::Sbom => "APPLICATION",
        },
        "annotations": told,
    })];
    let mut relations = vec![relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Target")];
    if let Some(os) = &inventory.os {
        packages.push(json!({
            "SPDXID": "SPDXRef-OperatingSystem", "name": os.id, "versionInfo": os.version,
            "downloadLocation": "NOASSERTION", "filesAnalyzed": false,
            "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION",
            "copyrightText": "NOASSERTION", "primaryPackagePurpose": "OPERATING-SYSTEM",
        }));
        relations.push(relation(
            "SPDXRef-Target",
            "CONTAINS",
            "SPDXRef-OperatingSystem",
        ));
    }
    for component in &inventory.components {
        let ours = Ours {
            ecosystem: component.ecosystem.clone(),
            source: component.source.clone(),
            licences: component.licences.clone(),
            found: component.found.clone(),
        };
        let id = reference(component);
        relations.push(relation("SPDXRef-Target", "CONTAINS", &id));
        packages.push(one(component, &id, annotation("package", text(&ours))));
    }
    let unread: Vec<Value> = inventory
        .unread
        .iter()
        .map(|one| annotation("unread", text(one)))
        .collect();
    let document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": target.name,
        "documentNamespace": format!("urn:uuid:{}", stamp.id),
        "creationInfo": {"created": at, "creators": [tool]},
        "packages": packages,
        "relationships": relations,
        "annotations": unread,
    });
    let mut bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn relation(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

/// The same for the same package in every list, so that lists compare.
fn reference(component: &Component) -> String {
    let key = (&component.purl, &component.ecosystem, &component.source);
    let digest = Digest::of(text(&key).as_bytes());
    let hex = digest
        .as_str()
        .strip_prefix("sha256:")
        .and_then(|hex| hex.get(..24));
    format!("SPDXRef-Package-{}", hex.unwrap_or_default())
}

fn one(component: &Component, id: &str, ours: Value) -> Value {
    let known = component
        .licences
        .iter()
        .all(|text| licence::is_expression(text));
    let declared = match component.licences.as_slice() {
        [] => "NOASSERTION".to_owned(),
        [one] if known => one.clone(),
        all if known => {
            let all: Vec<String> = all.iter().map(|one| format!("({one})")).collect();
            all.join(" AND ")
        }
        _ => "NOASSERTION".to_owned(),
    };
    let mut out = json!({
        "SPDXID": id,
        "name": component.name(),
        "versionInfo": component.version().unwrap_or_default(),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": declared,
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "LIBRARY",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": component.purl.to_string(),
        }],
        "annotations": [ours],
    });
    if let Some(map) = out.as_object_mut()
        && !known
    {
        let said = component.licences.join("; ");
        map.insert("licenseComments".into(), format!("declared: {said}").into());
    }
    out
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    spdx_version: String,
    name: Option<String>,
    packages: Option<Vec<Value>>,
    relationships: Option<Vec<Value>>,
    document_describes: Option<Vec<String>>,
    annotations: Option<Vec<Annotation>>,
}

/// A package, from either form.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Piece {
    #[serde(rename = "SPDXID")]
    pub id: Option<String>,
    pub name: Option<String>,
    pub version_info: Option<String>,
    pub license_declared: Option<String>,
    pub primary_package_purpose: Option<String>,
    pub external_refs: Option<Vec<Reference>>,
    pub annotations: Option<Vec<Annotation>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reference {
    pub reference_type: Option<String>,
    pub reference_locator: Option<String>,
}

#[derive(Deserialize, Default)]
pub(super) struct Annotation {
    pub comment: Option<String>,
}

/// Reads the form of JSON.
pub(super) fn read(bytes: &[u8]) -> Result<Draft, SbomError> {
    let document: Document = serde_json::from_slice(bytes).map_err(SbomError::broken)?;
    let mut draft = Draft::default();
    let mut described: BTreeSet<String> =
        document.document_describes.into_iter().flatten().collect();
    for relation in document.relationships.into_iter().flatten() {
        let field = |key: &str| relation.get(key).and_then(Value::as_str);
        if field("relationshipType") == Some("DESCRIBES") {
            described.extend(field("relatedSpdxElement").map(str::to_owned));
        }
    }
    let mut pieces = Vec::new();
    for value in document.packages.into_iter().flatten() {
        let name = value
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or("a package")
            .to_owned();
        match serde_json::from_value::<Piece>(value) {
            Ok(piece) => pieces.push(piece),
            Err(why) => draft.unread(&name, format!("its entry is broken: {why}")),
        }
    }
    let annotations = document.annotations.into_iter().flatten().collect();
    put(
        &mut draft,
        &document.spdx_version,
        document.name,
        annotations,
        &described,
        pieces,
    )?;
    Ok(draft)
}

/// Puts together what either form gave.
pub(super) fn put(
    draft: &mut Draft,
    version: &str,
    name: Option<String>,
    annotations: Vec<Annotation>,
    described: &BTreeSet<String>,
    pieces: Vec<Piece>,
) -> Result<(), SbomError> {
    if !matches!(version, "SPDX-2.2" | "SPDX-2.3") {
        return Err(SbomError::Version(format!("{version:.20}")));
    }
    for annotation in annotations {
        let comment = annotation.comment.unwrap_or_default();
        if let Some(json) = comment.strip_prefix("bartizan unread: ") {
            match serde_json::from_str::<Unread>(json) {
                Ok(one) => draft.unread.push(one),
                Err(_) => draft.unread(json, "it was unread when the list was made"),
            }
        }
    }
    for piece in pieces {
        let root = piece.id.as_ref().is_some_and(|id| described.contains(id));
        one_piece(draft, piece, root);
    }
    draft.name = draft.name.take().or(name);
    Ok(())
}

fn one_piece(draft: &mut Draft, piece: Piece, root: bool) {
    let name = piece.name.unwrap_or_default();
    let version = piece.version_info.unwrap_or_default();
    let mut ours = None;
    let mut is_target = false;
    for annotation in piece.annotations.into_iter().flatten() {
        let comment = annotation.comment.unwrap_or_default();
        if let Some(json) = comment.strip_prefix("bartizan package: ") {
            ours = serde_json::from_str::<Ours>(json).ok();
        } else if let Some(json) = comment.strip_prefix("bartizan target: ") {
            draft.target = serde_json::from_str::<Target>(json).ok();
            is_target = true;
        } else if let Some(json) = comment.strip_prefix("bartizan os: ") {
            draft.os = serde_json::from_str::<OsRelease>(json).ok();
        }
    }
    if is_target {
        return;
    }
    if piece.primary_package_purpose.as_deref() == Some("OPERATING-SYSTEM") {
        if draft.os.is_none() {
            draft.os = Some(ecosystem::os(&name, &version, ""));
        }
        return;
    }
    let purl = piece
        .external_refs
        .into_iter()
        .flatten()
        .find_map(|reference| {
            let purl = reference.reference_type.as_deref() == Some("purl");
            reference.reference_locator.filter(|_| purl)
        });
    if root && draft.name.is_none() {
        draft.name = Some(name.clone());
    }
    let Some(purl) = purl else {
        // What the document is about is no package of it.
        if !root {
            draft.unread(&name, "it has no purl, so no advisory is found for it");
        }
        return;
    };
    // The image or repository that the document is about, which Syft gives a purl.
    if root && (purl.starts_with("pkg:oci/") || purl.starts_with("pkg:docker/")) {
        return;
    }
    let purl = match purl.parse() {
        Ok(purl) => purl,
        Err(why) => {
            draft.unread(&name, format!("{why}"));
            return;
        }
    };
    let declared = piece.license_declared;
    let declared = declared.filter(|text| !matches!(text.as_str(), "NOASSERTION" | "NONE" | ""));
    draft.items.push(match ours {
        Some(ours) => Item {
            purl,
            ecosystem: Some(ours.ecosystem),
            source: ours.source,
            licences: ours.licences,
            found: ours.found,
        },
        None => Item {
            purl,
            ecosystem: None,
            source: None,
            licences: declared.into_iter().collect(),
            found: Vec::new(),
        },
    });
}
