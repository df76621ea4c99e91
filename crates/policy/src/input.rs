//! Bounded reading of YAML and JSON streams into documents with source lines.

use std::io::Read;

/// What reading may cost. Whatever exceeds a limit becomes an Unknown result that names
/// file and line; the documents before it are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one document. Kubernetes itself takes about 3 MiB.
    pub document_bytes: usize,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Documents of one file.
    pub documents: usize,
    /// Nesting of mappings and sequences.
    pub depth: usize,
    /// Scalars, mappings and sequences of one document, aliases expanded.
    pub nodes: usize,
    /// Estimated bytes of memory that all documents of a scan may take together.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes: 4 << 20,
            file_bytes: 64 << 20,
            documents: 20_000,
            depth: 100,
            nodes: 200_000,
            memory: 512 << 20,
        }
    }
}

/// One file (or standard input) to scan.
pub struct Source<'a> {
    /// The name shown in locations: the path as given, or `<stdin>`.
    pub name: String,
    /// Its bytes; read once, never whole.
    pub reader: Box<dyn Read + Send + 'a>,
    /// The folder of the nearest `Chart.yaml` when the file lies in its `templates/`: then a
    /// file with template syntax is an unrendered Helm template of that chart.
    pub chart: Option<String>,
}

impl<'a> Source<'a> {
    /// A source outside any Helm chart.
    pub fn new(name: impl Into<String>, reader: impl Read + Send + 'a) -> Self {
        Self {
            name: name.into(),
            reader: Box::new(reader),
            chart: None,
        }
    }
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({})", self.name)
    }
}
