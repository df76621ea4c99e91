//! Bytes that are not what they should be.

use crate::both;
use crate::support::{Said, World};
use bartizan_model::Outcome::Fail;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

fn report(id: &str) -> Vec<u8> {
    Said::new(id, "prod", 1)
        .saw("privileged", "web", Fail)
        .saw("privileged", "api", Fail)
        .bytes()
}

both!(a_damaged_report_fails_whole, |w| async move {
    w.import(&Said::new("s0", "prod", 0).saw("privileged", "old", Fail))
        .await;
    let text = |id: &str| String::from_utf8(report(id)).unwrap();
    let cut = text("s1").rsplit_once("{\"trailer\"").unwrap().0.to_owned();
    let miscounted = text("s2").replace("\"results\":2", "\"results\":3");
    let garbled = text("s3").replace("\"outcome\":\"fail\"", "\"outcome\":\"maybe\"");
    for (bytes, why) in [
        (cut, "cut off"),
        (miscounted, "the trailer counts 3 results, but 2 were read"),
        (garbled, "report line 6"),
    ] {
        let job = w.import_bytes(bytes.into_bytes(), &[]).await;
        assert_eq!(job["state"], "failed", "{job}");
        let error = job["error"].as_str().unwrap();
        assert!(error.contains(why), "{error}");
        assert_eq!(
            w.statuses().await,
            ["old open"],
            "nothing of it was applied"
        );
    }
    let job = w.import_bytes(report("s4"), &[]).await;
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(w.statuses().await, ["api open", "old fixed", "web open"]);
});

both!(uploads_are_checked, |w| async move {
    let bytes = report("s1");
    let digest = |bytes: &[u8]| {
        let encoded = STANDARD.encode(sha2::Sha256::digest(bytes));
        format!("sha-256=:{encoded}:")
    };
    let path = "/artifacts?kind=report";
    let wrong = w
        .upload(
            path,
            &[("content-digest", &digest(b"other"))],
            bytes.clone(),
        )
        .await;
    assert_eq!(
        (
            wrong.status.as_u16(),
            wrong.json()["code"].as_str().unwrap()
        ),
        (422, "digest_mismatch")
    );
    let garbage = w.upload(path, &[], b"{\"header\":{}}\n".to_vec()).await;
    assert_eq!(garbage.status, 422, "{}", garbage.text());
    let large = w
        .upload(
            "/artifacts?kind=evidence&name=x",
            &[],
            vec![0; (64 << 20) + 1],
        )
        .await;
    assert_eq!(large.status, 413, "{}", large.text());
    let right = w
        .upload(path, &[("content-digest", &digest(&bytes))], bytes.clone())
        .await;
    assert_eq!(right.status, 202, "{}", right.text());
    // One scan id, other bytes: somebody is mistaken.
    let other = Said::new("s1", "prod", 1).bytes();
    let conflict = w.upload(path, &[], other).await;
    assert_eq!(conflict.status, 409, "{}", conflict.text());
});
