//! Makes the embedded folders exist, so that the binary builds without Node; the console
//! then says how to build it. A changed folder rebuilds this crate.

use std::path::Path;

fn main() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    for folder in ["../../ui/dist", "../../content/frameworks"] {
        let folder = Path::new(&root).join(folder);
        if let Err(error) = std::fs::create_dir_all(&folder) {
            println!("cargo::error=cannot make {}: {error}", folder.display());
        }
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    println!("cargo::rerun-if-changed=build.rs");
}
