//! Signatures of data streams: XML-DSig as SCAP's trust model for security automation data
//! (NIST IR 7802) uses it, and as OpenSCAP looks at it.
//!
//! It proves that the content is what was signed, not who signed it: the key is the one that
//! the signature brings along, and no certificate is checked. Of what a signature does not
//! name nothing is proven.

mod canonical;
mod key;

use crate::xml::{self, Element, Piece};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use canonical::{Method, canonical};
use key::{Algorithm, Hash, Key};
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::collections::HashMap;

const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const MANIFEST: &str = "http://www.w3.org/2000/09/xmldsig#Manifest";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// Things that one signature names; each is read for itself.
const MAX_REFERENCES: usize = 256;
/// Bytes that are made canonical for one signature.
const MAX_WORK: u64 = 8 << 30;

/// Where an element's tag begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(u64);

/// What is to be done about signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// One that is there must be right.
    #[default]
    Check,
    /// There must be one.
    Enforce,
    /// They are not looked at.
    Skip,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// There is no signature, or nobody looked.
    No,
    /// What the signature names is as it was signed; how many things those are.
    Valid(usize),
}

/// Why content is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Something was changed after it was signed, or the signature is no signature.
    #[error("the signature is invalid: {0}")]
    Invalid(String),
    /// It cannot be told.
    #[error("the signature cannot be checked: {0}")]
    Unknown(String),
    /// There is none.
    #[error("there is no signature")]
    Missing,
}

fn invalid(what: impl Into<String>) -> SignatureError {
    SignatureError::Invalid(what.into())
}

fn unknown(what: impl Into<String>) -> SignatureError {
    SignatureError::Unknown(what.into())
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(text).ok()
}

/// Looks at the signature of content, not packed.
pub fn check(bytes: &[u8], policy: Policy) -> Result<Signed, SignatureError> {
    if policy == Policy::Skip {
        return Ok(Signed::No);
    }
    match verify(bytes)? {
        None if policy == Policy::Enforce => Err(SignatureError::Missing),
        None => Ok(Signed::No),
        Some(count) => Ok(Signed::Valid(count)),
    }
}

/// How many things the first signature names; None where there is none.
fn verify(bytes: &[u8]) -> Result<Option<usize>, SignatureError> {
    // Most content has none, and this is quicker than to read it.
    let name =
        regex::bytes::Regex::new(&regex::escape(DSIG)).map_err(|e| unknown(e.to_string()))?;
    if !name.is_match(bytes) {
        return Ok(None);
    }
    let Some(signature) = tree(bytes)? else {
        return Ok(None);
    };
    let index = Index::of(bytes).map_err(unknown)?;
    let (Some(place), Some(info_place)) = (index.signature, index.info) else {
        return Err(invalid("it has no SignedInfo"));
    };
    let info = part(&signature, "SignedInfo")?;
    let method = algorithm(part(info, "CanonicalizationMethod")?)?;
    let mut canon = Method::named(&method).ok_or_else(|| unsupported(&method))?;
    canon.inclusive = prefixes(part(info, "CanonicalizationMethod")?);
    let method = algorithm(part(info, "SignatureMethod")?)?;
    let kind = Algorithm::named(&method).ok_or_else(|| unsupported(&method))?;
    let key = signature
        .child("KeyInfo")
        .and_then(Key::of)
        .ok_or_else(|| unknown("it brings no key that can be used"))?;
    let value = base64(&part(&signature, "SignatureValue")?.text())
        .ok_or_else(|| invalid("its value is no Base64"))?;
    let signed = canonical(bytes, Some(info_place), None, &canon).map_err(unknown)?;
    if !key.verifies(kind, &signed, &value).map_err(unknown)? {
        return Err(invalid("its value is not of what it signs"));
    }
    let mut references: Vec<&Element> = info.named("Reference").collect();
    // A manifest's references are looked at where the manifest is signed.
    let signed_manifests: Vec<&str> = references
        .iter()
        .filter(|one| one.attribute("Type") == Some(MANIFEST))
        .filter_map(|one| one.attribute("URI")?.strip_prefix('#'))
        .collect();
    let objects = signature.named("Object").flat_map(Element::elements);
    for manifest in objects.filter(|one| &*one.name == "Manifest") {
        let id = manifest.attribute("Id");
        if id.is_some_and(|id| signed_manifests.contains(&id)) {
            references.extend(manifest.named("Reference"));
        }
    }
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let count = u64::try_from(references.len()).unwrap_or(u64::MAX);
    if references.len() > MAX_REFERENCES || length.saturating_mul(count) > MAX_WORK {
        return Err(unknown("it names too much"));
    }
    if references.is_empty() {
        return Err(invalid("it names nothing"));
    }
    for one in &references {
        reference(bytes, &index, place, one)?;
    }
    Ok(Some(references.len()))
}

fn part<'e>(of: &'e Element, name: &str) -> Result<&'e Element, SignatureError> {
    of.child(name)
        .ok_or_else(|| invalid(format!("it has no {name}")))
}

fn algorithm(of: &Element) -> Result<String, SignatureError> {
    of.attribute("Algorithm")
        .map(str::to_owned)
        .ok_or_else(|| invalid(format!("{} has no Algorithm", of.name)))
}

fn unsupported(algorithm: &str) -> SignatureError {
    unknown(format!("{algorithm} is not supported"))
}

fn prefixes(of: &Element) -> Vec<String> {
    let list = of.child("InclusiveNamespaces");
    let list = list.and_then(|list| list.attribute("PrefixList"));
    let names = list.unwrap_or_default().split_ascii_whitespace();
    names
        .map(|name| match name {
            "#default" => String::new(),
            name => name.to_owned(),
        })
        .collect()
}

/// Whether what a reference names has the digest that it says.
fn reference(
    bytes: &[u8],
    index: &Index,
    signature: Place,
    one: &Element,
) -> Result<(), SignatureError> {
    let uri = one.attribute("URI").unwrap_or_default();
    let of = match uri.strip_prefix('#') {
        None if uri.is_empty() && one.attribute("URI").is_some() => None,
        None => {
            return Err(unknown(format!(
                "it names {uri:?}, which is not in the file"
            )));
        }
        Some(id) => match index.ids.get(id) {
            Some(Some(place)) => Some(*place),
            Some(None) => return Err(invalid(format!("{id:?} is there twice"))),
            None => return Err(invalid(format!("there is no {id:?}, which it names"))),
        },
    };
    // What a reference gives without any transform that says so.
    let mut method = Method {
        exclusive: false,
        newer: false,
        comments: false,
        inclusive: Vec::new(),
    };
    let mut without = None;
    let transforms: Vec<&Element> = one
        .child("Transforms")
        .map(|all| all.named("Transform").collect())
        .unwrap_or_default();
    for (at, transform) in transforms.iter().enumerate() {
        let name = algorithm(transform)?;
        if name == ENVELOPED {
            without = Some(signature);
        } else if let Some(named) = Method::named(&name).filter(|_| at + 1 == transforms.len()) {
            method = named;
            method.inclusive = prefixes(transform);
            // Comments are not part of what such a reference names.
            method.comments = false;
        } else {
            return Err(unsupported(&name));
        }
    }
    let name = algorithm(part(one, "DigestMethod")?)?;
    let wanted = base64(&part(one, "DigestValue")?.text());
    let bytes = canonical(bytes, of, without, &method).map_err(unknown)?;
    let digest = match digest(&name).ok_or_else(|| unsupported(&name))? {
        Hash::Sha256 => Sha256::digest(&bytes).to_vec(),
        Hash::Sha384 => Sha384::digest(&bytes).to_vec(),
        Hash::Sha512 => Sha512::digest(&bytes).to_vec(),
    };
    if wanted.as_deref() != Some(&digest) {
        let what = if uri.is_empty() { "the content" } else { uri };
        return Err(invalid(format!("{what} was changed after it was signed")));
    }
    Ok(())
}

fn digest(name: &str) -> Option<Hash> {
    match name {
        "http://www.w3.org/2001/04/xmlenc#sha256" => Some(Hash::Sha256),
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Some(Hash::Sha384),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Some(Hash::Sha512),
        _ => None,
    }
}

fn is_signature(element: &Element) -> bool {
    &*element.name == "Signature" && &*element.namespace == DSIG
}

/// The first signature of a document.
fn tree(bytes: &[u8]) -> Result<Option<Element>, SignatureError> {
    let wrong = |error: xml::XmlError| unknown(error.to_string());
    let mut stream = xml::Stream::new(bytes).map_err(wrong)?;
    loop {
        match stream.next().map_err(wrong)? {
            Piece::Start(element) if is_signature(&element) => {
                return stream.tree(element).map(Some).map_err(wrong);
            }
            Piece::Start(_) | Piece::End => {}
            Piece::Done => return Ok(None),
        }
    }
}

/// Where things are that a signature names.
#[derive(Default)]
struct Index {
    /// None: the id is there twice.
    ids: HashMap<String, Option<Place>>,
    /// The first signature, and its `SignedInfo`.
    signature: Option<Place>,
    info: Option<Place>,
}

impl Index {
    /// Ids are those of streams and components, and all within the signature.
    fn of(bytes: &[u8]) -> Result<Self, String> {
        let mut index = Self::default();
        let mut reader = NsReader::from_reader(bytes);
        reader.config_mut().expand_empty_elements = true;
        let mut depth = 0usize;
        let mut inside = None;
        loop {
            let place = Place(reader.buffer_position());
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(start) => {
                    depth += 1;
                    let (namespace, local) = reader.resolver().resolve_element(start.name());
                    let is_dsig = matches!(namespace, ResolveResult::Bound(name) if name.as_ref() == DSIG.as_bytes());
                    let local = local.as_ref();
                    if is_dsig && local == b"Signature" && index.signature.is_none() {
                        index.signature = Some(place);
                        inside = Some(depth);
                    }
                    if is_dsig
                        && local == b"SignedInfo"
                        && inside == Some(depth - 1)
                        && index.info.is_none()
                    {
                        index.info = Some(place);
                    }
                    let is_part = depth == 2
                        && matches!(local, b"component" | b"data-stream" | b"extended-component");
                    if inside.is_some() {
                        index.add(&start, b"Id", place)?;
                    } else if is_part || depth == 1 {
                        index.add(&start, b"id", place)?;
                    }
                }
                Event::End(_) => {
                    if inside == Some(depth) {
                        inside = None;
                    }
                    depth = depth.saturating_sub(1);
                }
                Event::Eof => return Ok(index),
                _ => {}
            }
        }
    }

    fn add(&mut self, start: &BytesStart<'_>, name: &[u8], place: Place) -> Result<(), String> {
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            if attribute.key.as_ref() == name {
                let id = String::from_utf8_lossy(&attribute.value).into_owned();
                let is_new = !self.ids.contains_key(&id);
                self.ids.insert(id, is_new.then_some(place));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
