//! Tests of `attest`.
