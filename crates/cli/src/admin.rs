//! Commands for whoever runs the installation: passwords, keys, the state's canonical text.

use crate::arguments::{Admin, Keys, Output, Place};
use crate::client::{Client, text};
use crate::serve::place_config;
use crate::verify::now;
use crate::{Verdict, show};
use anyhow::{Context, Result};
use bartizan_server::state::{SystemClock, SystemRandom};
use bartizan_server::{reset_password as new_secret, store_config};
use bartizan_store::Store;
use serde_json::{Value, json};

/// Runs an admin command on the installation's own files.
pub fn run(command: &Admin) -> Result<Verdict> {
    match command {
        Admin::ResetPassword { user, place } => reset_password(user, place),
        Admin::Dump { place } => dump(place),
    }
}

fn reset_password(user: &str, place: &Place) -> Result<Verdict> {
    let secret = on_store(place, async |store| {
        Ok(new_secret(store, user, &SystemClock, &SystemRandom).await?)
    })?;
    show::line(&format!("User: {}", secret.user))?;
    show::line(&format!("One-time secret: {}", secret.secret.expose()))?;
    show::remark(
        "It is shown once and must be changed at the next sign-in; all sessions of the user ended.",
    );
    Ok(Verdict::Good)
}

fn dump(place: &Place) -> Result<Verdict> {
    let state = on_store(place, async |store| {
        let mut state = String::new();
        for tenant in store.tenants().await? {
            state.push_str(&store.tenant(&tenant).await?.dump_state().await?);
        }
        Ok(state)
    })?;
    show::bytes(state.as_bytes())?;
    Ok(Verdict::Good)
}

/// Opens the store of a stopped installation, as its lock makes sure.
fn on_store<T>(place: &Place, work: impl AsyncFnOnce(&Store) -> Result<T>) -> Result<T> {
    let config = store_config(&place_config(place)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let store = Store::open(&config, now())
            .await
            .context("the installation's state cannot be opened")?;
        let result = work(&store).await;
        store.close().await;
        result
    })
}

/// Runs a keys command over the server.
pub fn keys(command: &Keys) -> Result<Verdict> {
    let (remote, answer) = match command {
        Keys::List(remote) => {
            let client = Client::new(&remote.server, &remote.access)?;
            (remote, client.get("/keys")?)
        }
        Keys::Rotate(remote) => {
            let client = Client::new(&remote.server, &remote.access)?;
            client.post("/keys/rotate", &json!({}))?;
            (remote, client.get("/keys")?)
        }
    };
    if remote.format == Output::Json {
        show::line(&serde_json::to_string_pretty(&answer)?)?;
        return Ok(Verdict::Good);
    }
    let keys = answer
        .get("items")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for key in keys {
        let retired =
            text(&key, "retired").map_or("active".to_owned(), |at| format!("retired {at}"));
        show::line(&format!(
            "{:<8} {:<45} made {}  {retired}",
            text(&key, "alg").unwrap_or("?"),
            text(&key, "kid").unwrap_or("?"),
            text(&key, "created").unwrap_or("?"),
        ))?;
    }
    Ok(Verdict::Good)
}
