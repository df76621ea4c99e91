//! Any bytes as values, patterns and operands: an answer, no panic, in time.
