//! The vectors of all records, a byte a dimension, scanned from end to end.
//!
//! A scan of 300,000 reads 77 MB, which takes tens of milliseconds: no graph to build, to tune or
//! to keep, and a record that changes is one row written at the end of the file.

use crate::AskError;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

const MAGIC: &[u8; 8] = b"bzdense1";
const FILE: &str = "dense.bin";
const HEAD: usize = 12;
/// A longer vector is refused.
pub(super) const MAX_DIMENSIONS: usize = 4096;

/// Rows by key.
#[derive(Debug, Clone, Default)]
pub struct Table {
    dimensions: usize,
    rows: HashMap<u64, usize>,
    keys: Vec<u64>,
    scales: Vec<f32>,
    cells: Vec<i8>,
}

impl Table {
    /// An empty one.
    pub fn new(dimensions: usize) -> Self {
        Self {
            dimensions: dimensions.clamp(1, MAX_DIMENSIONS),
            ..Self::default()
        }
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How long vectors are.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Sets a record's vector; `None` takes the record out. Gives the bytes to append to the file.
    pub fn set(&mut self, key: u64, vector: Option<&[f32]>) -> Vec<u8> {
        let mut cells = vec![0i8; self.dimensions];
        let mut scale = 0f32;
        if let Some(vector) = vector {
            let largest = vector.iter().fold(0f32, |m, v| m.max(v.abs()));
            if largest > 1e-9 && largest.is_finite() {
                scale = largest / 127.0;
                for (cell, v) in cells.iter_mut().zip(vector) {
                    *cell = (v / scale).round() as i8;
                }
            }
        }
        let mut bytes = Vec::with_capacity(12 + self.dimensions);
        bytes.extend_from_slice(&key.to_le_bytes());
        bytes.extend_from_slice(&scale.to_le_bytes());
        bytes.extend(cells.iter().map(|c| *c as u8));
        self.put(key, scale, &cells);
        bytes
    }

    fn put(&mut self, key: u64, scale: f32, cells: &[i8]) {
        let place = self.rows.get(&key).copied();
        if scale == 0.0 {
            // The last row takes the place of the one that goes.
            if let (Some(place), Some(last)) = (place, self.keys.len().checked_sub(1)) {
                let (to, from) = (place * self.dimensions, last * self.dimensions);
                self.cells.copy_within(from..from + self.dimensions, to);
                self.cells.truncate(from);
                self.keys.swap_remove(place);
                self.scales.swap_remove(place);
                self.rows.remove(&key);
                if let Some(moved) = self.keys.get(place) {
                    self.rows.insert(*moved, place);
                }
            }
            return;
        }
        match place {
            Some(place) => {
                let at = place * self.dimensions;
                if let Some(old) = self.cells.get_mut(at..at + self.dimensions) {
                    old.copy_from_slice(cells);
                }
                if let Some(old) = self.scales.get_mut(place) {
                    *old = scale;
                }
            }
            None => {
                self.rows.insert(key, self.keys.len());
                self.keys.push(key);
                self.scales.push(scale);
                self.cells.extend_from_slice(cells);
            }
        }
    }

    /// The nearest, nearest first; only those that are allowed where there is a list.
    pub fn nearest(
        &self,
        vector: &[f32],
        most: usize,
        allowed: Option<&HashSet<u64>>,
    ) -> Vec<(u64, f32)> {
        let largest = vector.iter().fold(0f32, |m, v| m.max(v.abs()));
        if largest <= 1e-9 || vector.len() != self.dimensions || most == 0 {
            return Vec::new();
        }
        let scale = largest / 127.0;
        let asked: Vec<i8> = vector.iter().map(|v| (v / scale).round() as i8).collect();
        let mut best: BinaryHeap<Reverse<(Score, u64)>> = BinaryHeap::with_capacity(most + 1);
        let rows = self.cells.chunks_exact(self.dimensions);
        for ((cells, row_scale), key) in rows.zip(&self.scales).zip(&self.keys) {
            if allowed.is_some_and(|a| !a.contains(key)) {
                continue;
            }
            let score = Score(product(&asked, cells) as f32 * row_scale * scale);
            if best.len() < most {
                best.push(Reverse((score, *key)));
            } else if best
                .peek()
                .is_some_and(|Reverse(least)| (score, *key) > *least)
            {
                best.pop();
                best.push(Reverse((score, *key)));
            }
        }
        let mut found: Vec<(u64, f32)> = best
            .into_iter()
            .map(|Reverse((score, key))| (key, score.0))
            .collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found
    }

    /// The likeness with one record.
    pub fn likeness(&self, vector: &[f32], key: u64) -> Option<f32> {
        let place = *self.rows.get(&key)?;
        let at = place * self.dimensions;
        let cells = self.cells.get(at..at + self.dimensions)?;
        let sum: f32 = cells
            .iter()
            .zip(vector)
            .map(|(c, v)| f32::from(*c) * v)
            .sum();
        Some(sum * self.scales.get(place)?)
    }

    /// As a whole file, without rows that were replaced.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + self.keys.len() * (12 + self.dimensions));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&(self.dimensions as u32).to_le_bytes());
        let rows = self.cells.chunks_exact(self.dimensions);
        for ((cells, scale), key) in rows.zip(&self.scales).zip(&self.keys) {
            out.extend_from_slice(&key.to_le_bytes());
            out.extend_from_slice(&scale.to_le_bytes());
            out.extend(cells.iter().map(|c| *c as u8));
        }
        out
    }

    /// Bytes of its rows in a file that holds each once.
    pub fn size(&self) -> usize {
        self.len() * (12 + self.dimensions)
    }

    /// The length of a file without what was not written to its row's end.
    pub fn whole_rows(&self, length: u64) -> u64 {
        let (head, width) = (HEAD as u64, (12 + self.dimensions) as u64);
        head + length.saturating_sub(head) / width * width
    }

    /// From a file; of several rows with one key the last counts. A last row that was not written
    /// to its end is left out.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AskError> {
        let broken = |why: &str| AskError::Broken {
            file: FILE,
            why: why.to_owned(),
        };
        let (head, rows) = bytes
            .split_at_checked(HEAD)
            .ok_or_else(|| broken("it ends early"))?;
        let (magic, dimensions) = head.split_at(8);
        if magic != MAGIC {
            return Err(broken("it is no file of vectors"));
        }
        let dimensions = u32::from_le_bytes(dimensions.try_into().unwrap_or_default()) as usize;
        if dimensions == 0 || dimensions > MAX_DIMENSIONS {
            return Err(broken("its vectors have no usable length"));
        }
        let mut table = Self::new(dimensions);
        let width = 12 + dimensions;
        let mut cells = vec![0i8; dimensions];
        for row in rows.chunks_exact(width) {
            let (key, rest) = row.split_at(8);
            let (scale, values) = rest.split_at(4);
            let scale = f32::from_le_bytes(scale.try_into().unwrap_or_default());
            if !scale.is_finite() {
                return Err(broken("a scale is no number"));
            }
            for (cell, value) in cells.iter_mut().zip(values) {
                *cell = *value as i8;
            }
            let key = u64::from_le_bytes(key.try_into().unwrap_or_default());
            table.put(key, scale, &cells);
        }
        Ok(table)
    }
}

fn product(a: &[i8], b: &[i8]) -> i32 {
    a.iter()
        .zip(b)
        .map(|(x, y)| i32::from(i16::from(*x) * i16::from(*y)))
        .sum()
}

#[derive(Clone, Copy, PartialEq)]
struct Score(f32);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(dimensions: usize, at: usize) -> Vec<f32> {
        (0..dimensions)
            .map(|i| if i == at { 1.0 } else { 0.1 })
            .collect()
    }

    #[test]
    fn what_is_written_row_by_row_reads_back_and_a_torn_row_is_left_out() {
        let mut table = Table::new(8);
        let mut file = table.to_bytes();
        for key in 0..5u64 {
            file.extend(table.set(key, Some(&unit(8, key as usize))));
        }
        file.extend(table.set(1, None));
        file.extend(table.set(3, Some(&unit(8, 7))));
        let whole = file.len();
        file.extend([1, 2, 3]);
        let read = Table::from_bytes(&file).unwrap();
        let holds = read.whole_rows(file.len() as u64);
        assert_eq!((read.len(), holds), (4, whole as u64));
        for t in [
            &table,
            &read,
            &Table::from_bytes(&table.to_bytes()).unwrap(),
        ] {
            assert_eq!(t.nearest(&unit(8, 7), 1, None)[0].0, 3);
            assert_eq!(t.nearest(&unit(8, 4), 1, None)[0].0, 4);
            assert!(t.nearest(&unit(8, 1), 9, None).iter().all(|(k, _)| *k != 1));
            let only = HashSet::from([0]);
            assert_eq!(t.nearest(&unit(8, 4), 9, Some(&only)).len(), 1);
        }
    }
}
