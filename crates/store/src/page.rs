//! Pages of lists.

use crate::error::{Result, StoreError};
use serde::{Serialize, de::DeserializeOwned};

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; opaque; none on the last page.
    pub next_cursor: Option<String>,
    /// How many rows match altogether, where it is counted.
    pub total: Option<Total>,
}

/// A count that may have been cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Total {
    /// How many were counted.
    pub count: u64,
    /// Whether there are more.
    pub capped: bool,
}

/// What page is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// From an earlier [`Page::next_cursor`]; none for the first page.
    pub cursor: Option<String>,
    /// How many rows, 1 to 1,000.
    pub limit: u32,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            cursor: None,
            limit: 50,
        }
    }
}

impl PageRequest {
    /// The limit, put into its bounds.
    pub(crate) fn rows(&self) -> usize {
        self.limit.clamp(1, 1_000) as usize
    }

    /// Reads the cursor.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let bad = || {
            StoreError::Invalid(
                "the cursor is not valid for this list; start again without a cursor".to_owned(),
            )
        };
        let Some(text) = &self.cursor else {
            return Ok(None);
        };
        if text.len() > 16_384 {
            return Err(bad());
        }
        let bytes = hex::decode(text).map_err(|_| bad())?;
        serde_json::from_slice(&bytes).map(Some).map_err(|_| bad())
    }
}

/// Writes a cursor.
pub(crate) fn encode<T: Serialize>(position: &T) -> Result<String> {
    Ok(hex::encode(serde_json::to_vec(position)?))
}

impl<T> Page<T> {
    /// Makes a page of up to `limit` rows out of up to `limit + 1` fetched ones.
    pub(crate) fn cut<C: Serialize>(
        mut rows: Vec<T>,
        limit: usize,
        position: impl Fn(&T) -> C,
    ) -> Result<Self> {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = match rows.last() {
            Some(last) if more => Some(encode(&position(last))?),
            _ => None,
        };
        Ok(Self {
            items: rows,
            next_cursor,
            total: None,
        })
    }
}
