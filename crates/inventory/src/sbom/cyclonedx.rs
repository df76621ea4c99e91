//! CycloneDX: 1.6 is written as JSON, 1.2 to 1.7 are read; `xml` makes the same entries of the other form.

use super::draft::{Draft, Item};
use super::{SbomError, Stamp, ecosystem, licence};
use crate::{Inventory, OsRelease, Target, TargetKind, Unread};
use bartizan_model::component::{Found, SourcePackage};
use bartizan_model::{Component, Digest};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Writes an inventory; the same arguments give the same bytes.
pub fn write(inventory: &Inventory, stamp: &Stamp<'_>) -> Vec<u8> {
    let target = &inventory.target;
    let mut told = vec![property("bartizan:target", &json_text(target))];
    if let Some(os) = &inventory.os {
        told.push(property("bartizan:os", &json_text(os)));
    }
    let root = json!({
        "type": match target.kind {
            TargetKind::Host => "device",
            TargetKind::Image => "container",
            TargetKind::Folder | TargetKind::Sbom => "application",
        },
        "bom-ref": "target",
        "name": target.name,
        "version": target.digest.as_ref().map(Digest::as_str).unwrap_or_default(),
        "properties": told,
    });
    let unread: Vec<Value> = inventory
        .unread
        .iter()
        .map(|one| property("bartizan:unread", &json_text(one)))
        .collect();
    let mut refs = BTreeMap::new();
    let mut components = Vec::new();
    let mut depends = Vec::new();
    for component in &inventory.components {
        let purl = component.purl.to_string();
        let times: &mut usize = refs.entry(purl.clone()).or_default();
        *times += 1;
        let reference = match *times {
            1 => purl.clone(),
            n => format!("{purl}#{n}"),
        };
        components.push(one(component, &purl, &reference));
        depends.push(Value::from(reference));
    }
    if let Some(os) = &inventory.os {
        components.push(json!({
            "type": "operating-system",
            "bom-ref": "operating-system",
            "name": os.id,
            "version": os.version,
            "description": os.pretty,
        }));
    }
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", stamp.id),
        "version": 1,
        "metadata": {
            "timestamp": stamp.at.to_string(),
            "tools": {"components": [{"type": "application", "name": "bartizan", "version": stamp.version}]},
            "component": root,
            "properties": unread,
        },
        "components": components,
        "dependencies": [{"ref": "target", "dependsOn": depends}],
    });
    if !inventory.unread.is_empty()
        && let Some(map) = document.as_object_mut()
    {
        map.insert(
            "compositions".into(),
            json!([{"aggregate": "incomplete", "assemblies": ["target"]}]),
        );
    }
    let mut bytes = serde_json::to_vec_pretty(&document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn json_text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn property(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value})
}

fn one(component: &Component, purl: &str, reference: &str) -> Value {
    let mut told = vec![property(
        "bartizan:ecosystem",
        &component.ecosystem.to_string(),
    )];
    if let Some(source) = &component.source {
        told.push(property("bartizan:source:name", &source.name));
        told.push(property("bartizan:source:version", &source.version));
    }
    let mut out = json!({
        "type": "library",
        "bom-ref": reference,
        "name": component.purl.name(),
        "version": component.version().unwrap_or_default(),
        "purl": purl,
        "properties": told,
    });
    let Some(map) = out.as_object_mut() else {
        return out;
    };
    let group = component.purl.namespace();
    if let Some(group) = group.filter(|_| !component.ecosystem.kind.is_distribution()) {
        map.insert("group".into(), group.into());
    }
    let licences: Vec<Value> = match component.licences.as_slice() {
        [one] if !licence::is_id(one) && licence::is_expression(one) => {
            vec![json!({"expression": one})]
        }
        all => all
            .iter()
            .map(|one| match licence::is_id(one) {
                true => json!({"license": {"id": one}}),
                false => json!({"license": {"name": one}}),
            })
            .collect(),
    };
    if !licences.is_empty() {
        map.insert("licenses".into(), licences.into());
    }
    let places: Vec<Value> = component
        .found
        .iter()
        .map(|found| match &found.layer {
            Some(layer) => {
                json!({"location": found.path, "additionalContext": format!("layer {layer}")})
            }
            None => json!({"location": found.path}),
        })
        .collect();
    if !places.is_empty() {
        map.insert("evidence".into(), json!({"occurrences": places}));
    }
    out
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bom {
    spec_version: String,
    metadata: Option<Metadata>,
    components: Option<Vec<Value>>,
}

#[derive(Deserialize, Default)]
struct Metadata {
    component: Option<Value>,
    properties: Option<Vec<Property>>,
}

#[derive(Deserialize)]
pub(super) struct Property {
    pub name: Option<String>,
    pub value: Option<String>,
}

/// A component, from either form.
#[derive(Deserialize)]
pub(super) struct Piece {
    pub r#type: Option<String>,
    pub name: Option<String>,
    pub version: Option<String>,
    pub purl: Option<String>,
    pub licenses: Option<Vec<Licence>>,
    pub properties: Option<Vec<Property>>,
    pub evidence: Option<Evidence>,
    pub components: Option<Vec<Value>>,
}

#[derive(Deserialize)]
pub(super) struct Licence {
    pub expression: Option<String>,
    pub license: Option<Named>,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub id: Option<String>,
    pub name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Evidence {
    pub occurrences: Option<Vec<Occurrence>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Occurrence {
    pub location: Option<String>,
    pub additional_context: Option<String>,
}

/// Whether that version is read.
pub(super) fn known(version: &str) -> Result<(), SbomError> {
    match version {
        "1.2" | "1.3" | "1.4" | "1.5" | "1.6" | "1.7" => Ok(()),
        other => Err(SbomError::Version(format!("CycloneDX {other:.20}"))),
    }
}

/// Reads one.
pub(super) fn read(bytes: &[u8]) -> Result<Draft, SbomError> {
    let bom: Bom = serde_json::from_slice(bytes).map_err(SbomError::broken)?;
    known(&bom.spec_version)?;
    let mut draft = Draft::default();
    let metadata = bom.metadata.unwrap_or_default();
    unread(metadata.properties.unwrap_or_default(), &mut draft);
    if let Some(root) = metadata.component {
        match serde_json::from_value::<Piece>(root) {
            Ok(root) => about(root, &mut draft),
            Err(why) => draft.unread("metadata.component", format!("its entry is broken: {why}")),
        }
    }
    pieces(bom.components.unwrap_or_default(), &mut draft);
    Ok(draft)
}

/// What was unread when we made the list.
pub(super) fn unread(properties: Vec<Property>, draft: &mut Draft) {
    for property in properties {
        if let (Some("bartizan:unread"), Some(value)) = (property.name.as_deref(), &property.value)
        {
            match serde_json::from_str::<Unread>(value) {
                Ok(one) => draft.unread.push(one),
                Err(_) => draft.unread(value, "it was unread when the list was made"),
            }
        }
    }
}

/// What the list is about, and what stands in it there.
pub(super) fn about(mut root: Piece, draft: &mut Draft) {
    for property in root.properties.iter().flatten() {
        let value = property.value.as_deref().unwrap_or_default();
        match property.name.as_deref() {
            Some("bartizan:target") => draft.target = serde_json::from_str::<Target>(value).ok(),
            Some("bartizan:os") => draft.os = serde_json::from_str::<OsRelease>(value).ok(),
            _ => {}
        }
    }
    draft.name = root.name.clone();
    let inner = root.components.take();
    // A library is a package itself; an image is none.
    let purl = root.purl.as_deref().unwrap_or_default();
    if !purl.is_empty() && !purl.starts_with("pkg:oci/") && !purl.starts_with("pkg:docker/") {
        one_piece(root, draft);
    }
    pieces(inner.unwrap_or_default(), draft);
}

/// The parser bounds the depth.
fn pieces(all: Vec<Value>, draft: &mut Draft) {
    for value in all {
        let name = value
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or("a component");
        let name = name.to_owned();
        match serde_json::from_value::<Piece>(value) {
            Ok(mut piece) => {
                let inner = piece.components.take();
                one_piece(piece, draft);
                pieces(inner.unwrap_or_default(), draft);
            }
            Err(why) => draft.unread(&name, format!("its entry is broken: {why}")),
        }
    }
}

pub(super) fn one_piece(piece: Piece, draft: &mut Draft) {
    let kind = piece.r#type.as_deref().unwrap_or_default();
    let name = piece.name.unwrap_or_default();
    if kind == "operating-system" {
        if draft.os.is_none() {
            draft.os = Some(ecosystem::os(
                &name,
                piece.version.as_deref().unwrap_or_default(),
                "",
            ));
        }
        return;
    }
    let Some(purl) = piece.purl.filter(|purl| !purl.is_empty()) else {
        // Files and keys are no packages.
        if !matches!(
            kind,
            "file" | "data" | "cryptographic-asset" | "machine-learning-model"
        ) {
            draft.unread(&name, "it has no purl, so no advisory is found for it");
        }
        return;
    };
    let purl = match purl.parse() {
        Ok(purl) => purl,
        Err(why) => {
            draft.unread(&name, format!("{why}"));
            return;
        }
    };
    let mut item = Item {
        purl,
        ecosystem: None,
        source: None,
        licences: Vec::new(),
        found: Vec::new(),
    };
    for licence in piece.licenses.into_iter().flatten() {
        let named = licence.license.and_then(|l| l.id.or(l.name));
        item.licences.extend(licence.expression.or(named));
    }
    for place in piece
        .evidence
        .and_then(|e| e.occurrences)
        .into_iter()
        .flatten()
    {
        if let Some(path) = place.location {
            let layer = place.additional_context;
            let layer = layer
                .as_deref()
                .and_then(|text| text.strip_prefix("layer "));
            let layer = layer.and_then(|digest| digest.parse().ok());
            item.found.push(Found { path, layer });
        }
    }
    properties(piece.properties, &mut item);
    draft.items.push(item);
}

/// Our own, Syft's and Trivy's.
fn properties(all: Option<Vec<Property>>, item: &mut Item) {
    let all: BTreeMap<String, String> = all
        .into_iter()
        .flatten()
        .filter_map(|p| Some((p.name?, p.value?)))
        .collect();
    let get = |key: &str| all.get(key).filter(|value| !value.is_empty()).cloned();
    item.ecosystem = get("bartizan:ecosystem").map(|text| text.into());
    let trivy = |key: &str| get(&format!("aquasecurity:trivy:{key}"));
    let trivy_version = || {
        let epoch = trivy("SrcEpoch").filter(|epoch| epoch != "0");
        let release = trivy("SrcRelease").map(|release| format!("-{release}"));
        let version = trivy("SrcVersion")?;
        Some(format!(
            "{}{version}{}",
            epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default(),
            release.unwrap_or_default()
        ))
    };
    let name = all.get("bartizan:source:name").cloned();
    let name = name.or_else(|| trivy("SrcName"));
    let version = all
        .get("bartizan:source:version")
        .cloned()
        .or_else(trivy_version);
    if let (Some(name), Some(version)) = (name, version) {
        // Where source and package are the same, an inventory does not say it again.
        let same = item.ecosystem.is_none()
            && name == item.purl.name()
            && Some(version.as_str()) == item.purl.version();
        item.source = (!same).then_some(SourcePackage { name, version });
    }
    if item.found.is_empty() {
        for (key, path) in &all {
            let syft = key
                .strip_prefix("syft:location:")
                .and_then(|k| k.strip_suffix(":path"));
            if syft.is_some() || key == "aquasecurity:trivy:FilePath" {
                let layer = match syft {
                    Some(n) => get(&format!("syft:location:{n}:layerID")),
                    None => get("aquasecurity:trivy:LayerDigest"),
                };
                item.found.push(Found {
                    path: path.trim_start_matches('/').to_owned(),
                    layer: layer.and_then(|digest| digest.parse().ok()),
                });
            }
        }
    }
}
