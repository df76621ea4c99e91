//! One certificate authority for all replicas: kept in a Secret, made by whoever is first.
//!
//! ```text
//! Secret there? ── yes ──► its files into the data folder
//!      └── no ──► make an authority, create the Secret ── somebody was faster ──► look again
//! ```
//!
//! Its key signs certificates for the webhook's names and nothing else. Who reads the Secret can
//! answer in the webhook's place: roles allow that one Secret by its name.

use super::certs::{authority, private};
use bartizan_cluster::{Cluster, Error, Name, Object, Resource};
use bartizan_model::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The files of an authority.
const FILES: [&str; 3] = ["ca.key", "ca.until", "ca.pem"];
/// How often it is tried while the API server does not answer.
const TRIES: u32 = 20;
/// No file of an authority is larger.
const MOST: usize = 64 << 10;

/// Makes the authority of the Secret that of the data folder. The error says what to do.
pub(super) async fn share(
    cluster: &dyn Cluster,
    secret: &Name,
    data: &Path,
    now: Timestamp,
) -> Result<(), String> {
    let secrets = Resource::new("", "v1", "Secret", "secrets", true);
    let folder = data.join("admission");
    let mut last = String::new();
    for _ in 0..TRIES {
        let error = match cluster.get(&secrets, secret).await {
            Ok(there) => return adopt(&there.value, &folder),
            Err(Error::NotFound(_)) => {
                let object = made(secret, &folder, now)?;
                let object = Object::read(&secrets, object).map_err(|e| e.to_string())?;
                match cluster.create(&secrets, &object).await {
                    Ok(_) => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        last = error.to_string();
        if !error.passes() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err(format!("the Secret {secret} cannot be used: {last}"))
}

fn made(secret: &Name, folder: &Path, now: Timestamp) -> Result<Value, String> {
    authority(folder, now).map_err(|error| error.to_string())?;
    let mut data = Map::new();
    for file in FILES {
        let bytes = fs::read(folder.join(file)).map_err(|error| format!("{file}: {error}"))?;
        data.insert(file.to_owned(), STANDARD.encode(bytes).into());
    }
    Ok(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data,
        "metadata": {"name": secret.name, "namespace": secret.namespace,
            "labels": {"app.kubernetes.io/name": "bartizan"}},
    }))
}

fn adopt(secret: &Value, folder: &Path) -> Result<(), String> {
    let mut files = Vec::new();
    for file in FILES {
        let text = secret.get("data").and_then(|data| data.get(file));
        let text = text
            .and_then(Value::as_str)
            .filter(|text| text.len() <= MOST);
        let bytes = text.and_then(|text| STANDARD.decode(text).ok());
        let bytes = bytes.ok_or_else(|| {
            format!("the Secret has no usable {file}; delete it, and it is made anew")
        })?;
        files.push((file, bytes));
    }
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    for (file, bytes) in files {
        private(&folder.join(file), &bytes).map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_cluster::fake::Fake;

    #[tokio::test]
    async fn the_second_replica_takes_the_first_ones_authority() {
        let secrets = Resource::new("", "v1", "Secret", "secrets", true);
        let fake = Fake::new(vec![secrets.clone()]);
        let secret = Name::within("bartizan-system", "bartizan-authority");
        let now = Timestamp::parse("2026-11-25T00:00:00Z").unwrap();
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // A moment of trouble is no reason not to start.
        fake.fail([Error::Unreachable("restarts".into())]);
        share(&fake, &secret, first.path(), now).await.unwrap();
        share(&fake, &secret, second.path(), now).await.unwrap();
        let read = |at: &Path| FILES.map(|f| fs::read(at.join("admission").join(f)).unwrap());
        assert_eq!(read(first.path()), read(second.path()));
        assert!(authority(&second.path().join("admission"), now).is_ok());
        // A damaged one is no reason to make another in silence.
        let name = json!({"name": "bartizan-authority", "namespace": "bartizan-system"});
        fake.put(&secrets, json!({"metadata": name, "data": {"ca.key": "!"}}))
            .unwrap();
        let said = share(&fake, &secret, second.path(), now).await.unwrap_err();
        assert!(said.contains("no usable ca.key"), "{said}");
    }
}
