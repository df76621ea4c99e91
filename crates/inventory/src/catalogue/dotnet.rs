//! Lists of NuGet packages: `*.deps.json`, `packages.lock.json`, `packages.config`.

use super::{Catalogued, Cataloguer, input};
use crate::tree::{Candidate, File};
use bartizan_model::EcosystemKind;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What .NET was built with.
pub struct Dotnet;

#[derive(Deserialize)]
struct Deps {
    libraries: BTreeMap<String, Library>,
}

#[derive(Deserialize)]
struct Library {
    r#type: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    dependencies: BTreeMap<String, BTreeMap<String, Locked>>,
}

#[derive(Deserialize)]
struct Locked {
    r#type: Option<String>,
    resolved: Option<String>,
}

impl Cataloguer for Dotnet {
    fn name(&self) -> &'static str {
        "dotnet"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        let name = file.name();
        name.ends_with(".deps.json") || matches!(name, "packages.lock.json" | "packages.config")
    }

    fn read(&self, file: &File, out: &mut Catalogued) -> Result<(), String> {
        match file.candidate().name() {
            "packages.lock.json" => lock(file, out),
            "packages.config" => config(file, out),
            _ => deps(file, out),
        }
    }
}

fn package(file: &File, out: &mut Catalogued, name: &str, version: Option<&str>) {
    out.package(file, EcosystemKind::NuGet, None, name, version, Vec::new());
}

fn deps(file: &File, out: &mut Catalogued) -> Result<(), String> {
    let deps: Deps = input::json(file)?;
    for (key, library) in deps.libraries {
        let kind = library.r#type.unwrap_or_default();
        if !matches!(kind.as_str(), "package" | "runtimepack") {
            continue;
        }
        match key.split_once('/') {
            Some((name, version)) => {
                let name = name.strip_prefix("runtimepack.").unwrap_or(name);
                package(file, out, name, Some(version));
            }
            None => out.unread(&file.path, format!("{key:.80} has no version")),
        }
    }
    Ok(())
}

fn lock(file: &File, out: &mut Catalogued) -> Result<(), String> {
    let lock: Lock = input::json(file)?;
    for (name, one) in lock.dependencies.into_values().flatten() {
        if one.r#type.as_deref() == Some("Project") {
            continue;
        }
        match &one.resolved {
            Some(version) => package(file, out, &name, Some(version)),
            None => out.unread(&file.path, format!("{name:.80} has no version")),
        }
    }
    Ok(())
}

fn config(file: &File, out: &mut Catalogued) -> Result<(), String> {
    let mut reader = Reader::from_str(input::text(file)?);
    loop {
        let event = reader
            .read_event()
            .map_err(|e| format!("it is broken XML: {e}"))?;
        match event {
            Event::Eof => return Ok(()),
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == b"package" => {
                let mut name = None;
                let mut version = None;
                for attribute in tag.attributes() {
                    let attribute = attribute.map_err(|e| format!("it is broken XML: {e}"))?;
                    let value = String::from_utf8_lossy(&attribute.value).into_owned();
                    match attribute.key.as_ref() {
                        b"id" => name = Some(value),
                        b"version" => version = Some(value),
                        _ => {}
                    }
                }
                match name {
                    Some(name) => package(file, out, &name, version.as_deref()),
                    None => out.unread(&file.path, "a package has no id"),
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::input::told;

    #[test]
    fn three_kinds_of_lists_are_read() {
        let deps = "\u{feff}{\"runtimeTarget\":{\"name\":\".NETCoreApp,Version=v8.0\"},\"libraries\":{\"app/1.0.0\":{\"type\":\"project\"},\"Newtonsoft.Json/12.0.1\":{\"type\":\"package\",\"serviceable\":true},\"runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1\":{\"type\":\"runtimepack\"}}}";
        let (purls, unread) = told(&Dotnet, "app/app.deps.json", deps);
        assert_eq!(
            purls,
            [
                "pkg:nuget/Microsoft.NETCore.App.Runtime.linux-x64@8.0.1",
                "pkg:nuget/Newtonsoft.Json@12.0.1"
            ]
        );
        assert!(unread.is_empty(), "{unread:?}");
        let lock = r#"{"version":1,"dependencies":{"net8.0":{"Serilog":{"type":"Direct","requested":"[2.0,)","resolved":"2.12.0"},"mine":{"type":"Project"}}}}"#;
        assert_eq!(
            told(&Dotnet, "packages.lock.json", lock).0,
            ["pkg:nuget/Serilog@2.12.0"]
        );
        let config = r#"<?xml version="1.0"?><packages><package id="jQuery" version="3.1.1" targetFramework="net46" /></packages>"#;
        assert_eq!(
            told(&Dotnet, "packages.config", config).0,
            ["pkg:nuget/jQuery@3.1.1"]
        );
        for (path, text) in [
            ("a.deps.json", "{}"),
            ("packages.config", "<packages><package id="),
        ] {
            assert_eq!(told(&Dotnet, path, text).1.len(), 1, "{path}");
        }
    }
}
