//! Entry point for fuzzers: bytes in, nothing out, no panic and bounded memory.

use crate::{Name, Resource, ca_bundle_patch, discovery, wire};
use bartizan_model::Timestamp;
use std::time::Duration;

/// Everything that is read from an API server.
pub fn answers(bytes: &[u8]) {
    let pods = Resource::new("", "v1", "Pod", "pods", true);
    let _ = discovery::groups(bytes);
    let _ = discovery::resources("x", "v1", bytes);
    let _ = wire::event(&pods, bytes);
    let _ = wire::status(500, bytes);
    let Ok(page) = wire::page(&pods, bytes) else {
        return;
    };
    for object in page.objects {
        let _ = pods.path_of(&object.name, Some("status"));
        let _ = ca_bundle_patch(&object.value, "PEM");
        let mut election =
            crate::Election::new(Name::within("n", "a"), "me", Duration::from_secs(15));
        let _ = election.look(Some(&object), Duration::ZERO, Timestamp::from_micros(0));
    }
}
