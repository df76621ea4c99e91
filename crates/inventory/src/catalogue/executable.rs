//! Sections of ELF, PE and Mach-O files, wherever the build left a list of packages.

use crate::tree::Candidate;
use object::{Object, ObjectSection, ObjectSegment};

/// Whether it may be a program or a library.
pub(crate) fn wanted(file: &Candidate<'_>) -> bool {
    const LEAST: u64 = 512;
    const ENDS: [&str; 6] = [".so", ".dll", ".exe", ".dylib", ".node", ".pyd"];
    file.size >= LEAST
        && (file.executable
            || ENDS.iter().any(|end| file.name().ends_with(end))
            || file.name().contains(".so."))
}

/// The file as an object; scripts and whatever else is executable are none.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<object::File<'_>>, String> {
    const MAGIC: [&[u8]; 6] = [
        b"\x7fELF",
        b"MZ",
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
        b"\xce\xfa\xed\xfe",
        b"\xcf\xfa\xed\xfe",
    ];
    if !MAGIC.iter().any(|magic| bytes.starts_with(magic)) {
        return Ok(None);
    }
    object::File::parse(bytes)
        .map(Some)
        .map_err(|e| format!("it is a broken executable: {e}"))
}

/// The section of that name, where there is one.
pub(crate) fn section<'d>(file: &object::File<'d>, name: &str) -> Result<Option<&'d [u8]>, String> {
    let section = file.section_by_name(name);
    let data = section.map(|section| section.data()).transpose();
    data.map_err(|e| format!("its section {name} is broken: {e}"))
}

/// Bytes as they lie in memory from there.
pub(crate) fn memory<'d>(file: &object::File<'d>, address: u64, size: u64) -> Option<&'d [u8]> {
    file.segments()
        .find_map(|segment| segment.data_range(address, size).ok().flatten())
}

/// Every segment's bytes.
pub(crate) fn segments<'d>(
    file: &object::File<'d>,
) -> impl Iterator<Item = Result<&'d [u8], String>> {
    const MOST: usize = 64;
    let data = |segment: object::Segment<'d, '_>| segment.data();
    let all = file.segments().take(MOST).map(data);
    all.map(|data| data.map_err(|e| format!("a segment is broken: {e}")))
}
