//! Prints the components of a folder, one purl a line, and on standard error what was not read:
//! for `cargo xtask conformance inventory`, which does not link this crate.

use std::io::Write;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("which folder?")?;
    let told = bartizan_inventory::folder(Path::new(&path), true)?;
    let mut out = std::io::stdout().lock();
    for component in &told.components {
        writeln!(out, "{}", component.purl)?;
    }
    for unread in &told.unread {
        eprintln!("{}: {}", unread.path, unread.why);
    }
    Ok(())
}
