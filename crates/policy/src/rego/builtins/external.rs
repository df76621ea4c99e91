//! `external_data`: Gatekeeper's question to a provider outside, over what the caller gives.

use super::{Builtin, Fault};
use crate::providers::{self, Providers};
use regorus::Value;
use std::cell::RefCell;
use std::sync::Arc;

pub(super) const TABLE: &[Builtin] = &[("external_data", 1, ask)];

/// Who is asked.
type Asked = Arc<dyn Providers + Send + Sync>;

thread_local! {
    static PROVIDERS: RefCell<Option<Asked>> = const { RefCell::new(None) };
}

/// Runs something during which policies of this thread may ask providers.
pub(crate) fn with_providers<T>(providers: Asked, run: impl FnOnce() -> T) -> T {
    /// Puts the one before back, also when `run` panics.
    struct Restore(Option<Asked>);
    impl Drop for Restore {
        fn drop(&mut self) {
            PROVIDERS.set(self.0.take());
        }
    }
    let _restore = Restore(PROVIDERS.replace(Some(providers)));
    run()
}

fn ask(arguments: &[Value]) -> Result<Value, Fault> {
    let unknown = |why: String| Fault::Unknown(why);
    let providers = PROVIDERS.with_borrow(Option::clone);
    let providers =
        providers.ok_or_else(|| unknown("there is no external data provider".into()))?;
    let request = arguments.first().and_then(|a| a.to_json_str().ok());
    let request = request.ok_or_else(|| unknown("the request is no JSON".into()))?;
    let request: serde_json::Value =
        serde_json::from_str(&request).map_err(|e| unknown(e.to_string()))?;
    let response = providers::rego(providers.as_ref(), &request).map_err(unknown)?;
    Value::from_json_str(&response.to_string()).map_err(|e| unknown(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::call;
    use super::*;
    use crate::providers::{Answer, Item};
    use serde_json::json;

    struct Echo;

    impl Providers for Echo {
        fn ask(&self, _: &str, keys: &[String]) -> Result<Answer, String> {
            let item = |key: &String| Item {
                key: key.clone(),
                value: json!(key),
                error: String::new(),
            };
            Ok(Answer {
                items: keys.iter().map(item).collect(),
                ..Answer::default()
            })
        }
    }

    #[test]
    fn a_provider_answers_while_it_is_there() {
        let request = json!({"provider": "p", "keys": ["a"]});
        let ask = || call("external_data", std::slice::from_ref(&request));
        assert_eq!(ask(), None);
        let answer = with_providers(Arc::new(Echo), ask);
        let told = json!({
            "responses": [["a", "a"]], "errors": [], "status_code": 200, "system_error": ""
        });
        assert_eq!(answer, Some(told));
        assert_eq!(ask(), None);
    }
}
