//! Entry points for fuzzers: each takes any bytes and must not panic.

use crate::legacy::Annotations;
use crate::oci::Manifest;
use crate::trust::{Identity, PublicKey, Trust};
use crate::verify::{Demand, Log, Piece, Signer, verify};
use crate::{Policies, Reference};
use bartizan_model::Digest;
use serde_json::Value;

/// A signature in each of its forms: the bytes are the bundle, the envelope, the payload, and
/// every annotation.
pub fn piece(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let own = Some(text);
    let annotations = Annotations {
        signature: Some("AAAA".into()),
        certificate: own.clone(),
        chain: own.clone(),
        bundle: own.clone(),
        timestamp: own,
    };
    let origin = String::new();
    let pieces = [
        Piece::Bundle {
            origin: origin.clone(),
            bytes: bytes.to_vec(),
        },
        Piece::Envelope {
            origin: origin.clone(),
            envelope: bytes.to_vec(),
            annotations: Annotations::default(),
        },
        Piece::Simple {
            origin,
            payload: bytes.to_vec(),
            annotations,
        },
    ];
    let image = Digest::of(bytes);
    let Ok(identity) = Identity::new("", ".*", "", ".*") else {
        return;
    };
    let trust = Trust::none().ok();
    for piece in &pieces {
        for log in [Log::Ignored, Log::Required, Log::Stamped] {
            let demand = Demand {
                signer: Signer::Keyless(vec![identity.clone()]),
                log,
                sct: true,
            };
            assert!(verify(piece, &image, &demand, trust.as_ref()).is_err());
        }
    }
}

/// What is trusted: a trusted root, a public key, a name of an image.
pub fn trust(bytes: &[u8]) {
    let _ = Trust::from_json(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = PublicKey::from_pem(text);
        if let Ok(reference) = Reference::parse(text) {
            let again = Reference::parse(&reference.to_string());
            assert_eq!(again.as_ref(), Ok(&reference));
        }
    }
}

/// Manifests, and policies as objects.
pub fn manifest(bytes: &[u8]) {
    let _ = Manifest::read(bytes);
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        let _ = Policies::read(&[&value], None);
    }
}
