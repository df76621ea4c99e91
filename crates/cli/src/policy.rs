//! `bartizan policy`: what `gator` does with policies, their tests and the objects they judge.

pub mod arguments;
mod bench;
mod check;
pub mod providers;
mod suites;
pub mod write;

use crate::{Verdict, files, show};
use anyhow::{Context, Result, bail};
use arguments::{Expand, ExpandFormat, Files, Policy};
use bartizan_policy::{NoProviders, Object, Providers};
use std::io::Read;
use std::path::Path;

/// Runs a policy command.
pub fn run(command: &Policy) -> Result<Verdict> {
    match command {
        Policy::Test(options) => suites::run(options),
        Policy::Check(options) => check::run(options),
        Policy::Expand(options) => expand(options),
        Policy::Bench(options) => bench::run(options),
    }
}

/// No heap of objects that one command reads is larger.
const MAX_BYTES: u64 = 1 << 30;

/// All objects of all files, and of standard input where it is asked for, is all there is, or
/// is a pipe or a file.
fn objects(input: &Files) -> Result<Vec<Object>> {
    let mut paths = input.files.clone();
    let named = paths.iter().any(|path| path.as_os_str() == "-");
    if !named && piped() {
        paths.push("-".into());
    }
    let (mut all, mut passed, mut total) = (Vec::new(), Vec::new(), 0_u64);
    for path in files::manifests(&paths)? {
        let bytes = match path.as_os_str() == "-" {
            true => stdin()?,
            false => {
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?
            }
        };
        total += bytes.len() as u64;
        if total > MAX_BYTES {
            bail!("the files hold more than {MAX_BYTES} bytes");
        }
        let name = match path.as_os_str() == "-" {
            true => "stdin".into(),
            false => path.to_string_lossy(),
        };
        let read = bartizan_policy::check::read(&name, &bytes, &mut passed);
        all.extend(read.map_err(anyhow::Error::msg)?);
    }
    for line in passed {
        show::remark(&format!("{line}; passed over"));
    }
    if all.is_empty() {
        bail!("no objects to look at; give files or folders with -f, or a pipe");
    }
    Ok(all)
}

/// Whether standard input is a pipe, or a file with something in it.
fn piped() -> bool {
    use rustix::fs::{FileType, fstat};
    let Ok(stat) = fstat(rustix::stdio::stdin()) else {
        return false;
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo => true,
        FileType::RegularFile => stat.st_size > 0,
        _ => false,
    }
}

fn stdin() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let input = std::io::stdin().lock();
    let read = input.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.context("cannot read standard input")?;
    Ok(bytes)
}

fn expand(options: &Expand) -> Result<Verdict> {
    let objects = objects(&options.input)?;
    let providers = asked(options.providers, &objects)?;
    let made = bartizan_policy::check::expand(&objects, &*providers);
    let made = made.map_err(anyhow::Error::msg)?;
    let mut texts = Vec::new();
    for object in &made {
        texts.push(match options.format {
            ExpandFormat::Yaml => write::yaml(object),
            ExpandFormat::Json => write::json(object)? + "\n",
        });
    }
    let text = texts.join("---\n");
    show::to(options.output.as_deref(), text.as_bytes())?;
    if let Some(path) = &options.output {
        tell_written(path, made.len());
    }
    Ok(Verdict::Good)
}

/// Who is asked for external data.
fn asked(wanted: bool, objects: &[Object]) -> Result<Box<dyn Providers>> {
    Ok(match wanted {
        true => Box::new(providers::HttpProviders::of(objects)?),
        false => Box::new(NoProviders),
    })
}

fn tell_written(path: &Path, count: usize) {
    show::remark(&format!("{count} objects written to {}", path.display()));
}
