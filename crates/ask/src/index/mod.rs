//! The index folder: words (tantivy), vectors, what they were made by, and how far it has read.
//!
//! Whatever is written is written so that a kill in between loses nothing that was told to be
//! there: the cursor is written last, and applying the same changes again changes nothing.

mod term;

use crate::vectors::{Embedding, LEARNED, LearnedEmbedding, Learner, Plan, Table, hash};
use crate::{AskError, Document, Filters};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
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

/// An open index. Many may look while one changes it; they wait for one another no longer than a
/// scan takes, or a row.
pub struct Index {
    folder: PathBuf,
    meta: Mutex<Meta>,
    terms: Terms,
    table: RwLock<Table>,
    embedding: Arc<dyn Embedding>,
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

    /// What is in the folder, which is not opened for it.
    pub fn meta_of(folder: &Path) -> Result<Meta, AskError> {
        read_meta(folder)
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
        embedding: Option<Arc<dyn Embedding>>,
        cursor: &str,
        progress: &mut dyn FnMut(&'static str, f32),
    ) -> Result<Self, AskError> {
        fs::create_dir_all(folder)?;
        // An endpoint that does not answer costs nobody the index that there is.
        if let Some(given) = &embedding {
            given.dimensions()?;
        }
        Self::discard(folder)?;
        let embedding: Arc<dyn Embedding> = match embedding {
            Some(given) => given,
            None => {
                let mut learner = Learner::default();
                documents.iter().for_each(|d| learner.add(d));
                let learned = learner.learn(&Plan::default(), &mut |p| progress("learning", p));
                let bytes = learned.to_bytes();
                write(&folder.join(WORDS), &bytes)?;
                // As read back, so that vectors are the same today and after a restart.
                Arc::new(LearnedEmbedding::from_bytes(&bytes)?)
            }
        };
        let index = Self {
            terms: Terms::create(&folder.join(TERMS))?,
            table: RwLock::new(Table::new(embedding.dimensions()?)),
            meta: Mutex::new(Meta {
                format: FORMAT,
                embedding: embedding.name(),
                learned_from: documents.len(),
                cursor: String::new(),
            }),
            folder: folder.to_owned(),
            embedding,
        };
        write(&folder.join(DENSE), &index.table().to_bytes())?;
        let mut done = 0;
        for chunk in documents.chunks(20_000) {
            index.put(chunk.iter(), &[])?;
            done += chunk.len();
            progress("indexing", done as f32 / documents.len().max(1) as f32);
        }
        index.save_cursor(cursor)?;
        Ok(index)
    }

    /// Opens an index. The embedding must be given that it was built by, and none where it was
    /// learned. An endpoint is asked nothing for this.
    pub fn open(folder: &Path, embedding: Option<Arc<dyn Embedding>>) -> Result<Self, AskError> {
        let meta = read_meta(folder)?;
        let table = Table::from_bytes(&read(folder, DENSE)?)?;
        let embedding: Arc<dyn Embedding> = match embedding {
            Some(given) if given.name() == meta.embedding => given,
            None if meta.embedding == LEARNED => {
                let learned = LearnedEmbedding::from_bytes(&read(folder, WORDS)?)?;
                if table.dimensions() != learned.dimensions()? {
                    return Err(AskError::broken(DENSE, "its vectors are of another length"));
                }
                Arc::new(learned)
            }
            _ => {
                return Err(AskError::Model(format!(
                    "the vectors of the index are those of \"{}\"; configure the same, or build it again",
                    meta.embedding
                )));
            }
        };
        Ok(Self {
            terms: Terms::open(&folder.join(TERMS))?,
            table: RwLock::new(table),
            embedding,
            meta: Mutex::new(meta),
            folder: folder.to_owned(),
        })
    }

    /// What is in the folder.
    pub fn meta(&self) -> Meta {
        let meta = self.meta.lock().unwrap_or_else(PoisonError::into_inner);
        meta.clone()
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many records are found by likeness; withdrawn ones are not among them.
    pub fn len(&self) -> usize {
        self.table().len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.table().is_empty()
    }

    /// Applies changes of the source and remembers how far it has been read.
    pub fn apply(&self, changes: &[Change], cursor: &str) -> Result<(), AskError> {
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
        &self,
        documents: impl Iterator<Item = &'a Document>,
        removed: &[&str],
    ) -> Result<(), AskError> {
        let mut writer = self.terms.writer()?;
        let mut rows = Vec::new();
        let mut waiting: Vec<&Document> = Vec::with_capacity(CHUNK);
        let mut flush = |waiting: &mut Vec<&Document>| -> Result<(), AskError> {
            let texts: Vec<String> = waiting.iter().map(|d| d.all_text()).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let vectors = self.embed(&texts)?;
            let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
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
                flush(&mut waiting)?;
            }
        }
        flush(&mut waiting)?;
        for id in removed {
            writer.remove(key(id));
            let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
            rows.extend(table.set(key(id), None));
        }
        let path = self.folder.join(DENSE);
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(|e| AskError::reading(DENSE, e))?;
        // A row that was not written to its end would shift those behind it.
        let whole = self.table().whole_rows(file.metadata()?.len());
        file.set_len(whole)?;
        file.write_all(&rows)?;
        file.sync_data()?;
        let size = whole + rows.len() as u64;
        let needed = self.table().size() as u64;
        if size > 1_000_000 && size > needed.saturating_mul(3) / 2 {
            write(&path, &self.table().to_bytes())?;
        }
        writer.commit()?;
        Ok(())
    }

    fn save_cursor(&self, cursor: &str) -> Result<(), AskError> {
        let mut meta = self.meta.lock().unwrap_or_else(PoisonError::into_inner);
        meta.cursor = cursor.to_owned();
        let json = serde_json::to_vec_pretty(&*meta).map_err(std::io::Error::from)?;
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

    /// The best by likeness with a vector: key and score.
    pub fn by_likeness(
        &self,
        vector: &[f32],
        filters: &Filters,
        most: usize,
    ) -> Result<Vec<(u64, f32)>, AskError> {
        let allowed: Option<HashSet<u64>> = if filters.limit() {
            Some(self.terms.allowed(filters)?)
        } else {
            None
        };
        Ok(self.table().nearest(vector, most, allowed.as_ref()))
    }

    /// Those that pass the filters, the weightiest first.
    pub fn by_filters(&self, filters: &Filters, most: usize) -> Result<Vec<u64>, AskError> {
        self.terms.weightiest(filters, most)
    }

    /// A text's vector.
    pub fn vector(&self, text: &str) -> Result<Vec<f32>, AskError> {
        self.embed(&[text])?
            .pop()
            .ok_or_else(|| AskError::Model("no vector came for the question".to_owned()))
    }

    /// One vector a text, of the length that the index has.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, AskError> {
        let vectors = self.embedding.embed(texts)?;
        let length = self.table().dimensions();
        if vectors.len() != texts.len() || vectors.iter().any(|v| v.len() != length) {
            return Err(AskError::Model(format!(
                "the vectors of \"{}\" are not those of the index; build it again",
                self.embedding.name()
            )));
        }
        Ok(vectors)
    }

    /// How near a record is to a vector.
    pub fn likeness(&self, vector: &[f32], key: u64) -> Option<f32> {
        self.table().likeness(vector, key)
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
mod tests;
