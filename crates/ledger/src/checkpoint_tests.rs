//! Tests of `checkpoint`.

use super::*;
use crate::sample;
use proptest::prelude::*;

fn head() -> TreeHead {
    TreeHead {
        size: 20_852_163,
        root: Hash::from_base64("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=").unwrap(),
    }
}

/// The example of the C2SP tlog-checkpoint specification (its key is not given).
#[test]
fn specification_example() {
    let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
    assert_eq!(
        Checkpoint::read_unverified(note.as_bytes()),
        Ok(Checkpoint::new("example.com/behind-the-sofa", head()))
    );
}

#[test]
fn only_the_log_itself_is_believed() {
    let note = sample::sign(head());
    let key = sample::verifier();
    let read = Checkpoint::open_only(note.as_bytes(), &key);
    assert_eq!(read, Ok(Checkpoint::new(sample::ORIGIN, head())));
    // A good signature, under another name than the origin's.
    let pair = sample::pair(1);
    let signer = NoteSigner::new("other.example", &pair).unwrap();
    let text = Checkpoint::new(sample::ORIGIN, head()).to_string();
    let note = signer.sign(&text).unwrap().to_string();
    insta::assert_snapshot!(
        Checkpoint::open(note.as_bytes(), signer.verifier()).unwrap_err(),
        @r#"the checkpoint is of "bartizan.example/default", the key is of "other.example""#
    );
    insta::assert_snapshot!(
        Checkpoint::open(note.as_bytes(), &key).unwrap_err(),
        @"no signature by bartizan.example/default"
    );
    let sign = Checkpoint::new(sample::ORIGIN, head()).sign(&signer);
    assert!(matches!(sign, Err(CheckpointError::Origin { .. })));
}

#[test]
fn malformed_texts_name_their_line() {
    let root = head().root.base64();
    let read = |text: String| Checkpoint::parse(&text).unwrap_err().to_string();
    insta::assert_snapshot!(read("o".to_owned()), @"not a checkpoint: line 1: no final newline");
    insta::assert_snapshot!(read(format!("\n1\n{root}\n")), @"not a checkpoint: line 1: an empty line");
    insta::assert_snapshot!(read(format!("o\n01\n{root}\n")), @"not a checkpoint: line 2: not a decimal tree size");
    insta::assert_snapshot!(read(format!("o\n+1\n{root}\n")), @"not a checkpoint: line 2: not a decimal tree size");
    insta::assert_snapshot!(read(format!("o\n18446744073709551616\n{root}\n")), @"not a checkpoint: line 2: not a decimal tree size");
    insta::assert_snapshot!(read("o\n1\nAAAA\n".to_owned()), @"not a checkpoint: line 3: not the base64 of a SHA-256 hash");
    insta::assert_snapshot!(read(format!("o\n0\n{root}\n")), @"not a checkpoint: line 3: not the root of the empty tree");
    insta::assert_snapshot!(read(format!("o\n1\n{root}\n\nx\n")), @"not a checkpoint: line 4: an empty line");
}

#[test]
fn what_would_not_read_back_is_not_signed() {
    let pair = sample::pair(7);
    let signer = NoteSigner::new(sample::ORIGIN, &pair).unwrap();
    let mut checkpoint = Checkpoint::new(sample::ORIGIN, head());
    checkpoint.extensions.push("a\nb".to_owned());
    assert!(checkpoint.sign(&signer).is_err());
    checkpoint.extensions = vec![String::new()];
    assert!(checkpoint.sign(&signer).is_err());
}

proptest! {
    #[test]
    fn texts_round_trip(size: u64, root: [u8; 32], extensions in prop::collection::vec("[!-~é]{1,9}", 0..3)) {
        let checkpoint = Checkpoint {
            extensions,
            ..Checkpoint::new("log.example", TreeHead { size: size.max(1), root: Hash(root) })
        };
        prop_assert_eq!(Checkpoint::parse(&checkpoint.to_string()), Ok(checkpoint));
    }
}
