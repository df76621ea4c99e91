//! The key that a signature names, and what it says of the signed bytes.

use super::base64;
use crate::xml::Element;
use aws_lc_rs::signature::{
    self as lc, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

/// A digest's algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// A signature's algorithm by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Rsa(Hash),
    Ecdsa(Hash),
}

impl Algorithm {
    pub fn named(name: &str) -> Option<Self> {
        let kind = name.strip_prefix("http://www.w3.org/2001/04/xmldsig-more#")?;
        let (kind, hash) = kind.split_once('-')?;
        let hash = match hash {
            "sha256" => Hash::Sha256,
            "sha384" => Hash::Sha384,
            "sha512" => Hash::Sha512,
            _ => return None,
        };
        match kind {
            "rsa" => Some(Self::Rsa(hash)),
            "ecdsa" => Some(Self::Ecdsa(hash)),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
    P521,
}

/// A public key.
#[derive(Debug)]
pub enum Key {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// A point, uncompressed.
    Point(Curve, Vec<u8>),
}

const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

impl Key {
    /// The first key of a `KeyInfo` that can be used.
    pub fn of(info: &Element) -> Option<Self> {
        info.elements().find_map(|one| match &*one.name {
            "KeyValue" => one.elements().find_map(Self::value),
            "X509Data" => one
                .named("X509Certificate")
                .find_map(|text| certificate(&base64(&text.text())?)),
            "DEREncodedKeyValue" => public(&mut Der(&base64(&one.text())?)),
            _ => None,
        })
    }

    fn value(value: &Element) -> Option<Self> {
        let number = |name| base64(&value.child(name)?.text());
        match &*value.name {
            "RSAKeyValue" => Some(Self::Rsa {
                modulus: number("Modulus")?,
                exponent: number("Exponent")?,
            }),
            "ECKeyValue" => {
                let curve = match value.child("NamedCurve")?.attribute("URI")? {
                    "urn:oid:1.2.840.10045.3.1.7" => Curve::P256,
                    "urn:oid:1.3.132.0.34" => Curve::P384,
                    "urn:oid:1.3.132.0.35" => Curve::P521,
                    _ => return None,
                };
                Some(Self::Point(curve, number("PublicKey")?))
            }
            _ => None,
        }
    }

    /// Whether the key made this signature; an error where it cannot be told.
    pub fn verifies(
        &self,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<bool, String> {
        match (self, algorithm) {
            (Self::Rsa { modulus, exponent }, Algorithm::Rsa(hash)) => {
                let trimmed = |number: &[u8]| {
                    let zeros = number.iter().take_while(|byte| **byte == 0).count();
                    number.get(zeros..).unwrap_or_default().to_vec()
                };
                let (n, e) = (trimmed(modulus), trimmed(exponent));
                // Who signed is not known, so a short key is as good as a long one.
                let (least, parameters) = match hash {
                    Hash::Sha256 => (1024, &lc::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
                    Hash::Sha384 => (2048, &lc::RSA_PKCS1_2048_8192_SHA384),
                    Hash::Sha512 => (1024, &lc::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY),
                };
                let bits = n.len() * 8;
                if !(least..=8192).contains(&bits) {
                    return Err(format!("an RSA key of about {bits} bits"));
                }
                let key = RsaPublicKeyComponents { n, e };
                Ok(key.verify(parameters, signed, signature).is_ok())
            }
            (Self::Point(curve, point), Algorithm::Ecdsa(hash)) => {
                let parameters: &'static dyn VerificationAlgorithm = match (curve, hash) {
                    (Curve::P256, Hash::Sha256) => &lc::ECDSA_P256_SHA256_FIXED,
                    (Curve::P384, Hash::Sha384) => &lc::ECDSA_P384_SHA384_FIXED,
                    (Curve::P521, Hash::Sha512) => &lc::ECDSA_P521_SHA512_FIXED,
                    _ => return Err(format!("a key of {curve:?} with {hash:?}")),
                };
                let key = UnparsedPublicKey::new(parameters, point);
                Ok(key.verify(signed, signature).is_ok())
            }
            _ => Err("the key is of another kind than the signature".into()),
        }
    }
}

/// DER, element by element.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element's tag and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, mut rest) = rest.split_first()?;
        let mut length = usize::from(*first);
        if *first >= 0x80 {
            let count = usize::from(first & 0x7f);
            let (bytes, behind) = rest.split_at_checked(count).filter(|_| count <= 4)?;
            length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            rest = behind;
        }
        let (content, behind) = rest.split_at_checked(length)?;
        self.0 = behind;
        Some((*tag, content))
    }

    fn of(&mut self, tag: u8) -> Option<Der<'a>> {
        let (found, content) = self.next()?;
        (found == tag).then_some(Der(content))
    }
}

const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// `[0]`, which holds a certificate's version.
const VERSION: u8 = 0xa0;

/// The key of a certificate, of which nothing else is looked at.
fn certificate(bytes: &[u8]) -> Option<Key> {
    let mut body = Der(bytes).of(SEQUENCE)?.of(SEQUENCE)?;
    if body.0.first() == Some(&VERSION) {
        body.next()?;
    }
    // Serial number, algorithm, issuer, validity, subject.
    for _ in 0..5 {
        body.next()?;
    }
    public(&mut body)
}

/// A `SubjectPublicKeyInfo`.
fn public(from: &mut Der<'_>) -> Option<Key> {
    let mut info = from.of(SEQUENCE)?;
    let mut algorithm = info.of(SEQUENCE)?;
    let kind = algorithm.of(OBJECT)?.0;
    // The first byte says how many bits of the last are not used.
    let bits = info.of(BITS)?.0.strip_prefix(&[0])?;
    if kind == RSA {
        let mut key = Der(bits).of(SEQUENCE)?;
        return Some(Key::Rsa {
            modulus: key.of(INTEGER)?.0.to_vec(),
            exponent: key.of(INTEGER)?.0.to_vec(),
        });
    }
    if kind != EC {
        return None;
    }
    let curve = match algorithm.of(OBJECT)?.0 {
        curve if curve == P256 => Curve::P256,
        curve if curve == P384 => Curve::P384,
        curve if curve == P521 => Curve::P521,
        _ => return None,
    };
    Some(Key::Point(curve, bits.to_vec()))
}
