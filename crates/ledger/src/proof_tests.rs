//! Tests of `proof`.

use super::*;
use crate::sample;
use proptest::prelude::*;

fn proof_of(index: u64) -> (TlogProof, Hash) {
    let (tiles, head) = sample::log(&[600]);
    let (salt, committed) = sample::entry(index);
    let mut extra = salt.0.to_vec();
    extra.extend_from_slice(&committed.body);
    let proof = TlogProof {
        extra: Some(extra),
        index,
        path: inclusion(&tiles, index, head.size).unwrap(),
        checkpoint: sample::sign(head),
    };
    (proof, committed.commitment.leaf())
}

#[test]
fn a_proof_file_reads_as_the_specification_has_it() {
    let (proof, leaf) = proof_of(513);
    let proof = TlogProof {
        extra: Some(b"age".to_vec()),
        ..proof
    };
    insta::assert_snapshot!(proof, @r#"
c2sp.org/tlog-proof@v1
extra YWdl
index 513
vVgJjjuBeOg0qm0y5jnm2KaE2Omk+wtkkg4Cx892KKA=
09JqaTE2dvMbo6c50GAfCZ8fUNk9xr0+HBK4XJVwzkg=
UnCCyTbUYn/wZS11OSW1FmqYr+Va4mb92BhcTXW0i6A=
F7qdkYO8vqzJpwhNGh/k4U//z2GLsmmmtry6uaFe/EU=
w69RW6IroWkECOL0K5gkSUnonSaxUBodtddr5pBCUYo=
J6j/yVWXHtIG+lPj9LZwQxgHAwimLuwYK2DdKRIFzLE=
+KZBrTSM2dWpcwNdZrsrDtRWox8mgwpKILka6c5e564=
X2eaTzC/eJctrjXLPpWzgAQFJHabvBetZ5eKBYp7LPk=

bartizan.example/default
600
uoEqczGLThYv4gBqVlecNabD7CeGOdpjjrYBUBy2Vgw=

— bartizan.example/default gi5efY/IihmEOM+ulv2+AbMV2uNUVHpgMFNUzy6M5FtpV5rBwT8RCdEi4jpIn47EWQcBnfMg5Jb9jr5bwEAJKra+uw0=
"#);
    assert_eq!(
        proof.verify(&leaf, &sample::verifier()).unwrap().head.size,
        600
    );
}

#[test]
fn every_flipped_bit_but_of_extra_is_refused() {
    let (mut proof, leaf) = proof_of(300);
    proof.extra = None;
    let text = proof.to_string();
    for at in 0..text.len() * 8 {
        let mut bytes = text.clone().into_bytes();
        bytes[at / 8] ^= 1 << (at % 8);
        let read = TlogProof::parse(&bytes).and_then(|p| p.verify(&leaf, &sample::verifier()));
        assert!(read.is_err(), "bit {at}");
    }
}

#[test]
fn another_leaf_or_key_is_refused() {
    let (proof, leaf) = proof_of(300);
    let other = sample::entry(301).1.commitment.leaf();
    insta::assert_snapshot!(
        proof.verify(&other, &sample::verifier()).unwrap_err(),
        @"the inclusion proof: the hashes do not lead to the root"
    );
    let foreign = VerifierKey::new(sample::ORIGIN, [9; 32]).unwrap();
    insta::assert_snapshot!(
        proof.verify(&leaf, &foreign).unwrap_err(),
        @"the proof's checkpoint: no signature by bartizan.example/default"
    );
}

#[test]
fn malformed_files_name_their_line() {
    let text = proof_of(3).0.to_string();
    let read = |text: String| TlogProof::parse(text.as_bytes()).unwrap_err().to_string();
    insta::assert_snapshot!(read(String::new()), @"not a proof file: line 1: the file ends too early");
    insta::assert_snapshot!(read(text.replace("@v1", "@v2")), @"not a proof file: line 1: not c2sp.org/tlog-proof@v1");
    insta::assert_snapshot!(read(text.replace("extra ", "extra !")), @"not a proof file: line 2: extra is not base64");
    insta::assert_snapshot!(read(text.replace("index 3", "index 03")), @"not a proof file: line 3: not an index");
    insta::assert_snapshot!(read(text.replace("index 3\n", "index 3\nAAAA\n")), @"not a proof file: line 4: not a base64 hash");
    let hash = Hash::empty_tree().base64() + "\n";
    insta::assert_snapshot!(read(text.replace("index 3\n", &format!("index 3\n{}", hash.repeat(64)))), @"not a proof file: line 68: more hashes than any tree has levels");
    insta::assert_snapshot!(read("x".repeat(MAX_PROOF + 1)), @"not a proof file: line 0: too long");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn files_round_trip(index in 0_u64..600, extra in prop::option::of(prop::collection::vec(any::<u8>(), 0..40))) {
        let (proof, leaf) = proof_of(index);
        let proof = TlogProof { extra, ..proof };
        let back = TlogProof::parse(proof.to_string().as_bytes()).unwrap();
        prop_assert!(back.verify(&leaf, &sample::verifier()).is_ok());
        prop_assert_eq!(back, proof);
    }
}
