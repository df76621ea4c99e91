//! Room: segments that all groups have read are removed, or reduced to the last message of a key.

use super::frame::{self, Found};
use super::log::{Log, Reader, file_error, replace, sync_folder};
use crate::{Short, StreamError, short};
use std::collections::HashMap;

/// Removes segments whose messages all have numbers below `read`. The last one stays.
pub(super) fn remove(log: &Log, read: u64) -> Result<(), StreamError> {
    let _lock = log.lock()?;
    let segments = log.segments()?;
    let mut removed = false;
    for pair in segments.windows(2) {
        if let [base, end] = pair
            && *end <= read
        {
            let path = log.path(*base);
            std::fs::remove_file(&path).map_err(file_error(&path))?;
            removed = true;
        }
    }
    if removed {
        sync_folder(log.folder())
    } else {
        Ok(())
    }
}

/// Keeps of the segments below `read` only messages that no later message of their key replaces.
/// Numbers stay as they are.
pub(super) fn compact(log: &Log, read: u64) -> Result<(), StreamError> {
    let _lock = log.lock()?;
    let segments = log.segments()?;
    // By half a digest of the key: the map of a long log stays small.
    let mut latest: HashMap<Short, u64> = HashMap::new();
    let mut sealed = Vec::new();
    for (index, base) in segments.iter().enumerate() {
        let end = segments.get(index + 1).copied();
        let mut frames: u64 = 0;
        let Some(mut reader) = Reader::open(&log.path(*base), 0)? else {
            continue;
        };
        loop {
            match reader.step()? {
                Found::Frame(frame, _) => {
                    latest.insert(short(frame.key.as_bytes()), frame.number);
                    frames += 1;
                }
                Found::End => break,
                Found::Broken(why) if end.is_some() => return Err(reader.damaged(why)),
                Found::Broken(_) => break,
            }
        }
        if end.is_some_and(|end| end <= read) {
            sealed.push((*base, frames));
        }
    }
    for (base, frames) in sealed {
        rewrite(log, base, frames, &latest)?;
    }
    Ok(())
}

fn rewrite(
    log: &Log,
    base: u64,
    frames: u64,
    latest: &HashMap<Short, u64>,
) -> Result<(), StreamError> {
    let path = log.path(base);
    let Some(mut reader) = Reader::open(&path, 0)? else {
        return Ok(());
    };
    let mut out = super::log::head();
    let mut kept: u64 = 0;
    while let Found::Frame(frame, _) = reader.step()? {
        if latest.get(&short(frame.key.as_bytes())) == Some(&frame.number) {
            frame::write(&mut out, frame.number, &frame.key, &frame.bytes);
            kept += 1;
        }
    }
    if kept == frames {
        return Ok(());
    }
    if kept == 0 {
        std::fs::remove_file(&path).map_err(file_error(&path))?;
        return sync_folder(log.folder());
    }
    // Whoever reads the old file goes on reading it; the numbers are the same.
    replace(log.folder(), &path, &out)
}
