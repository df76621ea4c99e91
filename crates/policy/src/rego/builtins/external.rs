//! `external_data`: Gatekeeper's question to a provider outside, over what the caller gives.

use super::{Builtin, Fault};
use regorus::Value;
use std::cell::RefCell;
use std::sync::Arc;

/// Answers `external_data` requests: `{"provider": …, "keys": […]}`.
pub trait Provider: Send + Sync {
    /// The response as Gatekeeper gives it to a policy: `responses`, `errors`, `status_code`,
    /// `system_error`. The error makes the verdict Unknown.
    fn ask(&self, request: &serde_json::Value) -> Result<serde_json::Value, String>;
}

pub(super) const TABLE: &[Builtin] = &[("external_data", 1, ask)];

thread_local! {
    static PROVIDER: RefCell<Option<Arc<dyn Provider>>> = const { RefCell::new(None) };
}

/// Runs something during which policies of this thread may ask a provider.
pub fn with_provider<T>(provider: Arc<dyn Provider>, run: impl FnOnce() -> T) -> T {
    /// Puts the one before back, also when `run` panics.
    struct Restore(Option<Arc<dyn Provider>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            PROVIDER.set(self.0.take());
        }
    }
    let _restore = Restore(PROVIDER.replace(Some(provider)));
    run()
}

fn ask(arguments: &[Value]) -> Result<Value, Fault> {
    let unknown = |why: String| Fault::Unknown(why);
    let provider = PROVIDER.with_borrow(Option::clone);
    let provider = provider.ok_or_else(|| unknown("there is no external data provider".into()))?;
    let request = arguments.first().and_then(|a| a.to_json_str().ok());
    let request = request.ok_or_else(|| unknown("the request is no JSON".into()))?;
    let request: serde_json::Value =
        serde_json::from_str(&request).map_err(|e| unknown(e.to_string()))?;
    let response = provider.ask(&request).map_err(unknown)?;
    Value::from_json_str(&response.to_string()).map_err(|e| unknown(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use super::*;
    use serde_json::json;

    struct Echo;

    impl Provider for Echo {
        fn ask(&self, request: &serde_json::Value) -> Result<serde_json::Value, String> {
            match request["keys"].as_array() {
                Some(keys) => Ok(json!({"responses": keys})),
                None => Err("no keys".into()),
            }
        }
    }

    #[test]
    fn a_provider_answers_while_it_is_there() {
        let request = json!({"provider": "p", "keys": ["a"]});
        let ask = || call("external_data", std::slice::from_ref(&request));
        assert_eq!(ask(), None);
        let answer = with_provider(Arc::new(Echo), ask);
        assert_eq!(answer, Some(json!({"responses": ["a"]})));
        assert_eq!(ask(), None);
    }
}
