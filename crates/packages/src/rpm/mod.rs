//! rpm: headers, and the three formats of the database that holds them.

mod bdb;
mod header;
mod ndb;
pub mod sqlite;

pub use header::{Depth, FileRecord, Package};

/// The folders that a database stands in, whichever comes first.
pub const FOLDERS: [&str; 3] = ["/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm"];
/// The database that has a write-ahead log beside it, [`LOG`].
pub const SQLITE: &str = "rpmdb.sqlite";
/// SQLite's write-ahead log.
pub const LOG: &str = "rpmdb.sqlite-wal";
/// The names of databases: the newest format first, as rpm itself prefers it.
pub const DATABASES: [&str; 3] = [SQLITE, "Packages.db", "Packages"];

/// The most packages of a database.
const MAX_PACKAGES: usize = 500_000;

/// Why a database cannot be read. Whose fault: the database's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rpm database is not readable: {0}")]
pub struct RpmError(pub String);

/// Name and version of `NAME-VERSION-RELEASE.src.rpm`.
pub fn source(file: &str) -> Option<(&str, &str)> {
    let file = file.strip_suffix(".rpm")?;
    let file = file
        .strip_suffix(".src")
        .or_else(|| file.strip_suffix(".nosrc"))?;
    let (name, _release) = file.rsplit_once('-')?;
    let (name, _version) = name.rsplit_once('-')?;
    Some((name, file.get(name.len() + 1..)?))
}

/// All packages of a database, whichever of the formats it has: `rpmdb.sqlite`, `Packages.db` (ndb)
/// or `Packages` (a hash of Berkeley DB). `journal` is what stands in SQLite's write-ahead log.
pub fn packages(database: &[u8], journal: &[u8], depth: Depth) -> Result<Vec<Package>, RpmError> {
    let mut all = Vec::new();
    each(database, journal, depth, |package| all.push(package))?;
    Ok(all)
}

/// The same, one by one: what files a package has need not be kept. Before an error some were given.
pub fn each(
    database: &[u8],
    journal: &[u8],
    depth: Depth,
    mut take: impl FnMut(Package),
) -> Result<(), RpmError> {
    // An empty file is a database before its first table.
    if database.is_empty() && journal.is_empty() {
        return Ok(());
    }
    // Several places may name one header, and each would become a package of its own.
    let most = database.len().saturating_add(journal.len());
    let mut taken = 0usize;
    let mut count = 0usize;
    let mut each = |blob: &[u8]| {
        taken = taken.saturating_add(blob.len());
        if taken > most {
            return Err("its headers overlap".into());
        }
        count += 1;
        if count > MAX_PACKAGES {
            return Err(format!("more than {MAX_PACKAGES} packages"));
        }
        take(Package::parse(blob, depth).ok_or("a broken header")?);
        Ok(())
    };
    let told = if ndb::is(database) {
        ndb::blobs(database, &mut each)
    } else if bdb::is(database) {
        bdb::blobs(database, &mut each)
    } else {
        sqlite::blobs(database, journal, "Packages", each)
    };
    told.map_err(RpmError)
}

#[cfg(test)]
mod tests;
