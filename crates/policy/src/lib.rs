//! Rego policies and Gatekeeper objects over Kubernetes manifests
