//! HTTP API, auth, workers
