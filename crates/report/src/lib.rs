//! Snapshot to terminal, JSON, SARIF and HTML
