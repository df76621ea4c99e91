//! The half that knows words, names, products and numbers: tantivy.

use super::key;
use crate::words::Splitter;
use crate::{AskError, Document, Filters};
use std::collections::HashSet;
use std::fmt::Debug;
use std::fs;
use std::ops::Bound;
use std::path::Path;
use tantivy::collector::{Count, DocSetCollector, TopDocs};
use tantivy::columnar::{Column, DynamicColumn, HasAssociatedColumnType};
use tantivy::query::{
    BooleanQuery, ConstScoreQuery, Occur, Query, RangeQuery, TermQuery, TermSetQuery,
};
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing,
    TextOptions, Value,
};
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{IndexReader, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, Term};

const SPLITTER: &str = "words";
const WRITER_BYTES: usize = 64 << 20;

#[derive(Clone, Copy)]
struct Fields {
    key: Field,
    name: Field,
    product: Field,
    text: Field,
    published: Field,
    score: Field,
    exploited: Field,
    live: Field,
    body: Field,
}

pub(super) struct Terms {
    index: tantivy::Index,
    reader: IndexReader,
    fields: Fields,
}

pub(super) struct Writer<'a> {
    terms: &'a Terms,
    writer: IndexWriter,
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let text = TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer(SPLITTER)
            .set_index_option(IndexRecordOption::WithFreqs),
    );
    let fields = Fields {
        key: schema.add_u64_field("key", INDEXED | FAST),
        name: schema.add_text_field("name", STRING),
        product: schema.add_text_field("product", STRING),
        text: schema.add_text_field("text", text),
        published: schema.add_i64_field("published", INDEXED | FAST),
        score: schema.add_u64_field("score", INDEXED | FAST),
        exploited: schema.add_u64_field("exploited", INDEXED | FAST),
        live: schema.add_u64_field("live", INDEXED),
        body: schema.add_bytes_field("body", STORED),
    };
    (schema.build(), fields)
}

impl Terms {
    pub(super) fn create(folder: &Path) -> Result<Self, AskError> {
        match fs::remove_dir_all(folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
            _ => fs::create_dir_all(folder)?,
        }
        let index = tantivy::Index::create_in_dir(folder, schema().0)?;
        Self::over(index)
    }

    pub(super) fn open(folder: &Path) -> Result<Self, AskError> {
        Self::over(tantivy::Index::open_in_dir(folder)?)
    }

    fn over(index: tantivy::Index) -> Result<Self, AskError> {
        let (wanted, fields) = schema();
        if index.schema() != wanted {
            return Err(AskError::broken("terms", "it has other fields"));
        }
        let analyser = TextAnalyzer::from(Splitter);
        index.tokenizers().register(SPLITTER, analyser);
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        Ok(Self {
            index,
            reader,
            fields,
        })
    }

    pub(super) fn writer(&self) -> Result<Writer<'_>, AskError> {
        Ok(Writer {
            terms: self,
            writer: self.index.writer_with_num_threads(1, WRITER_BYTES)?,
        })
    }

    fn exact(&self, field: Field, text: &str) -> Box<dyn Query> {
        let term = Term::from_field_text(field, text);
        Box::new(TermQuery::new(term, IndexRecordOption::Basic))
    }

    fn number(&self, field: Field, value: u64) -> Box<dyn Query> {
        let term = Term::from_field_u64(field, value);
        Box::new(TermQuery::new(term, IndexRecordOption::Basic))
    }

    /// What every hit must be, beside live.
    fn musts(&self, filters: &Filters) -> Vec<(Occur, Box<dyn Query>)> {
        let f = self.fields;
        let mut musts = vec![(Occur::Must, self.number(f.live, 1))];
        let mut range = |low: Bound<Term>, high: Bound<Term>| {
            if !(matches!(low, Bound::Unbounded) && matches!(high, Bound::Unbounded)) {
                let query: Box<dyn Query> = Box::new(RangeQuery::new(low, high));
                musts.push((Occur::Must, query));
            }
        };
        let moment = |t: Option<bartizan_model::Timestamp>| {
            t.map(|t| Term::from_field_i64(f.published, t.micros()))
        };
        range(
            moment(filters.since).map_or(Bound::Unbounded, Bound::Included),
            moment(filters.until).map_or(Bound::Unbounded, Bound::Excluded),
        );
        let tenths = |t: u8| Term::from_field_u64(f.score, u64::from(t));
        let bound = |t: Option<u8>| t.map_or(Bound::Unbounded, |t| Bound::Included(tenths(t)));
        range(bound(filters.least), bound(filters.most));
        if !filters.bands.is_empty() {
            let any = filters.bands.iter().map(|(least, most)| {
                let (least, most) = (
                    Bound::Included(tenths(*least)),
                    Bound::Included(tenths(*most)),
                );
                let query: Box<dyn Query> = Box::new(RangeQuery::new(least, most));
                (Occur::Should, query)
            });
            let any: Box<dyn Query> = Box::new(BooleanQuery::new(any.collect()));
            musts.push((Occur::Must, any));
        }
        if filters.exploited {
            musts.push((Occur::Must, self.number(f.exploited, 1)));
        }
        let products = (!filters.products.is_empty()).then_some(&filters.products);
        for (field, list) in [(f.product, products), (f.name, filters.only.as_ref())] {
            if let Some(list) = list {
                let terms = list
                    .iter()
                    .map(|n| Term::from_field_text(field, &n.to_lowercase()));
                let any: Box<dyn Query> = Box::new(TermSetQuery::new(terms));
                musts.push((Occur::Must, any));
            }
        }
        // Filters choose, they do not rank.
        musts
            .into_iter()
            .map(|(occur, query)| {
                let silent: Box<dyn Query> = Box::new(ConstScoreQuery::new(query, 0.0));
                (occur, silent)
            })
            .collect()
    }

    pub(super) fn best(
        &self,
        text: &str,
        filters: &Filters,
        most: usize,
    ) -> Result<Vec<(u64, f32)>, AskError> {
        let mut unique = crate::words::words(text);
        unique.sort_unstable();
        unique.dedup();
        unique.truncate(256);
        if unique.is_empty() || most == 0 {
            return Ok(Vec::new());
        }
        let any: Vec<(Occur, Box<dyn Query>)> = unique
            .iter()
            .map(|word| {
                let term = Term::from_field_text(self.fields.text, word);
                let query: Box<dyn Query> =
                    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
                (Occur::Should, query)
            })
            .collect();
        let any: Box<dyn Query> = Box::new(BooleanQuery::new(any));
        let mut musts = self.musts(filters);
        musts.push((Occur::Must, any));
        let searcher = self.reader.searcher();
        let found = searcher.search(
            &BooleanQuery::new(musts),
            &TopDocs::with_limit(most).order_by_score(),
        )?;
        let keys = columns(&searcher, "key")?;
        Ok(found
            .into_iter()
            .map(|(score, at)| (value(&keys, at), score))
            .collect())
    }

    pub(super) fn allowed(&self, filters: &Filters) -> Result<HashSet<u64>, AskError> {
        let searcher = self.reader.searcher();
        let found = searcher.search(&BooleanQuery::new(self.musts(filters)), &DocSetCollector)?;
        let keys = columns(&searcher, "key")?;
        Ok(found.into_iter().map(|at| value(&keys, at)).collect())
    }

    /// Exploited first, then by score, then the newest.
    pub(super) fn weightiest(&self, filters: &Filters, most: usize) -> Result<Vec<u64>, AskError> {
        let searcher = self.reader.searcher();
        let found = searcher.search(&BooleanQuery::new(self.musts(filters)), &DocSetCollector)?;
        let keys = columns::<u64>(&searcher, "key")?;
        let scores = columns::<u64>(&searcher, "score")?;
        let exploited = columns::<u64>(&searcher, "exploited")?;
        let published = columns::<i64>(&searcher, "published")?;
        let mut ranked: Vec<(u64, u64, i64, u64)> = found
            .into_iter()
            .map(|at| {
                (
                    value(&exploited, at),
                    value(&scores, at),
                    value(&published, at),
                    value(&keys, at),
                )
            })
            .collect();
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        let best = ranked.into_iter().take(most);
        Ok(best.map(|(_, _, _, key)| key).collect())
    }

    pub(super) fn named(&self, names: &[String], most: usize) -> Result<Vec<Document>, AskError> {
        let any: Vec<(Occur, Box<dyn Query>)> = names
            .iter()
            .take(1_000)
            .map(|n| {
                (
                    Occur::Should,
                    self.exact(self.fields.name, &n.to_lowercase()),
                )
            })
            .collect();
        if any.is_empty() || most == 0 {
            return Ok(Vec::new());
        }
        let searcher = self.reader.searcher();
        let found = searcher.search(
            &BooleanQuery::new(any),
            &TopDocs::with_limit(most).order_by_score(),
        )?;
        found
            .into_iter()
            .map(|(_, at)| self.read(&searcher, at))
            .collect()
    }

    pub(super) fn of_product(&self, product: &str) -> Result<usize, AskError> {
        let query = self.exact(self.fields.product, &product.to_lowercase());
        Ok(self.reader.searcher().search(&query, &Count)?)
    }

    pub(super) fn rarity(&self, word: &str) -> Result<f32, AskError> {
        let searcher = self.reader.searcher();
        let all = searcher.num_docs() as f32;
        let with = searcher.doc_freq(&Term::from_field_text(self.fields.text, word))? as f32;
        Ok((1.0 + (all - with + 0.5).max(0.0) / (with + 0.5)).ln())
    }

    pub(super) fn get(&self, key: u64) -> Result<Option<Document>, AskError> {
        let searcher = self.reader.searcher();
        let query = self.number(self.fields.key, key);
        let found = searcher.search(&query, &TopDocs::with_limit(1).order_by_score())?;
        match found.first() {
            Some((_, at)) => self.read(&searcher, *at).map(Some),
            None => Ok(None),
        }
    }

    fn read(&self, searcher: &Searcher, at: tantivy::DocAddress) -> Result<Document, AskError> {
        let stored: TantivyDocument = searcher.doc(at)?;
        let broken = |why: String| AskError::Broken { file: "terms", why };
        let bytes = stored
            .get_first(self.fields.body)
            .and_then(|v| v.as_bytes())
            .ok_or_else(|| broken("a record has no body".to_owned()))?;
        serde_json::from_slice(bytes).map_err(|e| broken(e.to_string()))
    }
}

/// One column of all segments, in their order; none where no document of a segment has a value.
fn columns<T: HasAssociatedColumnType>(
    searcher: &Searcher,
    name: &str,
) -> Result<Vec<Option<Column<T>>>, AskError>
where
    DynamicColumn: Into<Option<Column<T>>>,
{
    let segments = searcher.segment_readers().iter();
    segments
        .map(|segment| Ok(segment.fast_fields().column_opt(name)?))
        .collect()
}

/// A document's value, 0 where it has none.
fn value<T>(columns: &[Option<Column<T>>], at: tantivy::DocAddress) -> T
where
    T: PartialOrd + Copy + Debug + Default + Send + Sync + 'static,
{
    let column = columns
        .get(at.segment_ord as usize)
        .and_then(Option::as_ref);
    column.and_then(|c| c.first(at.doc_id)).unwrap_or_default()
}

impl Writer<'_> {
    pub(super) fn put(&mut self, document: &Document) -> Result<(), AskError> {
        let f = self.terms.fields;
        let key = key(&document.id);
        self.remove(key);
        let mut row = TantivyDocument::new();
        row.add_u64(f.key, key);
        for name in document.all_names() {
            row.add_text(f.name, name.to_lowercase());
        }
        for product in &document.products {
            let product = product.to_lowercase();
            // The artifact of a group, the package of a scope and the module of a path are asked
            // for without them.
            if let Some((_, last)) = product.rsplit_once(['/', ':']) {
                row.add_text(f.product, last);
            }
            row.add_text(f.product, &product);
        }
        row.add_text(f.text, document.all_text());
        if let Some(published) = document.published {
            row.add_i64(f.published, published.micros());
        }
        if let Some(score) = document.score {
            row.add_u64(f.score, u64::from(score.0));
        }
        row.add_u64(f.exploited, u64::from(document.exploited));
        row.add_u64(f.live, u64::from(!document.withdrawn));
        let body = serde_json::to_vec(document).map_err(std::io::Error::from)?;
        row.add_bytes(f.body, &body);
        self.writer.add_document(row)?;
        Ok(())
    }

    pub(super) fn remove(&mut self, key: u64) {
        let term = Term::from_field_u64(self.terms.fields.key, key);
        self.writer.delete_term(term);
    }

    pub(super) fn commit(mut self) -> Result<(), AskError> {
        self.writer.commit()?;
        self.writer.wait_merging_threads()?;
        self.terms.reader.reload()?;
        Ok(())
    }
}
