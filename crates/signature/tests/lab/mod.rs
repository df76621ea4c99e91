//! A Sigstore of our own, made anew for each test: an authority, a log, signers, a registry.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test uses a part"
)]

use bartizan_model::Digest;
use bartizan_signature::{Absent, Annotations, Material, Piece, Reference, Trust};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SigningKey as _, date_time_ymd,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// When everything is signed: 2026-03-01T12:00:00Z.
pub const THEN: i64 = 1_772_366_400;
pub const ISSUER: &str = "https://issuer.example";
pub const SUBJECT: &str = "dev@example.org";

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub fn sha(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

pub fn key(algorithm: &'static rcgen::SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).unwrap()
}

pub fn p256() -> KeyPair {
    key(&rcgen::PKCS_ECDSA_P256_SHA256)
}

fn later(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}

/// An authority and a log.
pub struct Lab {
    authority: Issuer<'static, KeyPair>,
    root: Vec<u8>,
    pub log: KeyPair,
}

/// A key with a certificate of the authority.
pub struct Signer {
    pub key: KeyPair,
    pub pem: String,
    pub der: Vec<u8>,
}

impl Lab {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "lab");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2035, 1, 1);
        let key = p256();
        let root = params.self_signed(&key).unwrap().der().to_vec();
        Self {
            authority: Issuer::new(params, key),
            root,
            log: p256(),
        }
    }

    /// A certificate of ten minutes around the signing.
    pub fn signer(&self) -> Signer {
        self.signer_of(SUBJECT, ISSUER, THEN - 300, THEN + 300)
    }

    pub fn signer_of(&self, subject: &str, issuer: &str, from: i64, to: i64) -> Signer {
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(1970, 1, 1) + later(from);
        params.not_after = date_time_ymd(1970, 1, 1) + later(to);
        params.subject_alt_names = vec![SanType::Rfc822Name(subject.try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let mut text = vec![0x0c, issuer.len() as u8];
        text.extend(issuer.as_bytes());
        let oid = [1, 3, 6, 1, 4, 1, 57264, 1, 8];
        params.custom_extensions = vec![CustomExtension::from_oid_content(&oid, text)];
        let key = p256();
        let made = params.signed_by(&key, &self.authority).unwrap();
        Signer {
            pem: made.pem(),
            der: made.der().to_vec(),
            key,
        }
    }

    pub fn log_id(&self) -> Vec<u8> {
        sha(&self.log.subject_public_key_info())
    }

    pub fn root_json(&self) -> Value {
        let always = json!({"start": "2024-01-01T00:00:00Z"});
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{
                "baseUrl": "https://log.example", "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": base64(&self.log.subject_public_key_info()),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": always
                },
                "logId": {"keyId": base64(&self.log_id())}
            }],
            "certificateAuthorities": [{
                "uri": "https://ca.example",
                "certChain": {"certificates": [{"rawBytes": base64(&self.root)}]},
                "validFor": always
            }]
        })
    }

    pub fn trust(&self) -> Trust {
        Trust::from_json(self.root_json().to_string().as_bytes()).unwrap()
    }

    /// A TrustRoot object with the same.
    pub fn trust_root(&self, name: &str) -> Value {
        let pem = |tag: &str, der: &[u8]| {
            base64(
                format!(
                    "-----BEGIN {tag}-----\n{}\n-----END {tag}-----\n",
                    base64(der)
                )
                .as_bytes(),
            )
        };
        json!({
            "apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot",
            "metadata": {"name": name},
            "spec": {"sigstoreKeys": {
                "certificateAuthorities": [{
                    "subject": {"organization": "lab", "commonName": "lab"},
                    "uri": "https://ca.example", "certChain": pem("CERTIFICATE", &self.root)
                }],
                "tLogs": [{
                    "baseURL": "https://log.example", "hashAlgorithm": "sha-256",
                    "publicKey": pem("PUBLIC KEY", &self.log.subject_public_key_info())
                }]
            }}
        })
    }

    /// The log's promise of a body, as cosign's annotation.
    pub fn promise(&self, body: &Value, time: i64) -> Value {
        let body = base64(body.to_string().as_bytes());
        let id = hex::encode(self.log_id());
        let signed =
            format!(r#"{{"body":"{body}","integratedTime":{time},"logID":"{id}","logIndex":7}}"#);
        json!({
            "SignedEntryTimestamp": base64(&self.log.sign(signed.as_bytes()).unwrap()),
            "Payload": {"body": body, "integratedTime": time, "logIndex": 7, "logID": id}
        })
    }

    /// An entry of a bundle, proven by a tree of one leaf.
    pub fn entry(&self, body: &Value, time: i64) -> Value {
        let promise = self.promise(body, time);
        let text = body.to_string();
        let mut leaf = vec![0];
        leaf.extend(text.as_bytes());
        let root = base64(&sha(&leaf));
        let note = format!("log.example\n1\n{root}\n");
        let mut signature = self.log_id()[..4].to_vec();
        signature.extend(self.log.sign(note.as_bytes()).unwrap());
        let note = format!("{note}\n\u{2014} log.example {}\n", base64(&signature));
        json!({
            "logIndex": "7", "logId": {"keyId": base64(&self.log_id())},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "integratedTime": time.to_string(),
            "inclusionPromise": {"signedEntryTimestamp": promise["SignedEntryTimestamp"]},
            "inclusionProof": {
                "logIndex": "0", "rootHash": root, "treeSize": "1", "hashes": [],
                "checkpoint": {"envelope": note}
            },
            "canonicalizedBody": base64(text.as_bytes())
        })
    }
}

/// The log's body of a mere signature; `verifier` is PEM of a key or certificate.
pub fn hashedrekord(payload: &[u8], signature: &[u8], verifier: &str) -> Value {
    json!({
        "apiVersion": "0.0.1", "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hex::encode(sha(payload))}},
            "signature": {
                "content": base64(signature), "publicKey": {"content": base64(verifier.as_bytes())}
            }
        }
    })
}

/// The log's body of an envelope.
pub fn dsse_entry(payload: &[u8], signature: &[u8], verifier: &str) -> Value {
    json!({
        "apiVersion": "0.0.1", "kind": "dsse",
        "spec": {
            "envelopeHash": {"algorithm": "sha256", "value": hex::encode(sha(b"envelope"))},
            "payloadHash": {"algorithm": "sha256", "value": hex::encode(sha(payload))},
            "signatures": [{
                "signature": base64(signature), "verifier": base64(verifier.as_bytes())
            }]
        }
    })
}

/// What cosign signs of an image.
pub fn payload(digest: &Digest) -> Vec<u8> {
    json!({
        "critical": {
            "identity": {"docker-reference": "registry.example/app"},
            "image": {"docker-manifest-digest": digest.as_str()},
            "type": "cosign container image signature"
        },
        "optional": null
    })
    .to_string()
    .into_bytes()
}

pub fn statement(digest: &Digest, predicate_type: &str, predicate: Value) -> Vec<u8> {
    let hex = digest.as_str().trim_start_matches("sha256:");
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "registry.example/app", "digest": {"sha256": hex}}],
        "predicateType": predicate_type, "predicate": predicate
    })
    .to_string()
    .into_bytes()
}

const TYPE: &str = "application/vnd.in-toto+json";

/// An envelope and its signature.
pub fn envelope(payload: &[u8], key: &KeyPair) -> (Value, Vec<u8>) {
    let mut pae = format!("DSSEv1 {} {TYPE} {} ", TYPE.len(), payload.len()).into_bytes();
    pae.extend(payload);
    let signature = key.sign(&pae).unwrap();
    let envelope = json!({
        "payloadType": TYPE, "payload": base64(payload),
        "signatures": [{"keyid": "", "sig": base64(&signature)}]
    });
    (envelope, signature)
}

pub fn simple(payload: Vec<u8>, annotations: Annotations) -> Piece {
    Piece::Simple {
        origin: "test".into(),
        payload,
        annotations,
    }
}

/// Signed by a key, in no log.
pub fn by_key(payload: &[u8], key: &KeyPair) -> Annotations {
    Annotations {
        signature: Some(base64(&key.sign(payload).unwrap())),
        ..Annotations::default()
    }
}

/// Signed with a certificate, promised by the log at that time.
pub fn keyless(lab: &Lab, signer: &Signer, payload: &[u8], time: i64) -> Annotations {
    let signature = signer.key.sign(payload).unwrap();
    let body = hashedrekord(payload, &signature, &signer.pem);
    Annotations {
        signature: Some(base64(&signature)),
        certificate: Some(signer.pem.clone()),
        bundle: Some(lab.promise(&body, time).to_string()),
        ..Annotations::default()
    }
}

/// A bundle with an attestation, signed with a certificate.
pub fn bundle(lab: &Lab, signer: &Signer, statement: &[u8]) -> Value {
    let (envelope, signature) = envelope(statement, &signer.key);
    let body = dsse_entry(statement, &signature, &signer.pem);
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": base64(&signer.der)},
            "tlogEntries": [lab.entry(&body, THEN)]
        },
        "dsseEnvelope": envelope
    })
}

/// A registry in memory.
#[derive(Default)]
pub struct Registry {
    pub manifests: BTreeMap<String, Vec<u8>>,
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub referrers: BTreeMap<String, Vec<u8>>,
    pub down: bool,
}

pub const REPOSITORY: &str = "registry.example/app";

impl Registry {
    /// With one image, tagged `v1`.
    pub fn new() -> (Self, Digest) {
        let mut registry = Self::default();
        let image = br#"{"schemaVersion":2,"layers":[]}"#.to_vec();
        let digest = Digest::of(&image);
        registry
            .manifests
            .insert(format!("{REPOSITORY}:v1"), image.clone());
        registry
            .manifests
            .insert(format!("{REPOSITORY}@{digest}"), image);
        (registry, digest)
    }

    fn blob_of(&mut self, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        self.blobs
            .insert(digest.as_str().to_owned(), bytes.to_vec());
        json!({"digest": digest.as_str(), "size": bytes.len()})
    }

    /// Signatures as cosign's tag holds them.
    pub fn sign(&mut self, digest: &Digest, all: &[(Vec<u8>, Annotations)]) {
        let mut layers = Vec::new();
        for (payload, annotations) in all {
            let mut layer = self.blob_of(payload);
            layer["mediaType"] = "application/vnd.dev.cosign.simplesigning.v1+json".into();
            let mut notes = json!({"dev.cosignproject.cosign/signature": annotations.signature});
            if let Some(certificate) = &annotations.certificate {
                notes["dev.sigstore.cosign/certificate"] = certificate.clone().into();
            }
            if let Some(bundle) = &annotations.bundle {
                notes["dev.sigstore.cosign/bundle"] = bundle.clone().into();
            }
            layer["annotations"] = notes;
            layers.push(layer);
        }
        let hex = digest.as_str().trim_start_matches("sha256:");
        let manifest = json!({"schemaVersion": 2, "layers": layers}).to_string();
        self.manifests.insert(
            format!("{REPOSITORY}:sha256-{hex}.sig"),
            manifest.into_bytes(),
        );
    }

    /// A bundle as a referrer.
    pub fn attach(&mut self, digest: &Digest, bundle: &Value) {
        const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
        let mut layer = self.blob_of(bundle.to_string().as_bytes());
        layer["mediaType"] = BUNDLE.into();
        let manifest = json!({
            "schemaVersion": 2, "artifactType": BUNDLE, "layers": [layer],
            "subject": {"digest": digest.as_str(), "size": 1}
        });
        let bytes = manifest.to_string().into_bytes();
        let own = Digest::of(&bytes);
        self.manifests.insert(format!("{REPOSITORY}@{own}"), bytes);
        let key = digest.as_str().to_owned();
        let known = self.referrers.get(&key).cloned();
        let known = known.unwrap_or_else(|| br#"{"manifests": []}"#.to_vec());
        let mut index: Value = serde_json::from_slice(&known).unwrap();
        let one = json!({"digest": own.as_str(), "size": 1, "artifactType": BUNDLE});
        index["manifests"].as_array_mut().unwrap().push(one);
        self.referrers.insert(key, index.to_string().into_bytes());
    }

    fn up<T>(&self, found: Option<T>) -> Result<T, Absent> {
        match (self.down, found) {
            (true, _) => Err(Absent::Failed("connection refused".into())),
            (_, Some(found)) => Ok(found),
            (_, None) => Err(Absent::Missing),
        }
    }
}

impl Material for Registry {
    fn resolve(&self, image: &Reference) -> Result<Digest, Absent> {
        let found = self.manifests.get(&image.to_string());
        self.up(found.map(|bytes| Digest::of(bytes)))
    }

    fn manifest(&self, place: &Reference) -> Result<Vec<u8>, Absent> {
        self.up(self.manifests.get(&place.to_string()).cloned())
    }

    fn referrers(&self, image: &Reference) -> Result<Vec<u8>, Absent> {
        let digest = image.digest.as_ref().map(|d| d.as_str().to_owned());
        self.up(self.referrers.get(&digest.unwrap_or_default()).cloned())
    }

    fn blob(&self, _: &Reference, digest: &Digest, most: usize) -> Result<Vec<u8>, Absent> {
        match self.up(self.blobs.get(digest.as_str()).cloned())? {
            bytes if bytes.len() > most => Err(Absent::TooLarge(most)),
            bytes => Ok(bytes),
        }
    }
}
