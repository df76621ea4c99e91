//! Pages of lists that are put in order here and not by the store: a cursor is the key of its
//! page's last row, so that rows that come or go between two pages shift nothing.

use super::view::bad_field;
use crate::error::{ApiResult, Problem};
use bartizan_store::PageRequest;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longer cursors are none of ours.
const MOST: usize = 16_384;

/// A page of rows with distinct keys, in the order of these, and where the next one begins.
pub(crate) fn cut<K, T>(
    mut rows: Vec<(K, T)>,
    page: &PageRequest,
) -> ApiResult<(Vec<T>, Option<String>)>
where
    K: Ord + Serialize + DeserializeOwned,
{
    let after: Option<K> = match page.cursor.as_deref() {
        None | Some("") => None,
        Some(text) => Some(read(text).ok_or_else(|| {
            bad_field("cursor", "it is not of this list; start again without it.")
        })?),
    };
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let from = after.map_or(0, |after| rows.partition_point(|(key, _)| *key <= after));
    let limit = page.limit as usize;
    let more = rows.len().saturating_sub(from) > limit;
    let rows: Vec<(K, T)> = rows.into_iter().skip(from).take(limit).collect();
    let next = match rows.last() {
        Some((key, _)) if more => Some(hex::encode(
            serde_json::to_vec(key).map_err(Problem::internal)?,
        )),
        _ => None,
    };
    Ok((rows.into_iter().map(|(_, row)| row).collect(), next))
}

fn read<K: DeserializeOwned>(text: &str) -> Option<K> {
    if text.len() > MOST {
        return None;
    }
    serde_json::from_slice(&hex::decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(cursor: Option<String>) -> PageRequest {
        PageRequest { cursor, limit: 2 }
    }

    #[test]
    fn pages_follow_keys_and_not_places() {
        let rows = |keys: &[i64]| keys.iter().map(|k| ((*k, "x".to_owned()), *k)).collect();
        let (first, next) = cut(rows(&[5, 1, 3, 2]), &page(None)).unwrap();
        assert_eq!(first, [1, 2]);
        // Two rows came before the place meanwhile, and the last row that was seen went.
        let (second, next) = cut(rows(&[5, 0, 1, 3, 1, 4]), &page(next)).unwrap();
        assert_eq!(second, [3, 4]);
        let (third, next) = cut(rows(&[5, 3, 4]), &page(next)).unwrap();
        assert_eq!((third, next), (vec![5], None));
        for wrong in ["zz", "00", &hex::encode("7"), &"0".repeat(20_000)] {
            assert!(cut(rows(&[1]), &page(Some(wrong.to_owned()))).is_err());
        }
    }
}
