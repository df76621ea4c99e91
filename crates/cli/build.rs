//! Rebuilds when a policy is added: embedding tracks the files it knows, not new ones.

fn main() {
    println!("cargo::rerun-if-changed=../../content/policies");
}
