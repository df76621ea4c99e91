//! One process a data folder.

use crate::{Result, StoreError};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

/// Creates the folder for its owner alone and locks it until the file is dropped. The
/// operating system gives the lock free when the process ends, however it ends.
pub(crate) fn lock_folder(folder: &Path) -> Result<File> {
    let fail = |e: std::io::Error| {
        StoreError::Config(format!("the data folder {}: {e}", folder.display()))
    };
    let existed = folder.is_dir();
    std::fs::create_dir_all(folder).map_err(fail)?;
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        options.mode(0o600);
        if !existed {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
                .map_err(fail)?;
        }
    }
    #[cfg(not(unix))]
    let _ = existed;
    let file = options.open(folder.join("bartizan.lock")).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(e)) => Err(fail(e)),
    }
}
