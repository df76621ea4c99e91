//! Entry points for fuzzers. Filled in next.
