//! rpm: headers, and the three formats of the database that holds them.

mod bdb;
mod header;
mod ndb;
pub mod sqlite;

pub use header::{Depth, FileRecord, Package};

/// The most packages of a database.
const MAX_PACKAGES: usize = 500_000;

/// Why a database cannot be read. Whose fault: the database's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rpm database is not readable: {0}")]
pub struct RpmError(pub String);

/// All packages of a database, whichever of the formats it has: `rpmdb.sqlite`, `Packages.db` (ndb)
/// or `Packages` (a hash of Berkeley DB). `journal` is what stands in SQLite's write-ahead log.
pub fn packages(database: &[u8], journal: &[u8], depth: Depth) -> Result<Vec<Package>, RpmError> {
    let mut all = Vec::new();
    // An empty file is a database before its first table.
    if database.is_empty() && journal.is_empty() {
        return Ok(all);
    }
    // Several places may name one header, and each would become a package of its own.
    let most = database.len().saturating_add(journal.len());
    let mut taken = 0usize;
    let mut each = |blob: &[u8]| {
        taken = taken.saturating_add(blob.len());
        if taken > most {
            return Err("its headers overlap".into());
        }
        if all.len() >= MAX_PACKAGES {
            return Err(format!("more than {MAX_PACKAGES} packages"));
        }
        all.push(Package::parse(blob, depth).ok_or("a broken header")?);
        Ok(())
    };
    let told = if ndb::is(database) {
        ndb::blobs(database, &mut each)
    } else if bdb::is(database) {
        bdb::blobs(database, &mut each)
    } else {
        sqlite::blobs(database, journal, "Packages", each)
    };
    told.map_err(RpmError)?;
    Ok(all)
}

#[cfg(test)]
mod tests;
