//! What a distribution's own packages brought, beside what languages say of it.

use super::{Fake, names, tar, whys};

/// A header of rpm: a package of that vendor with one file.
fn header(vendor: &str, folder: &str, file: &str, bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    let digest = hex::encode(sha2::Sha256::digest(bytes));
    let texts = [
        (1000u32, 6u32, "python3-idna"),
        (1001, 6, "2.10"),
        (1002, 6, "7.el9"),
        (1011, 6, vendor),
        (1117, 8, file),
        (1118, 8, folder),
        (1035, 8, digest.as_str()),
    ];
    let mut index = Vec::new();
    let mut data: Vec<u8> = Vec::new();
    let mut tag = |tag: u32, kind: u32, value: &[u8]| {
        for word in [tag, kind, data.len() as u32, 1] {
            index.extend(word.to_be_bytes());
        }
        data.extend(value);
    };
    for (number, kind, text) in texts {
        tag(number, kind, format!("{text}\0").as_bytes());
    }
    for (number, value) in [(1116, 0u32), (5011, 8)] {
        tag(number, 4, &value.to_be_bytes());
    }
    let mut blob = (index.len() as u32 / 16).to_be_bytes().to_vec();
    blob.extend((data.len() as u32).to_be_bytes());
    blob.extend(index);
    blob.extend(data);
    blob
}

/// A database of rpm in its own format.
fn ndb(header: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 4096];
    out[..4].copy_from_slice(b"RpmP");
    out[12..16].copy_from_slice(&1u32.to_le_bytes());
    for slot in 2..256 {
        out[slot * 16..slot * 16 + 4].copy_from_slice(b"Slot");
    }
    out[36..40].copy_from_slice(&1u32.to_le_bytes());
    out[40..44].copy_from_slice(&256u32.to_le_bytes());
    out.extend(b"BlbS");
    for word in [1, 0, header.len() as u32] {
        out.extend(word.to_le_bytes());
    }
    out.extend(header);
    out.resize(out.len().next_multiple_of(16), 0);
    out
}

/// Each with the operating system, in both orders.
fn owned(release: &str, files: &[(&str, &[u8])]) -> Vec<String> {
    let mut files = files.to_vec();
    files.push(("etc/os-release", release.as_bytes()));
    let mut told = || {
        let all = Fake::of(vec![tar(&files)]).read();
        assert_eq!(whys(&all), "");
        files.reverse();
        names(&all)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let first = told();
    assert_eq!(told(), first);
    first
}

#[test]
fn what_a_distribution_brought_is_told_once() {
    let meta = b"Name: idna\nVersion: 2.10\n".as_slice();
    let folder = "usr/lib/python3.9/site-packages/idna-2.10.dist-info";
    let path = format!("{folder}/METADATA");
    let rhel = "ID=rhel\nVERSION_ID=9.4\n";
    let rpm = |vendor: &str, bytes: &[u8]| {
        ndb(&header(vendor, &format!("/{folder}/"), "METADATA", bytes))
    };
    const DATABASE: &str = "var/lib/rpm/Packages.db";
    let ours = rpm("Red Hat, Inc.", meta);
    let with = |release: &str, database: &[u8], meta: &[u8]| {
        owned(release, &[(DATABASE, database), (path.as_str(), meta)])
    };
    assert_eq!(with(rhel, &ours, meta), ["python3-idna"]);
    // Somebody changed it since.
    let newer = b"Name: idna\nVersion: 3.7\n";
    assert_eq!(with(rhel, &ours, newer), ["idna", "python3-idna"]);
    // The distribution's advisories do not speak about packages of others, or about other distributions.
    let others = rpm("Fedora Project", meta);
    assert_eq!(with(rhel, &others, meta), ["idna", "python3-idna"]);
    let other = "ID=minix\nVERSION_ID=3\n";
    assert_eq!(with(other, &ours, meta), ["idna", "python3-idna"]);

    let gemspec = b"s.name = \"rack\"\ns.version = \"2\"\n".as_slice();
    let gems = "usr/lib/ruby/gems/3.3.0/specifications";
    let gem = format!("{gems}/rack-2.gemspec");
    let sum = {
        use base64::Engine;
        use sha1::Digest as _;
        base64::engine::general_purpose::STANDARD.encode(sha1::Sha1::digest(gemspec))
    };
    let database =
        format!("P:ruby-rack\nV:2-r0\nF:{gems}\nR:rack-2.gemspec\nZ:Q1{sum}\nF:lib/x\nR:a.jar\n");
    let apk = ("lib/apk/db/installed", database.as_bytes());
    let alpine = "ID=alpine\nVERSION_ID=3.20.3\n";
    // It has merged `lib` into `usr/lib`, and the list has not.
    let jar = ("usr/lib/x/a.jar", b"no jar".as_slice());
    let own = [apk, (gem.as_str(), gemspec), jar];
    assert_eq!(owned(alpine, &own), ["ruby-rack"]);
    let beside = format!("opt/{gem}");
    let all = [apk, (gem.as_str(), gemspec), (beside.as_str(), gemspec)];
    assert_eq!(owned(alpine, &all), ["ruby-rack", "rack"]);
}
