//! Digests, HMACs and the content of tokens, which is not verified.

use super::{Builtin, Fault, string};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use md5::Md5;
use regorus::Value;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha256, Sha512};
use std::fmt::Write;

pub(super) const TABLE: &[Builtin] = &[
    ("crypto.md5", 1, |a| digest::<Md5>(a)),
    ("crypto.sha1", 1, |a| digest::<Sha1>(a)),
    ("crypto.sha256", 1, |a| digest::<Sha256>(a)),
    ("crypto.hmac.md5", 2, |a| hmac::<Md5>(a, 64)),
    ("crypto.hmac.sha1", 2, |a| hmac::<Sha1>(a, 64)),
    ("crypto.hmac.sha256", 2, |a| hmac::<Sha256>(a, 64)),
    ("crypto.hmac.sha512", 2, |a| hmac::<Sha512>(a, 128)),
    ("crypto.hmac.equal", 2, equal),
    ("io.jwt.decode", 1, decode),
];

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn digest<D: Digest>(arguments: &[Value]) -> Result<Value, Fault> {
    let text = string(arguments, 0)?;
    Ok(Value::from(hex(&D::digest(text.as_bytes())).as_str()))
}

/// RFC 2104, for a digest with blocks of that many bytes.
fn hmac<D: Digest>(arguments: &[Value], block: usize) -> Result<Value, Fault> {
    let message = string(arguments, 0)?.as_bytes();
    let key = string(arguments, 1)?.as_bytes();
    let mut padded = if key.len() > block {
        D::digest(key).to_vec()
    } else {
        key.to_vec()
    };
    padded.resize(block, 0);
    let with = |mask: u8| {
        padded
            .iter()
            .map(move |byte| byte ^ mask)
            .collect::<Vec<u8>>()
    };
    let inner = D::digest([&with(0x36), message].concat());
    let outer = D::digest([&with(0x5c)[..], &inner[..]].concat());
    Ok(Value::from(hex(&outer).as_str()))
}

fn equal(arguments: &[Value]) -> Result<Value, Fault> {
    // Both are known to the policy, so the time of the comparison tells nothing.
    Ok(Value::from(string(arguments, 0)? == string(arguments, 1)?))
}

/// `[header, payload, signature]`; the signature as hexadecimal digits.
fn decode(arguments: &[Value]) -> Result<Value, Fault> {
    const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
        &URL_SAFE,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let token = string(arguments, 0)?;
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        return Err(Fault::error("encoded JWT must have 3 sections"));
    };
    let bytes = |part: &str| {
        ANY_PADDING
            .decode(part)
            .map_err(|_| Fault::error("JWT had invalid encoding"))
    };
    let object = |part: &str| -> Result<Value, Fault> {
        let bytes = bytes(part)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Fault::error("JWT is no text"))?;
        match Value::from_json_str(text) {
            Ok(value @ Value::Object(_)) => Ok(value),
            _ => Err(Fault::error("JWT has no JSON object")),
        }
    };
    let read = object(header)?;
    if let Value::Object(map) = &read
        && (map.get(&Value::from("enc")).is_some() || map.get(&Value::from("cty")).is_some())
    {
        return Err(Fault::Unknown("a token that is encrypted or nested".into()));
    }
    let signature = hex(&bytes(signature)?);
    Ok(Value::from(vec![
        read,
        object(payload)?,
        Value::from(signature.as_str()),
    ]))
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use serde_json::json;

    #[test]
    fn digests_and_hmacs_are_those_of_their_standards() {
        for (name, wanted) in [
            ("crypto.md5", "900150983cd24fb0d6963f7d28e17f72"),
            ("crypto.sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                "crypto.sha256",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
        ] {
            assert_eq!(call(name, &[json!("abc")]), Some(json!(wanted)));
        }
        // RFC 2202 and RFC 4231, test case 2.
        let jefe = [json!("what do ya want for nothing?"), json!("Jefe")];
        assert_eq!(
            call("crypto.hmac.md5", &jefe),
            Some(json!("750c783e6ab0b503eaa86e310a5db738"))
        );
        assert_eq!(
            call("crypto.hmac.sha256", &jefe),
            Some(json!(
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ))
        );
        assert_eq!(call("crypto.md5", &[json!(1)]), None);
    }

    #[test]
    fn tokens_are_read_but_not_believed() {
        let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.AQ";
        assert_eq!(
            call("io.jwt.decode", &[json!(token)]),
            Some(json!([{"alg": "none"}, {"sub": "a"}, "01"]))
        );
        for wrong in ["", "a.b", "!.!.!", "W10.W10.", "eyJhbGciOiJub25lIn0..x"] {
            assert_eq!(call("io.jwt.decode", &[json!(wrong)]), None, "{wrong}");
        }
    }
}
