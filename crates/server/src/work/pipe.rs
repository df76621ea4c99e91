//! Bytes from an asynchronous stream to a synchronous reader, with bounded memory.
//!
//! Parsers are synchronous and run on a blocking thread; object stores are asynchronous.
//! A short channel between them is all that waits in memory.

use bytes::{Buf, Bytes};
use futures::{Stream, StreamExt};
use std::io::{self, Read};
use tokio::sync::mpsc;

/// Blocks of bytes that may wait between stream and reader.
const DEPTH: usize = 4;

/// The reading end: blocks until bytes come, so it must not be read on an async thread.
#[derive(Debug)]
pub struct PipeReader {
    blocks: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl Read for PipeReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.blocks.blocking_recv() {
                None => return Ok(0),
                Some(block) => self.current = block?,
            }
        }
        let n = self.current.len().min(out.len());
        if let Some(to) = out.get_mut(..n) {
            self.current.copy_to_slice(to);
        }
        Ok(n)
    }
}

/// Feeds `stream` into a reader from a task that ends when either side does.
pub fn pipe<S, E>(stream: S) -> PipeReader
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    E: std::fmt::Display + Send,
{
    let (send, blocks) = mpsc::channel(DEPTH);
    tokio::spawn(async move {
        let mut stream = stream;
        while let Some(block) = stream.next().await {
            let block = block.map_err(|error| io::Error::other(error.to_string()));
            let failed = block.is_err();
            if send.send(block).await.is_err() || failed {
                break;
            }
        }
    });
    PipeReader {
        blocks,
        current: Bytes::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_and_errors_arrive_in_order() {
        let blocks: Vec<Result<Bytes, String>> = vec![
            Ok(Bytes::from_static(b"one ")),
            Ok(Bytes::new()),
            Ok(Bytes::from_static(b"two")),
            Err("gone".to_owned()),
        ];
        let mut reader = pipe(futures::stream::iter(blocks));
        let (text, error) = tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            let error = reader.read_to_end(&mut text).unwrap_err();
            (text, error.to_string())
        })
        .await
        .unwrap();
        assert_eq!(text, b"one two");
        assert_eq!(error, "gone");
    }
}
