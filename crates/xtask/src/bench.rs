//! Benches.
use anyhow::Result;

/// Options.
#[derive(clap::Args)]
pub struct Options {
    /// Print one JSON object a figure.
    #[arg(long)]
    pub json: bool,
}

/// Runs.
pub fn run(options: &Options) -> Result<()> {
    crate::report::print(
        &[crate::report::Figure::plain("none", 0.0, "-")],
        options.json,
    );
    let _ = (
        crate::report::Figure::at_least("x", 1.0, "x", 1.0),
        crate::report::Figure::under("x", 1.0, "x", 2.0),
    );
    Ok(())
}
