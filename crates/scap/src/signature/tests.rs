//! Streams that xmlsec1 1.2.37 signed, as they are and changed.

use super::*;

const ENVELOPED_STREAM: &str = include_str!("testdata/enveloped.xml");
const MANIFEST_STREAM: &str = include_str!("testdata/manifest.xml");
const SHA512_STREAM: &str = include_str!("testdata/rsa512.xml");

fn verdict(text: &str) -> Result<Signed, SignatureError> {
    check(text.as_bytes(), Policy::Check)
}

#[test]
fn what_xmlsec_signed_is_valid() {
    assert_eq!(verdict(ENVELOPED_STREAM), Ok(Signed::Valid(1)));
    // Two of the signature, one of its manifest.
    assert_eq!(verdict(MANIFEST_STREAM), Ok(Signed::Valid(3)));
    assert_eq!(verdict(SHA512_STREAM), Ok(Signed::Valid(2)));
}

#[test]
fn what_was_changed_is_invalid() {
    for stream in [ENVELOPED_STREAM, MANIFEST_STREAM, SHA512_STREAM] {
        for (from, to) in [
            ("selected=\"true\"", "selected=\"false\""),
            ("<title>x</title>", "<title>y</title>"),
            ("use-case=\"OTHER\"", "use-case=\"OTHER\" x=\"1\""),
            ("<DigestValue>", "<DigestValue>AAAA"),
            ("<SignatureValue>", "<SignatureValue>AAAA"),
            ("</SignedInfo>", " </SignedInfo>"),
        ] {
            assert!(stream.contains(from), "{from}");
            let changed = verdict(&stream.replacen(from, to, 1));
            assert!(
                matches!(changed, Err(SignatureError::Invalid(_))),
                "{from}: {changed:?}"
            );
        }
    }
    let twice = "<ds:component id=\"scap_org.example_comp_b\"/>\n<Signature";
    let changed = verdict(&MANIFEST_STREAM.replacen("<Signature", twice, 1));
    assert!(matches!(changed, Err(SignatureError::Invalid(_))));
    // The manifest is signed, so its digests are.
    let place = MANIFEST_STREAM.rfind("<DigestValue>").unwrap();
    let mut changed = MANIFEST_STREAM.to_owned();
    changed.insert_str(place + 13, "AAAA");
    assert!(matches!(verdict(&changed), Err(SignatureError::Invalid(_))));
}

#[test]
fn the_same_in_other_words_stays_valid() {
    let comment = ENVELOPED_STREAM.replacen("<!-- a comment -->", "<!-- other -->", 1);
    assert_eq!(verdict(&comment), Ok(Signed::Valid(1)));
    let quoted = ENVELOPED_STREAM.replacen("selected=\"true\"", "selected = 'true'", 1);
    assert_eq!(verdict(&quoted), Ok(Signed::Valid(1)));
    let lines = ENVELOPED_STREAM.replace('\n', "\r\n");
    assert_eq!(verdict(&lines), Ok(Signed::Valid(1)));
}

#[test]
fn what_cannot_be_told_is_an_error() {
    for (from, to) in [
        ("xmldsig-more#rsa-sha256", "xmldsig-more#rsa-ripemd160"),
        ("KeyValue", "KeyOther"),
        (
            "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
            "http://www.w3.org/TR/1999/REC-xslt-19991116",
        ),
    ] {
        let changed = verdict(&ENVELOPED_STREAM.replace(from, to));
        // A changed transform is seen by the signature's value first.
        assert!(changed.is_err(), "{from}: {changed:?}");
    }
    let changed = verdict(&ENVELOPED_STREAM.replace("KeyValue", "KeyOther"));
    assert!(matches!(changed, Err(SignatureError::Unknown(_))));
}

#[test]
fn policies() {
    let plain = b"<data-stream-collection/>";
    let broken = ENVELOPED_STREAM.replacen("<title>x", "<title>y", 1);
    assert_eq!(check(plain, Policy::Check), Ok(Signed::No));
    assert_eq!(check(plain, Policy::Enforce), Err(SignatureError::Missing));
    assert_eq!(check(broken.as_bytes(), Policy::Skip), Ok(Signed::No));
    assert!(check(broken.as_bytes(), Policy::Enforce).is_err());
}

#[test]
fn any_bytes_end() {
    for length in (0..MANIFEST_STREAM.len()).filter(|at| MANIFEST_STREAM.is_char_boundary(*at)) {
        let _ = verdict(&MANIFEST_STREAM[..length]);
    }
    let bytes = MANIFEST_STREAM.as_bytes();
    for at in (0..bytes.len()).step_by(3) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 0x15;
        let _ = check(&changed, Policy::Check);
    }
}
