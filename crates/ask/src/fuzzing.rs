//! Entries for fuzzing: any bytes, neither panic nor hang.

use crate::answer::{Deltas, Gate, Piece, tame};
use crate::rerank::WordPiece;
use crate::vectors::{LearnedEmbedding, Table};
use crate::{Document, Kind, Question};
use bartizan_model::Timestamp;

/// Questions.
pub fn question(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(question) = Question::read(text, Timestamp::from_micros(1_700_000_000_000_000)) {
        let _ = question.informative();
        let _ = question.filters.words();
    }
}

/// What an endpoint streams: whatever comes out cites the one record there is.
pub fn stream(bytes: &[u8]) {
    let mut document = Document::new("CVE-2024-0001", Kind::Cve, "fuzz");
    document.text = tame(&String::from_utf8_lossy(bytes)).0;
    let mut gate = Gate::new(&[document]);
    let mut deltas = Deltas::default();
    let mut verdicts = Vec::new();
    for chunk in bytes.chunks(7) {
        for piece in deltas.push(chunk) {
            if let Piece::Text(text) = piece {
                verdicts.extend(gate.push(&text));
            }
        }
    }
    verdicts.extend(gate.push(&String::from_utf8_lossy(bytes)));
    verdicts.extend(gate.finish());
    for verdict in verdicts {
        if let crate::answer::Verdict::Sentence(sentence) = verdict {
            assert_eq!(sentence.cites, ["CVE-2024-0001"]);
        }
    }
}

/// What an endpoint of vectors answers: so many as were asked for, of one length.
pub fn vectors(bytes: &[u8]) {
    let count = bytes.first().map_or(0, |b| usize::from(b % 4));
    if let Ok(vectors) = crate::vectors::read(bytes.get(1..).unwrap_or(&[]), count) {
        assert_eq!(vectors.len(), count);
        assert!(
            vectors
                .iter()
                .all(|v| Some(v.len()) == vectors.first().map(Vec::len))
        );
    }
}

/// Files of the index and of a model.
pub fn files(bytes: &[u8]) {
    let _ = LearnedEmbedding::from_bytes(bytes);
    let _ = Table::from_bytes(bytes);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(words) = WordPiece::read(text)
    {
        let _ = words.encode(text, 64);
    }
}
