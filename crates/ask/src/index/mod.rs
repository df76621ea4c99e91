//! The index folder: words (tantivy), vectors, what they were made by, and how far it has read.
//!
//! Whatever is written is written so that a kill in between loses nothing that was told to be
//! there: the cursor is written last, and applying the same changes again changes nothing.

mod term;

use crate::vectors::{Embedding, LearnedEmbedding, Learner, Plan, Table, hash};
use crate::{AskError, Document, Filters};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use term::Terms;

const FORMAT: u32 = 2;
const WORDS: &str = "words.bin";
const DENSE: &str = "dense.bin";
const META: &str = "index.json";
const TERMS: &str = "terms";
/// Documents whose vectors are asked for at once.
const CHUNK: usize = 64;

/// What is in the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    format: u32,
    /// What made the vectors.
    pub embedding: String,
    /// How many records the words were learned from.
    pub learned_from: usize,
    /// How far the source has been read, in the source's own words.
    #[serde(default)]
    pub cursor: String,
}

/// One change of the source.
#[derive(Debug, Clone)]
pub enum Change {
    /// New or changed.
    Put(Box<Document>),
    /// Gone.
    Remove(String),
}

/// An open index.
pub struct Index {
    folder: PathBuf,
    meta: Meta,
    terms: Terms,
    table: Table,
    embedding: Box<dyn Embedding>,
}

/// The place of a record in both halves.
pub(crate) fn key(id: &str) -> u64 {
    hash(id.as_bytes())
}

impl Index {
    /// Whether there is one.
    pub fn exists(folder: &Path) -> bool {
        folder.join(META).is_file()
    }

    /// How far the source has been read by the index in the folder, which is not opened for it.
    pub fn cursor_of(folder: &Path) -> Result<String, AskError> {
        Ok(read_meta(folder)?.cursor)
    }

    /// Without this file there is no index: whoever opens what is left is told so.
    pub fn discard(folder: &Path) -> Result<(), AskError> {
        match fs::remove_file(folder.join(META)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
            _ => Ok(()),
        }
    }

    /// Builds an index of these documents. The words are learned from them, unless another
    /// embedding is given. What was in the folder before is replaced.
    pub fn build(
        folder: &Path,
        documents: &[Document],
        embedding: Option<Box<dyn Embedding>>,
        cursor: &str,
        progress: &mut dyn FnMut(&'static str, f32),
    ) -> Result<Self, AskError> {
        fs::create_dir_all(folder)?;
        Self::discard(folder)?;
        let embedding: Box<dyn Embedding> = match embedding {
            Some(given) => given,
            None => {
                let mut learner = Learner::default();
                documents.iter().for_each(|d| learner.add(d));
                let learned = learner.learn(&Plan::default(), &mut |p| progress("learning", p));
                let bytes = learned.to_bytes();
                write(&folder.join(WORDS), &bytes)?;
                // As read back, so that vectors are the same today and after a restart.
                Box::new(LearnedEmbedding::from_bytes(&bytes)?)
            }
        };
        let mut index = Self {
            terms: Terms::create(&folder.join(TERMS))?,
            table: Table::new(embedding.dimensions()),
            meta: Meta {
                format: FORMAT,
                embedding: embedding.name(),
                learned_from: documents.len(),
                cursor: String::new(),
            },
            folder: folder.to_owned(),
            embedding,
        };
        write(&folder.join(DENSE), &index.table.to_bytes())?;
        let mut done = 0;
        for chunk in documents.chunks(20_000) {
            index.put(chunk.iter(), &[])?;
            done += chunk.len();
            progress("indexing", done as f32 / documents.len().max(1) as f32);
        }
        index.save_cursor(cursor)?;
        Ok(index)
    }

    /// Opens an index. An embedding must be given where it was built by a given one.
    pub fn open(folder: &Path, embedding: Option<Box<dyn Embedding>>) -> Result<Self, AskError> {
        let meta = read_meta(folder)?;
        let embedding: Box<dyn Embedding> = match embedding {
            Some(given) if given.name() == meta.embedding => given,
            _ if meta.embedding == "learned" => {
                Box::new(LearnedEmbedding::from_bytes(&read(folder, WORDS)?)?)
            }
            _ => {
                return Err(AskError::Model(format!(
                    "the index was built with the vectors of {}; configure the same, or build it again",
                    meta.embedding
                )));
            }
        };
        let table = Table::from_bytes(&read(folder, DENSE)?)?;
        if table.dimensions() != embedding.dimensions() {
            return Err(AskError::broken(DENSE, "its vectors are of another length"));
        }
        Ok(Self {
            terms: Terms::open(&folder.join(TERMS))?,
            table,
            embedding,
            meta,
            folder: folder.to_owned(),
        })
    }

    /// What is in the folder.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// How many records are found by likeness; withdrawn ones are not among them.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Applies changes of the source and remembers how far it has been read.
    pub fn apply(&mut self, changes: &[Change], cursor: &str) -> Result<(), AskError> {
        let documents = changes.iter().filter_map(|c| match c {
            Change::Put(document) => Some(&**document),
            Change::Remove(_) => None,
        });
        let removed: Vec<&str> = changes
            .iter()
            .filter_map(|c| match c {
                Change::Remove(id) => Some(id.as_str()),
                Change::Put(_) => None,
            })
            .collect();
        self.put(documents, &removed)?;
        self.save_cursor(cursor)
    }

    fn put<'a>(
        &mut self,
        documents: impl Iterator<Item = &'a Document>,
        removed: &[&str],
    ) -> Result<(), AskError> {
        let mut writer = self.terms.writer()?;
        let mut rows = Vec::new();
        let mut waiting: Vec<&Document> = Vec::with_capacity(CHUNK);
        let mut flush = |waiting: &mut Vec<&Document>, table: &mut Table| -> Result<(), AskError> {
            let texts: Vec<String> = waiting.iter().map(|d| d.all_text()).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let vectors = self.embedding.embed(&texts)?;
            if vectors.len() != waiting.len() {
                return Err(AskError::Model(format!(
                    "{} vectors came for {} texts",
                    vectors.len(),
                    waiting.len()
                )));
            }
            for (document, vector) in waiting.drain(..).zip(vectors) {
                let vector = (!document.withdrawn).then_some(vector.as_slice());
                rows.extend(table.set(key(&document.id), vector));
            }
            Ok(())
        };
        for document in documents {
            writer.put(document)?;
            waiting.push(document);
            if waiting.len() == CHUNK {
                flush(&mut waiting, &mut self.table)?;
            }
        }
        flush(&mut waiting, &mut self.table)?;
        for id in removed {
            writer.remove(key(id));
            rows.extend(self.table.set(key(id), None));
        }
        let path = self.folder.join(DENSE);
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(|e| AskError::reading(DENSE, e))?;
        // A row that was not written to its end would shift those behind it.
        let whole = self.table.whole_rows(file.metadata()?.len());
        file.set_len(whole)?;
        file.write_all(&rows)?;
        file.sync_data()?;
        let size = whole + rows.len() as u64;
        let needed = (self.table.len() * (12 + self.table.dimensions())) as u64;
        if size > 1_000_000 && size > needed.saturating_mul(3) / 2 {
            write(&path, &self.table.to_bytes())?;
        }
        writer.commit()?;
        Ok(())
    }

    fn save_cursor(&mut self, cursor: &str) -> Result<(), AskError> {
        self.meta.cursor = cursor.to_owned();
        let json = serde_json::to_vec_pretty(&self.meta).map_err(std::io::Error::from)?;
        write(&self.folder.join(META), &json)
    }

    /// The records that go by one of these names.
    pub fn named(&self, names: &[String], most: usize) -> Result<Vec<Document>, AskError> {
        self.terms.named(names, most)
    }

    /// How many records name that product.
    pub fn of_product(&self, product: &str) -> Result<usize, AskError> {
        self.terms.of_product(product)
    }

    /// The best by words: key and score.
    pub fn by_words(
        &self,
        text: &str,
        filters: &Filters,
        most: usize,
    ) -> Result<Vec<(u64, f32)>, AskError> {
        self.terms.best(text, filters, most)
    }

    /// The best by likeness: key and score.
    pub fn by_likeness(
        &self,
        text: &str,
        filters: &Filters,
        most: usize,
    ) -> Result<Vec<(u64, f32)>, AskError> {
        let vector = self.vector(text)?;
        let allowed: Option<HashSet<u64>> = if filters.limit() {
            Some(self.terms.allowed(filters)?)
        } else {
            None
        };
        Ok(self.table.nearest(&vector, most, allowed.as_ref()))
    }

    /// Those that pass the filters, the weightiest first.
    pub fn by_filters(&self, filters: &Filters, most: usize) -> Result<Vec<u64>, AskError> {
        self.terms.weightiest(filters, most)
    }

    /// A text's vector.
    pub fn vector(&self, text: &str) -> Result<Vec<f32>, AskError> {
        self.embedding
            .embed(&[text])?
            .pop()
            .ok_or_else(|| AskError::Model("no vector came for the question".to_owned()))
    }

    /// How near a record is to a vector.
    pub fn likeness(&self, vector: &[f32], key: u64) -> Option<f32> {
        self.table.likeness(vector, key)
    }

    /// How rare a word is; the more, the rarer.
    pub fn rarity(&self, word: &str) -> Result<f32, AskError> {
        self.terms.rarity(word)
    }

    /// The record at a key.
    pub fn get(&self, key: u64) -> Result<Option<Document>, AskError> {
        self.terms.get(key)
    }
}

fn read(folder: &Path, file: &'static str) -> Result<Vec<u8>, AskError> {
    fs::read(folder.join(file)).map_err(|e| AskError::reading(file, e))
}

fn read_meta(folder: &Path) -> Result<Meta, AskError> {
    let meta: Meta =
        serde_json::from_slice(&read(folder, META)?).map_err(|e| AskError::broken(META, e))?;
    if meta.format != FORMAT {
        let why = format!("its format is {} and not {FORMAT}", meta.format);
        return Err(AskError::broken(META, why));
    }
    Ok(meta)
}

/// All or nothing: beside it, then in its place.
fn write(path: &Path, bytes: &[u8]) -> Result<(), AskError> {
    let beside = path.with_extension("new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use bartizan_vuln::{Advisory, Tenths};

    fn document(id: &str, title: &str, text: &str) -> Document {
        let mut d = Document::new(id, Kind::Cve, "test");
        d.title = title.to_owned();
        d.text = text.to_owned();
        d.products = vec![title.split(' ').next_back().unwrap().to_owned()];
        d
    }

    fn records() -> Vec<Document> {
        vec![
            document(
                "CVE-2024-0001",
                "Overflow in rocket",
                "A buffer overflow in rocket runs code.",
            ),
            document(
                "CVE-2024-0002",
                "XSS in kettle",
                "Cross-site scripting in kettle's pages.",
            ),
            document(
                "CVE-2024-0003",
                "Leak in teapot",
                "The teapot shows passwords in its logs.",
            ),
        ]
    }

    #[test]
    fn changes_are_found_at_once_and_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut index = Index::build(folder.path(), &records(), None, "7", &mut |_, _| {}).unwrap();
        assert_eq!(index.len(), 3);
        let none = Filters::default();
        let first = |i: &Index, q: &str| {
            let by_words = i.by_words(q, &none, 3).unwrap()[0].0;
            assert_eq!(i.by_likeness(q, &none, 3).unwrap()[0].0, by_words, "{q}");
            i.get(by_words).unwrap().unwrap().id
        };
        assert_eq!(first(&index, "teapot passwords"), "CVE-2024-0003");
        let changes = [
            Change::Put(Box::new(document(
                "CVE-2024-0004",
                "Loop in samovar",
                "The samovar never ends a loop.",
            ))),
            Change::Put(Box::new(document(
                "CVE-2024-0003",
                "Leak in jug",
                "The jug writes keys to disk.",
            ))),
            Change::Remove("CVE-2024-0001".to_owned()),
        ];
        index.apply(&changes, "8").unwrap();
        index.apply(&changes, "8").unwrap();
        drop(index);
        let index = Index::open(folder.path(), None).unwrap();
        assert_eq!((index.len(), index.meta().cursor.as_str()), (3, "8"));
        assert_eq!(
            first(&index, "endless loop of the samovar"),
            "CVE-2024-0004"
        );
        assert_eq!(first(&index, "keys on disk by jug"), "CVE-2024-0003");
        assert!(
            index
                .by_words("rocket overflow", &none, 3)
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            index.named(&["cve-2024-0002".to_owned()], 5).unwrap().len(),
            1
        );
        assert_eq!(index.of_product("Kettle").unwrap(), 1);
        assert!(!Index::exists(&folder.path().join("nowhere")));
    }

    #[test]
    fn a_tracker_and_the_list_keep_a_record_each() {
        let mut tracked = Advisory::new("CVE-2024-0001", "debian-tracker");
        tracked.details = "The rocket of bookworm is not affected.".to_owned();
        let tracked = Document::of_advisory(&tracked);
        let folder = tempfile::tempdir().unwrap();
        let mut index = Index::build(folder.path(), &records(), None, "1", &mut |_, _| {}).unwrap();
        // In a chunk of its own, as a feed brings it.
        index
            .apply(&[Change::Put(Box::new(tracked.clone()))], "2")
            .unwrap();
        assert_eq!(index.len(), 4);
        let name = ["CVE-2024-0001".to_owned()];
        let mut both = index.named(&name, 5).unwrap();
        both.sort_by(|a, b| a.id.cmp(&b.id));
        let ids: Vec<&str> = both.iter().map(|d| d.id.as_str()).collect();
        assert_eq!(ids, ["CVE-2024-0001", "debian-tracker:CVE-2024-0001"]);
        let none = Filters::default();
        for (text, id) in [
            ("overflow runs code", &both[0].id),
            ("bookworm", &tracked.id),
        ] {
            let key = index.by_words(text, &none, 1).unwrap()[0].0;
            assert_eq!(&index.get(key).unwrap().unwrap().id, id);
        }
        index
            .apply(&[Change::Remove(tracked.id.clone())], "3")
            .unwrap();
        assert_eq!(index.named(&name, 5).unwrap(), [records().remove(0)]);
    }

    #[test]
    fn a_row_that_was_not_written_to_its_end_does_not_shift_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let mut index = Index::build(folder.path(), &records(), None, "1", &mut |_, _| {}).unwrap();
        let dense = folder.path().join(DENSE);
        let torn = |bytes: &[u8]| {
            let mut file = fs::OpenOptions::new().append(true).open(&dense).unwrap();
            file.write_all(bytes).unwrap();
        };
        torn(&[7; 100]);
        // Whoever else opens it changes nothing under the one who writes it.
        let before = fs::read(&dense).unwrap();
        Index::open(folder.path(), None).unwrap();
        assert_eq!(fs::read(&dense).unwrap(), before);
        let more = document("CVE-2024-0004", "Loop in samovar", "It never ends a loop.");
        index.apply(&[Change::Put(Box::new(more))], "2").unwrap();
        torn(&[7; 200]);
        let index = Index::open(folder.path(), None).unwrap();
        assert_eq!(index.len(), 4);
        let vector = index.vector("endless loop of the samovar").unwrap();
        let near = index.table.nearest(&vector, 1, None)[0].0;
        assert_eq!(index.get(near).unwrap().unwrap().id, "CVE-2024-0004");
    }

    #[test]
    fn what_lacks_a_file_is_broken_and_what_is_discarded_is_gone() {
        let built = || {
            let folder = tempfile::tempdir().unwrap();
            Index::build(folder.path(), &records(), None, "1", &mut |_, _| {}).unwrap();
            folder
        };
        for spoil in [
            |folder: &Path| fs::remove_file(folder.join(WORDS)),
            |folder: &Path| fs::remove_file(folder.join(DENSE)),
            |folder: &Path| fs::remove_file(folder.join(TERMS).join("meta.json")),
            |folder: &Path| fs::write(folder.join(TERMS).join("meta.json"), "{"),
            |folder: &Path| fs::remove_dir_all(folder.join(TERMS)),
            |folder: &Path| fs::write(folder.join(META), "{}"),
        ] {
            let folder = built();
            spoil(folder.path()).unwrap();
            let opened = Index::open(folder.path(), None);
            assert!(matches!(opened, Err(AskError::Broken { .. })));
        }
        let folder = built();
        assert_eq!(Index::cursor_of(folder.path()).unwrap(), "1");
        Index::discard(folder.path()).unwrap();
        Index::discard(folder.path()).unwrap();
        assert!(!Index::exists(folder.path()));
        assert!(Index::cursor_of(folder.path()).is_err());
    }

    #[test]
    fn filters_alone_give_what_is_exploited_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut worst = records();
        for (document, score) in worst.iter_mut().zip([98, 50, 70]) {
            document.score = Some(Tenths(score));
        }
        worst[1].exploited = true;
        let mut index = Index::build(folder.path(), &worst, None, "1", &mut |_, _| {}).unwrap();
        // A segment without a single score.
        let unrated = document("CVE-2024-0004", "Loop in samovar", "It never ends a loop.");
        index.apply(&[Change::Put(Box::new(unrated))], "2").unwrap();
        let found = index.by_filters(&Filters::default(), 9).unwrap();
        let ids: Vec<String> = found
            .into_iter()
            .map(|key| index.get(key).unwrap().unwrap().id)
            .collect();
        assert_eq!(
            ids,
            [
                "CVE-2024-0002",
                "CVE-2024-0001",
                "CVE-2024-0003",
                "CVE-2024-0004"
            ]
        );
        let bands = Filters {
            bands: vec![(1, 59), (90, 100)],
            ..Filters::default()
        };
        assert_eq!(index.by_filters(&bands, 9).unwrap().len(), 2);
    }
}
