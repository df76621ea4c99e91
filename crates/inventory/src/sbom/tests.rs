//! What is written is read back; what others wrote is understood; what is broken is told.

use super::*;
use crate::{OsRelease, TargetKind, Unread};
use bartizan_model::component::{Found, SourcePackage};
use bartizan_model::{AssetUid, Component, Digest, Purl};
use proptest::prelude::*;

fn stamp() -> Stamp<'static> {
    Stamp {
        id: Uuid::from_u128(7),
        at: "2026-11-26T12:00:00Z".parse().unwrap(),
        version: "1.2.3",
    }
}

fn target() -> Target {
    Target {
        uid: AssetUid::new("image:shop").unwrap(),
        kind: TargetKind::Image,
        name: "shop:v1".into(),
        digest: Some(Digest::of(b"x")),
    }
}

fn inventory(components: Vec<Component>) -> Inventory {
    Inventory {
        target: target(),
        os: OsRelease::parse(
            "etc/os-release",
            b"ID=debian\nVERSION_ID=12\nPRETTY_NAME=Debian\n",
        ),
        components,
        unread: vec![Unread {
            path: "app/a.jar".into(),
            why: "java: \"broken\"\n".into(),
        }],
    }
}

fn component(purl: &str, ecosystem: &str) -> Component {
    Component {
        purl: purl.parse().unwrap(),
        ecosystem: ecosystem.parse().unwrap(),
        source: None,
        licences: vec![],
        found: vec![],
        target: target().uid,
    }
}

fn any_component() -> impl Strategy<Value = Component> {
    let ecosystems = prop::sample::select(vec![
        ("deb", "Debian:12"),
        ("rpm", "Red Hat:9"),
        ("npm", "npm"),
        ("maven", "Maven"),
        ("golang", "Go"),
        ("generic", "other:Minix:3"),
    ]);
    let licence = prop::sample::select(vec!["MIT", "MIT OR Apache-2.0", "GNU \"GPL\"", "ISC"]);
    let found = ("[ -~]{1,12}", any::<bool>()).prop_map(|(path, layer)| Found {
        path,
        layer: layer.then(|| Digest::of(b"layer")),
    });
    (
        ecosystems,
        prop::option::of("[a-zA-Z@][^/\\p{Cc}]{0,8}"),
        "[^/\\p{Cc}]{1,8}",
        prop::option::of("[^\\p{Cc}]{1,8}"),
        prop::option::of(("[a-z]{1,5}", "[0-9:.]{1,5}")),
        prop::collection::btree_set(licence, 0..3),
        prop::collection::btree_set(found, 0..3),
    )
        .prop_map(
            |((kind, ecosystem), namespace, name, version, source, licences, found)| Component {
                purl: Purl::new(kind, namespace.as_deref(), &name, version.as_deref()).unwrap(),
                ecosystem: ecosystem.parse().unwrap(),
                source: source.map(|(name, version)| SourcePackage { name, version }),
                licences: licences.into_iter().map(str::to_owned).collect(),
                found: found.into_iter().collect(),
                target: target().uid,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_is_read_back(components in prop::collection::vec(any_component(), 0..8)) {
        let mut components = components;
        components.sort();
        components.dedup_by(|a, b| (&a.purl, &a.ecosystem, &a.source) == (&b.purl, &b.ecosystem, &b.source));
        let inventory = inventory(components);
        for write in [cyclonedx::write, spdx::write] {
            let bytes = write(&inventory, &stamp());
            prop_assert_eq!(&bytes, &write(&inventory, &stamp()));
            prop_assert_eq!(read(&bytes), Ok(inventory.clone()));
        }
    }

    #[test]
    fn whatever_comes_nothing_panics(text in "(SPDXVersion: SPDX-2\\.3\n)?([A-Za-z]{1,12}: ?(<text>)?[ -~]{0,20}\n){0,8}") {
        let _ = read(text.as_bytes());
    }
}

#[test]
fn what_syft_and_trivy_write_is_understood() {
    let syft = r#"{"bomFormat":"CycloneDX","specVersion":"1.5","serialNumber":"urn:uuid:1","metadata":{
        "component":{"type":"container","name":"docker.io/library/debian:12","version":"sha256:a"}},
        "components":[
        {"type":"library","name":"zlib1g","version":"1:1.2.13.dfsg-1","licenses":[{"license":{"id":"Zlib"}}],
         "purl":"pkg:deb/debian/zlib1g@1%3A1.2.13.dfsg-1?arch=amd64&distro=debian-12&upstream=zlib",
         "properties":[{"name":"syft:location:0:path","value":"/var/lib/dpkg/status"},{"name":"syft:location:0:layerID","value":"sha256:0000000000000000000000000000000000000000000000000000000000000000"}]},
        {"type":"library","name":"bash","purl":"pkg:rpm/redhat/bash@5.1.8-6.el9?epoch=2&distro=rhel-9.2&upstream=bash-5.1.8-6.el9.src.rpm"},
        {"type":"operating-system","name":"debian","version":"12"},
        {"type":"file","name":"/etc/passwd"},
        {"type":"library","name":"homegrown","version":"1"},
        {"type":"library","name":"odd","purl":"nonsense"},
        {"type":"library","name":7,"purl":"pkg:npm/a@1"},
        {"type":"application","name":"outer","purl":"pkg:npm/outer@1","components":[{"type":"library","name":"inner","purl":"pkg:npm/inner@2"}]}]}"#;
    let read_back = read(syft.as_bytes()).unwrap();
    assert_eq!(
        read_back.target.uid.as_str(),
        "sbom:docker.io/library/debian:12"
    );
    let told: Vec<_> = read_back
        .components
        .iter()
        .map(|c| {
            (
                c.ecosystem.to_string(),
                c.source_or_self().0.into_owned(),
                c.source_or_self().1.unwrap().into_owned(),
            )
        })
        .collect();
    let wanted = [
        ("Debian:12", "zlib", "1:1.2.13.dfsg-1"),
        ("npm", "inner", "2"),
        ("npm", "outer", "1"),
        ("Red Hat:9", "bash", "2:5.1.8-6.el9"),
    ];
    assert_eq!(
        told,
        wanted.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()))
    );
    assert_eq!(read_back.components[0].found[0].path, "var/lib/dpkg/status");
    assert!(read_back.components[0].found[0].layer.is_some());
    let unread: Vec<&str> = read_back.unread.iter().map(|u| u.path.as_str()).collect();
    assert_eq!(unread, ["a component", "homegrown", "odd"]);
    let trivy = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[
        {"type":"operating-system","name":"debian","version":"12.5"},
        {"type":"library","name":"libssl3","purl":"pkg:deb/debian/libssl3@3.0.11-1?arch=amd64","properties":[
          {"name":"aquasecurity:trivy:SrcName","value":"openssl"},{"name":"aquasecurity:trivy:SrcVersion","value":"3.0.11"},
          {"name":"aquasecurity:trivy:SrcRelease","value":"1"},{"name":"aquasecurity:trivy:SrcEpoch","value":"0"}]}]}"#;
    let told = read(trivy.as_bytes()).unwrap();
    assert_eq!(told.components[0].ecosystem.to_string(), "Debian:12");
    assert_eq!(
        told.components[0].source,
        Some(SourcePackage {
            name: "openssl".into(),
            version: "3.0.11-1".into()
        })
    );
    assert!(told.target.uid.as_str().starts_with("sbom:sha256:"));
}

#[test]
fn spdx_of_others_is_read_in_both_forms() {
    let json = r#"{"spdxVersion":"SPDX-2.2","SPDXID":"SPDXRef-DOCUMENT","name":"shop","documentDescribes":["SPDXRef-root"],
        "packages":[{"SPDXID":"SPDXRef-root","name":"shop"},
        {"SPDXID":"SPDXRef-a","name":"lodash","versionInfo":"4.17.20","licenseDeclared":"MIT",
         "externalRefs":[{"referenceCategory":"PACKAGE_MANAGER","referenceType":"purl","referenceLocator":"pkg:npm/lodash@4.17.20"},
                         {"referenceCategory":"SECURITY","referenceType":"cpe23Type","referenceLocator":"cpe:2.3:a"}]},
        {"SPDXID":"SPDXRef-b","name":"nothing"}]}"#;
    let tags = "# made by hand\nSPDXVersion: SPDX-2.3\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: shop\n\nPackageName: shop\nSPDXID: SPDXRef-root\nPackageComment: <text>two\nlines: here</text>\n\nPackageName: lodash\nSPDXID: SPDXRef-a\nPackageVersion: 4.17.20\nPackageLicenseDeclared: MIT\nExternalRef: PACKAGE-MANAGER purl pkg:npm/lodash@4.17.20\n\nPackageName: nothing\nSPDXID: SPDXRef-b\n\nRelationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-root\n";
    for text in [json, tags] {
        let told = read(text.as_bytes()).unwrap();
        assert_eq!(told.target.uid.as_str(), "sbom:shop");
        let purls: Vec<String> = told.components.iter().map(|c| c.purl.to_string()).collect();
        assert_eq!(purls, ["pkg:npm/lodash@4.17.20"]);
        assert_eq!(told.components[0].licences, ["MIT"]);
        let unread: Vec<&str> = told.unread.iter().map(|u| u.path.as_str()).collect();
        assert_eq!(unread, ["nothing"]);
    }
}

#[test]
fn what_a_list_is_about_is_a_package_too() {
    let list = |root: &str| {
        let text = format!(
            r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{{"component":{root}}}}}"#
        );
        let told = read(text.as_bytes()).unwrap();
        let purls = told.components.iter().map(|c| c.purl.to_string());
        let unread = told.unread.iter().map(|u| u.path.clone());
        (purls.collect::<Vec<_>>(), unread.collect::<Vec<_>>())
    };
    let inner = r#"{"name":"b","purl":"pkg:npm/b@2"}"#;
    let root = format!(r#"{{"name":"a","purl":"pkg:npm/a@1","components":[{inner}]}}"#);
    assert_eq!(list(&root).0, ["pkg:npm/a@1", "pkg:npm/b@2"]);
    let image = r#"{"name":"a","purl":"pkg:oci/a@sha256:0"}"#;
    assert_eq!(list(image), (vec![], vec![]));
    assert_eq!(list(r#"{"name":"a"}"#), (vec![], vec![]));
    // What stood in it is not known.
    let broken = format!(r#"{{"name":7,"components":[{inner}]}}"#);
    assert_eq!(list(&broken), (vec![], vec!["metadata.component".into()]));
}

/// A list of XML with one of everything that counts.
const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- made by hand -->
<bom xmlns="http://cyclonedx.org/schema/bom/1.4" serialNumber="urn:uuid:1" version="1">
  <metadata><component type="application"><name>shop</name><version>3</version></component></metadata>
  <components>
    <component type="library" bom-ref="a"><group>org.a</group><name>a</name><version>1</version>
      <hashes><hash alg="MD5">00</hash></hashes>
      <licenses><license><id>MIT</id></license><expression>ISC OR Zlib</expression></licenses>
      <purl>pkg:deb/debian/a@1?arch=amd64&amp;distro=debian-12</purl>
      <pedigree><ancestors><component type="library"><name>x</name><purl>pkg:npm/x@9</purl></component></ancestors></pedigree>
      <components><component type="library"><name>b</name><purl><![CDATA[pkg:npm/b@2]]></purl></component></components>
      <properties><property name="syft:location:0:path">/var/lib/dpkg/status</property></properties>
    </component>
    <component type="library"><name>c &#38; d</name></component>
    <component type="file"><name>e</name></component>
    <signed xmlns="http://www.w3.org/2000/09/xmldsig#"><component><name>f</name></component></signed>
  </components>
  <dependencies><dependency ref="a"/></dependencies>
</bom>"#;

#[test]
fn cyclonedx_as_xml_is_the_same_model() {
    let json = r#"{"bomFormat":"CycloneDX","specVersion":"1.4","metadata":{"component":{"type":"application","name":"shop","version":"3"}},"components":[
        {"type":"library","group":"org.a","name":"a","version":"1","licenses":[{"license":{"id":"MIT"}},{"expression":"ISC OR Zlib"}],
         "purl":"pkg:deb/debian/a@1?arch=amd64&distro=debian-12","components":[{"type":"library","name":"b","purl":"pkg:npm/b@2"}],
         "properties":[{"name":"syft:location:0:path","value":"/var/lib/dpkg/status"}]},
        {"type":"library","name":"c & d"},{"type":"file","name":"e"}]}"#;
    let told = read(XML.as_bytes()).unwrap();
    assert_eq!(told, read(json.as_bytes()).unwrap());
    assert_eq!((told.components.len(), told.unread.len()), (2, 1));
    // The form says nothing else where names have a prefix, and in other versions.
    let prefixed = XML
        .replace("xmlns=\"http://cyclonedx", "xmlns:b=\"http://cyclonedx")
        .replace("</", "</b:")
        .replace('<', "<b:")
        .replace("<b:/", "</")
        .replace("<b:?", "<?")
        .replace("<b:!", "<!")
        .replace("bom/1.4", "bom/1.6");
    assert_eq!(read(prefixed.as_bytes()), Ok(told));
}

#[test]
fn xml_is_bounded() {
    let begin = "<bom xmlns=\"http://cyclonedx.org/schema/bom/1.5\">";
    let deep = format!("{begin}{}", "<components><component>".repeat(100_000));
    let wide = format!("{begin}<metadata>{}", "<name/>".repeat(1_000_001));
    let many: String = (0..200).map(|n| format!(" a{n}=''")).collect();
    let attributes = format!("{begin}<metadata{many}/></bom>");
    let entity = format!("<!DOCTYPE bom [<!ENTITY a \"b\">]>{begin}</bom>");
    for (text, why) in [
        (deep.as_str(), "within each other"),
        (wide.as_str(), "more than 1000000 elements"),
        (attributes.as_str(), "attributes"),
        (entity.as_str(), "document type"),
        (
            format!("{begin}<metadata>&a;</metadata></bom>").as_str(),
            "no entity",
        ),
        (format!("{begin}<metadata>").as_str(), "cut off"),
        (
            format!("{begin}</bom>{begin}</bom>").as_str(),
            "after its end",
        ),
        (format!("{begin}<metadata></bom>").as_str(), "broken"),
        (
            "<bom xmlns='http://cyclonedx.org/schema/bom/2.0'/>",
            "version",
        ),
        ("<!DOCTYPE html><html/>", "neither"),
        ("<html><p></html>", "neither"),
        ("<", "neither"),
    ] {
        let told = read(text.as_bytes()).unwrap_err().to_string();
        assert!(told.contains(why), "{why}: {told}");
    }
}

#[test]
fn what_is_broken_says_why() {
    let deep = format!(
        "{{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\",\"components\":{}",
        "[{\"components\":".repeat(100_000)
    );
    for (text, why) in [
        ("", "neither"),
        ("<bom/>", "neither"),
        ("{}", "neither"),
        ("{\"bomFormat\":\"CycloneDX\"", "broken"),
        (
            "{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"9\"}",
            "version",
        ),
        ("{\"spdxVersion\":\"SPDX-3.0\"}", "version"),
        ("SPDXVersion: SPDX-1.2", "version"),
        ("SPDXVersion: SPDX-2.3\nX: <text>", "no end"),
        (deep.as_str(), "broken"),
    ] {
        let told = read(text.as_bytes()).unwrap_err().to_string();
        assert!(told.contains(why), "{why}: {told}");
    }
}

#[test]
fn differences_are_by_package() {
    let before = inventory(vec![
        component("pkg:npm/a@1", "npm"),
        component("pkg:npm/b@1", "npm"),
        component("pkg:npm/b@2", "npm"),
        component("pkg:npm/same@1", "npm"),
    ]);
    let after = inventory(vec![
        component("pkg:npm/b@2", "npm"),
        component("pkg:npm/b@3", "npm"),
        component("pkg:npm/c@1", "npm"),
        component("pkg:npm/same@1", "npm"),
    ]);
    let told = diff(&before, &after);
    let lines = |all: &[Change]| -> Vec<String> {
        all.iter()
            .map(|c| format!("{} {} {}", c.package, c.before.join(","), c.after.join(",")))
            .collect()
    };
    assert_eq!(lines(&told.added), ["pkg:npm/c  1"]);
    assert_eq!(lines(&told.removed), ["pkg:npm/a 1 "]);
    assert_eq!(lines(&told.changed), ["pkg:npm/b 1 3"]);
    assert!(diff(&before, &before).is_empty());
}

#[test]
fn annotations_find_their_package_at_once() {
    let mut text = String::from("SPDXVersion: SPDX-2.3\nDocumentName: many\n");
    const MANY: usize = 100_000;
    for n in 0..MANY {
        text += &format!(
            "PackageName: p{n}\nSPDXID: SPDXRef-{}\nExternalRef: PACKAGE-MANAGER purl pkg:npm/p{n}@1\n",
            // The last two have one id: the later counts.
            n.min(MANY - 2)
        );
    }
    for n in 0..MANY - 1 {
        let ours = r#"bartizan package: {"ecosystem":"npm","licences":["MIT"]}"#;
        text += &format!("Annotator: Tool: x\nSPDXREF: SPDXRef-{n}\nAnnotationComment: {ours}\n");
    }
    let start = std::time::Instant::now();
    let told = read(text.as_bytes()).unwrap();
    assert!(start.elapsed() < std::time::Duration::from_secs(5));
    let bare = told.components.iter().filter(|c| c.licences.is_empty());
    let bare: Vec<&str> = bare.map(|c| c.purl.name()).collect();
    assert_eq!((told.components.len(), bare), (MANY, vec!["p99998"]));
}
