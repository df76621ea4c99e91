//! Frameworks, controls, mapping and scores: a pure function of outcomes
