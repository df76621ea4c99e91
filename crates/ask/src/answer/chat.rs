//! An OpenAI-compatible chat endpoint: what is asked of it, and the reading of what it streams.
//! The connection is whoever's implements [`Chat`]: `cli` and `server`, with their timeouts.

use serde::Serialize;
use serde_json::{Value, json};
use std::ops::ControlFlow;

/// A line of the stream is not longer.
const MAX_LINE: usize = 1 << 20;

/// A request, complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChatRequest {
    /// The model's name.
    pub model: String,
    /// The rules.
    pub system: String,
    /// Question and records.
    pub user: String,
    /// The most that may be answered.
    pub max_tokens: usize,
}

impl ChatRequest {
    /// The body to post to `…/chat/completions`. It offers no tools.
    pub fn body(&self) -> Value {
        json!({
            "model": self.model,
            "stream": true,
            "temperature": 0,
            "max_tokens": self.max_tokens,
            "messages": [
                {"role": "system", "content": self.system},
                {"role": "user", "content": self.user},
            ],
        })
    }
}

/// An endpoint.
pub trait Chat: Send + Sync {
    /// Which model.
    fn model(&self) -> String;

    /// Sends the request and hands on the bytes of the answer's body as they come, until they end,
    /// time is up, or the receiver has enough.
    fn stream(
        &self,
        request: &ChatRequest,
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), String>;
}

/// A piece of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text.
    Text(String),
    /// The model asks for a tool. It is told, and nothing is done.
    Action,
    /// What cannot be read.
    Trouble(String),
    /// The end.
    End,
}

/// Reads a body as it comes: server-sent events, or one JSON document where the endpoint does not
/// stream.
#[derive(Debug, Default)]
pub struct Deltas {
    waiting: Vec<u8>,
    whole: Option<bool>,
    ended: bool,
}

impl Deltas {
    /// More bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if self.ended {
            return pieces;
        }
        if self.waiting.len() + bytes.len() > MAX_LINE {
            self.ended = true;
            pieces.push(Piece::Trouble(
                "the endpoint sent a line without end".to_owned(),
            ));
            pieces.push(Piece::End);
            return pieces;
        }
        self.waiting.extend_from_slice(bytes);
        if self.whole.is_none() {
            self.whole = self
                .waiting
                .iter()
                .find(|b| !b.is_ascii_whitespace())
                .map(|b| *b == b'{');
        }
        if self.whole == Some(true) {
            // One document: complete as soon as it reads.
            if let Ok(value) = serde_json::from_slice::<Value>(&self.waiting) {
                read(&value, "message", &mut pieces);
                pieces.push(Piece::End);
                self.ended = true;
            }
            return pieces;
        }
        while let Some(at) = self.waiting.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.waiting.drain(..=at).collect();
            let line = String::from_utf8_lossy(&line);
            let Some(data) = line.trim().strip_prefix("data:").map(str::trim) else {
                continue;
            };
            if data == "[DONE]" {
                pieces.push(Piece::End);
                self.ended = true;
                break;
            }
            match serde_json::from_str::<Value>(data) {
                Ok(value) => read(&value, "delta", &mut pieces),
                Err(_) => pieces.push(Piece::Trouble(
                    "the endpoint sent an event that is no JSON".to_owned(),
                )),
            }
        }
        pieces
    }
}

fn read(value: &Value, part: &str, pieces: &mut Vec<Piece>) {
    if value.get("error").is_some_and(|e| !e.is_null()) {
        pieces.push(Piece::Trouble(
            "the endpoint answered with an error".to_owned(),
        ));
    }
    let choice = value.get("choices").and_then(|c| c.get(0));
    let Some(part) = choice.and_then(|c| c.get(part)) else {
        return;
    };
    if let Some(text) = part.get("content").and_then(Value::as_str)
        && !text.is_empty()
    {
        pieces.push(Piece::Text(text.to_owned()));
    }
    let calls = part.get("tool_calls").and_then(Value::as_array);
    let single = part.get("function_call");
    let asked = calls.map_or(0, Vec::len) + usize::from(single.is_some_and(|s| !s.is_null()));
    pieces.extend((0..asked.min(16)).map(|_| Piece::Action));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_same_however_the_bytes_are_cut() {
        let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"Grüße \"}}]}\r\n\r\n: ping\n\
            data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"delete_all\"}}]}}]}\n\n\
            data: {\"choices\":[{\"delta\":{\"content\":\"end.\"}}]}\ndata: [DONE]\ndata: {}\n";
        let want = [
            Piece::Text("Grüße ".to_owned()),
            Piece::Action,
            Piece::Text("end.".to_owned()),
            Piece::End,
        ];
        for size in [1, 2, 3, 7, 1000] {
            let mut deltas = Deltas::default();
            let pieces: Vec<Piece> = stream
                .as_bytes()
                .chunks(size)
                .flat_map(|c| deltas.push(c))
                .collect();
            assert_eq!(pieces, want, "{size}");
        }
    }

    #[test]
    fn an_endpoint_that_does_not_stream_is_read_too() {
        let mut deltas = Deltas::default();
        let pieces = deltas.push(b" {\"choices\":[{\"message\":{\"content\":\"All.\"}}]}");
        assert_eq!(pieces, [Piece::Text("All.".to_owned()), Piece::End]);
        let mut endless = Deltas::default();
        let mut last = Vec::new();
        for _ in 0..2_000 {
            last.extend(endless.push(&[b'x'; 1024]));
        }
        assert_eq!(last.last(), Some(&Piece::End));
    }
}
