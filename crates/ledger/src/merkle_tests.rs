//! Tests of `merkle`, with `ct-merkle` as the oracle.

use super::*;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use std::convert::Infallible;

/// Leaves in memory.
struct Leaves(Vec<Hash>);

impl Nodes for Leaves {
    type Error = Infallible;
    fn node(&mut self, level: u32, index: u64) -> Result<Hash, Infallible> {
        let from = usize::try_from(index << level).unwrap();
        Ok(root_of(&self.0[from..from + (1 << level)]))
    }
}

#[derive(Debug, PartialEq)]
struct Failed;
impl From<Infallible> for Failed {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
impl From<ProofError> for Failed {
    fn from(_: ProofError) -> Self {
        Self
    }
}

fn leaf(i: u64) -> Hash {
    Hash::leaf(&i.to_be_bytes())
}

fn leaves(size: u64) -> Leaves {
    Leaves((0..size).map(leaf).collect())
}

fn head(leaves: &mut Leaves, size: u64) -> TreeHead {
    let root = root_at(leaves, size).unwrap();
    TreeHead { size, root }
}

fn bytes(path: &[Hash]) -> Vec<u8> {
    path.iter().flat_map(|h| h.0).collect()
}

/// The eight leaves and roots that RFC 6962 implementations share (certificate-transparency).
#[test]
fn rfc_6962_vectors() {
    let leaves: Vec<Hash> = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    .iter()
    .map(|entry| Hash::leaf(&hex::decode(entry).unwrap()))
    .collect();
    let roots: Vec<String> = (0..=8).map(|n| root_of(&leaves[..n]).hex()).collect();
    assert_eq!(
        roots,
        [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ]
    );
}

/// The proofs of RFC 6962 section 2.1.3, in its own names: a to g are leaves, 0 to 6 of them.
#[test]
fn rfc_6962_example_proofs() {
    let names = |ranges: Vec<(u64, u64)>| -> String {
        let name = |range| match range {
            (0, 1) => 'a',
            (1, 2) => 'b',
            (2, 3) => 'c',
            (3, 4) => 'd',
            (6, 7) => 'j',
            (0, 2) => 'g',
            (2, 4) => 'h',
            (4, 6) => 'i',
            (0, 4) => 'k',
            (4, 7) => 'l',
            _ => '?',
        };
        ranges.into_iter().map(name).collect()
    };
    assert_eq!(names(inclusion_ranges(0, 7).unwrap()), "bhl");
    assert_eq!(names(inclusion_ranges(3, 7).unwrap()), "cgl");
    assert_eq!(names(inclusion_ranges(4, 7).unwrap()).len(), 3);
    assert_eq!(names(inclusion_ranges(6, 7).unwrap()), "ik");
    assert_eq!(names(consistency_ranges(3, 7).unwrap()), "cdgl");
    assert_eq!(names(consistency_ranges(4, 7).unwrap()), "l");
    assert_eq!(names(consistency_ranges(6, 7).unwrap()), "ijk");
}

#[test]
fn oracle_agrees_at_every_size() {
    const MAX: u64 = 1100;
    let mut ours = leaves(MAX);
    let mut oracle = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    for size in 0..=MAX {
        let head = head(&mut ours, size);
        assert_eq!(head.root.0, **oracle.root().as_bytes(), "root at {size}");
        let near = [0, 1, 254, 255, 256, 257, 511, 512, 513, 1023, 1024];
        let picked = near.into_iter().chain([size / 2, size / 3]);
        for index in picked.chain(size.checked_sub(1)).filter(|i| *i < size) {
            let path: Result<_, Failed> = prove_inclusion(&mut ours, index, size);
            let path = path.unwrap();
            let theirs = oracle.prove_inclusion(usize::try_from(index).unwrap());
            assert_eq!(bytes(&path), theirs.as_bytes(), "{index} in {size}");
            assert_eq!(verify_inclusion(&leaf(index), index, &head, &path), Ok(()));
        }
        let picked = near
            .into_iter()
            .chain([2, 3, 128, size / 2, size / 3, size]);
        for old in picked.filter(|old| *old > 0 && *old <= size) {
            let path: Result<_, Failed> = prove_consistency(&mut ours, old, size);
            let path = path.unwrap();
            let theirs = oracle.prove_consistency(usize::try_from(size - old).unwrap());
            assert_eq!(bytes(&path), theirs.as_bytes(), "{old} to {size}");
            let old = self::head(&mut ours, old);
            assert_eq!(verify_consistency(&old, &head, &path), Ok(()));
        }
        oracle.push(size.to_be_bytes().to_vec());
    }
}

#[test]
fn impossible_numbers_are_refused() {
    assert_eq!(
        inclusion_ranges(7, 7),
        Err(ProofError::IndexOutside { index: 7, size: 7 })
    );
    assert_eq!(
        consistency_ranges(8, 7),
        Err(ProofError::Shrinks { old: 8, new: 7 })
    );
    // The greatest sizes neither overflow nor loop.
    assert_eq!(inclusion_ranges(u64::MAX - 1, u64::MAX).unwrap().len(), 63);
    assert_eq!(inclusion_ranges(0, u64::MAX).unwrap().len(), 64);
    assert!(consistency_ranges(u64::MAX - 1, u64::MAX).unwrap().len() < 130);
}

proptest! {
    #[test]
    fn hash_texts_round_trip(raw: [u8; 32]) {
        let hash = Hash(raw);
        prop_assert_eq!(Hash::from_hex(&hash.hex()), Some(hash));
        prop_assert_eq!(Hash::from_base64(&hash.base64()), Some(hash));
    }

    #[test]
    fn altered_inclusion_proofs_fail(size in 1_u64..700, pick: u64, flip: usize) {
        let mut tree = leaves(size);
        let index = pick % size;
        let head = head(&mut tree, size);
        let path: Result<Vec<Hash>, Failed> = prove_inclusion(&mut tree, index, size);
        let path = path.unwrap();
        let verify = |leaf: &Hash, index, path: &[Hash]| verify_inclusion(leaf, index, &head, path);
        prop_assert_eq!(verify(&leaf(index), index, &path), Ok(()));
        prop_assert!(verify(&leaf(size), index, &path).is_err());
        prop_assert!(verify(&leaf(index), (index + 1) % (size + 1), &path).is_err());
        if !path.is_empty() {
            let mut bad = path.clone();
            let at = flip % (path.len() * 256);
            bad[at / 256].0[at % 256 / 8] ^= 1 << (at % 8);
            prop_assert!(verify(&leaf(index), index, &bad).is_err());
            prop_assert!(verify(&leaf(index), index, &path[1..]).is_err());
        }
        let mut long = path;
        long.push(leaf(0));
        prop_assert!(verify(&leaf(index), index, &long).is_err());
    }

    #[test]
    fn altered_consistency_proofs_fail(old in 1_u64..700, more in 1_u64..300, flip: usize) {
        let new = old + more;
        let mut tree = leaves(new);
        let (a, b) = (head(&mut tree, old), head(&mut tree, new));
        let path: Result<Vec<Hash>, Failed> = prove_consistency(&mut tree, old, new);
        let path = path.unwrap();
        prop_assert_eq!(verify_consistency(&a, &b, &path), Ok(()));
        let mut bad = path.clone();
        let at = flip % (path.len() * 256);
        bad[at / 256].0[at % 256 / 8] ^= 1 << (at % 8);
        prop_assert!(verify_consistency(&a, &b, &bad).is_err());
        let mut other = a;
        other.root.0[flip % 32] ^= 1;
        prop_assert!(verify_consistency(&other, &b, &path).is_err());
        let mut other = b;
        other.root.0[flip % 32] ^= 1;
        prop_assert!(verify_consistency(&a, &other, &path).is_err());
    }
}
