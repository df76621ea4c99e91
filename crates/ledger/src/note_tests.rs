//! Tests of `note`.

use super::*;
use crate::sample;
use proptest::prelude::*;

/// The example of the C2SP signed-note specification.
const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const NOTE: &str = "This is an example message.\n\n— example.com/foo \
    Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

#[test]
fn specification_example() {
    let key: VerifierKey = KEY.parse().unwrap();
    assert_eq!((key.to_string().as_str(), key.key_id()), (KEY, 0x530d_903a));
    let note = SignedNote::parse(NOTE.as_bytes()).unwrap();
    assert_eq!(note.text, "This is an example message.\n");
    assert_eq!(note.verify(&key), Ok(()));
    assert_eq!(note.verify_only(&key), Ok(()));
    assert_eq!(note.to_string(), NOTE);
}

#[test]
fn every_flipped_bit_is_refused() {
    let key: VerifierKey = KEY.parse().unwrap();
    for at in 0..NOTE.len() * 8 {
        let mut bytes = NOTE.as_bytes().to_vec();
        bytes[at / 8] ^= 1 << (at % 8);
        let read = SignedNote::parse(&bytes).and_then(|note| note.verify(&key));
        assert!(read.is_err(), "bit {at}");
    }
}

#[test]
fn every_flipped_bit_of_a_key_is_refused_or_another_key() {
    let key: VerifierKey = KEY.parse().unwrap();
    for at in 0..KEY.len() * 8 {
        let mut bytes = KEY.as_bytes().to_vec();
        bytes[at / 8] ^= 1 << (at % 8);
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(other) = text.parse::<VerifierKey>()
        {
            assert_ne!(other, key, "bit {at}");
            panic!("the key id does not notice bit {at}");
        }
    }
}

#[test]
fn other_signatures_are_ignored_unless_forbidden() {
    let key: VerifierKey = KEY.parse().unwrap();
    let (pair, stranger) = (sample::pair(1), sample::pair(2));
    let witness = NoteSigner::new("witness.example", &pair).unwrap();
    let mut note = SignedNote::parse(NOTE.as_bytes()).unwrap();
    let other = witness.sign(&note.text).unwrap().signatures;
    note.signatures.extend(other);
    let note = SignedNote::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(note.verify(&key), Ok(()));
    assert_eq!(note.verify(witness.verifier()), Ok(()));
    assert_eq!(
        note.verify_only(&key),
        Err(NoteError::UnknownSignature {
            line: 4,
            name: "witness.example".to_owned()
        })
    );
    // The right name with another key is somebody else; the right id with a bad signature is
    // a forgery.
    let stranger = NoteSigner::new("witness.example", &stranger).unwrap();
    assert_eq!(
        note.verify(stranger.verifier()),
        Err(NoteError::NotSigned("witness.example".to_owned()))
    );
    let mut forged = note;
    forged.text.insert(0, '!');
    assert_eq!(
        forged.verify(&key),
        Err(NoteError::BadSignature("example.com/foo".to_owned()))
    );
}

#[test]
fn malformed_notes_name_their_line() {
    let read = |text: &str| SignedNote::parse(text.as_bytes()).unwrap_err().to_string();
    insta::assert_snapshot!(read("text\n"), @"not a signed note: line 0: no blank line before the signatures");
    insta::assert_snapshot!(read("text\n\n"), @"not a signed note: line 3: no signature");
    insta::assert_snapshot!(read("a\tb\n\n— x AAAAAAA=\n"), @"not a signed note: line 1: a control character, or no final newline");
    insta::assert_snapshot!(read("text\n\n— x AAAAAAA=\n- y AAAAAAA=\n"), @"not a signed note: line 4: not an em dash, a key name and a base64 signature");
    insta::assert_snapshot!(read("text\n\n— x+ AAAAAAA=\n"), @"not a signed note: line 3: not an em dash, a key name and a base64 signature");
    insta::assert_snapshot!(read("text\n\n— x AAAA\n"), @"not a signed note: line 3: not an em dash, a key name and a base64 signature");
    let many = format!("text\n\n{}", "— x AAAAAAA=\n".repeat(33));
    insta::assert_snapshot!(read(&many), @"not a signed note: line 35: too many signatures");
    assert!(SignedNote::parse(many.replacen("— x AAAAAAA=\n", "", 1).as_bytes()).is_ok());
    let not_utf8 = SignedNote::parse(b"a\n\xff\n\n").unwrap_err().to_string();
    insta::assert_snapshot!(not_utf8, @"not a signed note: line 2: not UTF-8");
    let long = "x".repeat(MAX_NOTE) + "\n";
    insta::assert_snapshot!(read(&long), @"not a signed note: line 0: longer than 64 KiB");
}

#[test]
fn bad_keys_and_texts() {
    for text in [
        "",
        "a",
        "a+b",
        "+530d903a+AA",
        &KEY.replace("530d", "530D"),
        &KEY[1..],
    ] {
        assert!(text.parse::<VerifierKey>().is_err(), "{text}");
    }
    let pair = sample::pair(1);
    assert!(NoteSigner::new("with space", &pair).is_err());
    let signer = NoteSigner::new("a", &pair).unwrap();
    assert!(signer.sign("no newline").is_err());
    assert!(signer.sign("bell\u{7}\n").is_err());
    insta::assert_snapshot!(format!("{signer:?}"), @"NoteSigner(a+08942d87+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c)");
}

proptest! {
    #[test]
    fn what_is_signed_reads_back(text in "[ -~\u{a0}-\u{2fff}\n]{0,60}", seed: u8) {
        let text = text + "\n";
        let pair = sample::pair(seed);
        let signer = NoteSigner::new("log.example/é", &pair).unwrap();
        let note = signer.sign(&text).unwrap();
        let back = SignedNote::parse(note.to_string().as_bytes()).unwrap();
        prop_assert_eq!(back.verify_only(signer.verifier()), Ok(()));
        prop_assert_eq!(back, note);
    }

    #[test]
    fn verifier_keys_round_trip(public: [u8; 32], name in "[a-z/.]{1,20}") {
        let key = VerifierKey::new(&name, public).unwrap();
        prop_assert_eq!(key.to_string().parse(), Ok(key));
    }
}
