//! Bytes to model and back: our report, SARIF
