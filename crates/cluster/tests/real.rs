//! Against a real Kubernetes API: see `docs/cluster-tests.md`. Without one, each test says so.
