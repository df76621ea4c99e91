//! Tests of `tiles`.
