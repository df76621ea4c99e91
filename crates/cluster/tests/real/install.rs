//! What is under `deploy/`, installed with kubectl alone.
