//! Reviews that nobody should send, from a number: huge, deep, of wrong types, cut off.

use serde_json::{Value, json};

/// The `n`-th hostile review. The same number gives the same bytes.
pub fn review(n: u64) -> Vec<u8> {
    let mut random = Random(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let good = |object: Value| {
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": format!("hostile-{n}"), "operation": "CREATE",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "x", "namespace": "shop", "userInfo": {"username": "eve"},
            "object": object, "oldObject": null
        }})
    };
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}});
    let text = |value: Value| value.to_string().into_bytes();
    match n % 12 {
        // Deeper than any parser's stack.
        0 => b"[".repeat(100_000),
        1 => {
            let deep = format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
            format!("{{\"request\":{deep}}}").into_bytes()
        }
        // Larger than is read.
        2 if n % 36 == 2 => vec![b' '; 9 << 20],
        // Very many values.
        2 => format!("[{}1]", "1,".repeat(500_000)).into_bytes(),
        // Cut off, at any byte.
        3 => {
            let mut bytes = text(good(pod));
            let length = bytes.len() as u64;
            bytes.truncate((random.next() % length) as usize);
            bytes
        }
        // A byte that is another, anywhere.
        4 => {
            let mut bytes = text(good(pod));
            let length = bytes.len() as u64;
            let at = (random.next() % length) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte = (random.next() & 0xff) as u8;
            }
            bytes
        }
        // A field of another type, or none.
        5 | 6 => {
            const FIELDS: [&str; 12] = [
                "uid",
                "operation",
                "kind",
                "resource",
                "name",
                "namespace",
                "userInfo",
                "object",
                "oldObject",
                "dryRun",
                "options",
                "subResource",
            ];
            let mut review = good(pod);
            let wrong = [
                json!(1),
                json!([]),
                json!({}),
                json!("x"),
                Value::Null,
                json!(true),
            ];
            let field = FIELDS[random.below(FIELDS.len())];
            review["request"][field] = wrong[random.below(wrong.len())].clone();
            text(review)
        }
        // Objects whose parts are of wrong types, which policies then read.
        7 | 8 => {
            let wrong = [
                json!(1),
                json!([[]]),
                json!({"": 0}),
                json!("\u{0}\u{202e}"),
                Value::Null,
            ];
            let mut any = || wrong[random.below(wrong.len())].clone();
            let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
                "name": any(), "labels": any(), "namespace": any(), "annotations": any()},
                "spec": {"containers": any(), "volumes": any()}});
            text(good(object))
        }
        // Long names, and patterns that take long where one matches by them.
        9 => {
            let mut review = good(pod);
            let long = "a".repeat(1 << 20);
            review["request"]["object"]["metadata"]["labels"] = json!({"x": long});
            review["request"]["name"] = format!("{}!", "a".repeat(50_000)).into();
            text(review)
        }
        // What policies here never end on.
        10 => {
            let mut review =
                good(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}));
            if n % 120 != 10 {
                review["request"]["object"]["kind"] = format!("Kind{n}").into();
            }
            text(review)
        }
        // Bytes.
        _ => (0..random.below(4_096))
            .map(|_| (random.next() & 0xff) as u8)
            .collect(),
    }
}

/// A small generator: xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }
}
