//! The bytes of a file: unpacked, counted, and with lines to name in errors.

use std::io::{self, BufRead, BufReader, Read};

/// The longest tag or text between two tags; longer ones are nobody's honest result.
const MAX_EVENT: usize = 8 << 20;

/// Why the input ended early.
#[derive(Debug)]
pub(super) enum Fault {
    /// More bytes than are allowed, counted when unpacked.
    TooLarge,
    /// A tag or text that is too long.
    TooLong,
    /// The disk, the connection, or a packed file that is damaged.
    Io(io::Error),
}

/// A reader that ends with an error, not with silence, where a limit is reached.
pub(super) struct Guard<R> {
    inner: BufReader<R>,
    used: u64,
    most: u64,
    /// Lines that have ended.
    lines: u64,
    /// Bytes since the last tag or text.
    since: usize,
    fault: Option<Fault>,
}

impl<R: Read> Guard<R> {
    pub(super) fn new(inner: R, most: u64) -> Self {
        Self {
            inner: BufReader::with_capacity(64 << 10, inner),
            used: 0,
            most,
            lines: 0,
            since: 0,
            fault: None,
        }
    }

    /// The line that is read, from 1.
    pub(super) fn line(&self) -> u64 {
        self.lines + 1
    }

    /// A tag or text is read whole.
    pub(super) fn rest(&mut self) {
        self.since = 0;
    }

    /// Why it ended early, once.
    pub(super) fn fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut ready = self.fill_buf()?;
        let got = ready.read(buffer)?;
        self.consume(got);
        Ok(got)
    }
}

impl<R: Read> BufRead for Guard<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used > self.most {
            self.fault = Some(Fault::TooLarge);
            return Err(io::Error::other("too large"));
        }
        if self.since > MAX_EVENT {
            self.fault = Some(Fault::TooLong);
            return Err(io::Error::other("too long"));
        }
        match self.inner.fill_buf() {
            Ok(ready) => Ok(ready),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.fault = Some(Fault::Io(error));
                Err(io::Error::other("input failed"))
            }
        }
    }

    fn consume(&mut self, amount: usize) {
        let ready = self.inner.buffer();
        let read = ready.get(..amount).unwrap_or(ready);
        self.lines += read.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.used += amount as u64;
        self.since += amount;
        self.inner.consume(amount);
    }
}

/// The input as it is, or unpacked where its first bytes are those of gzip or bzip2.
pub(super) fn unpacked<'a, R: Read + 'a>(mut input: R) -> io::Result<Box<dyn Read + 'a>> {
    let mut head = Vec::with_capacity(3);
    input.by_ref().take(3).read_to_end(&mut head)?;
    let (is_gzip, is_bzip2) = (head.starts_with(b"\x1f\x8b"), head.starts_with(b"BZh"));
    let whole = io::Cursor::new(head).chain(input);
    Ok(if is_gzip {
        Box::new(Damaged(flate2::read::MultiGzDecoder::new(whole)))
    } else if is_bzip2 {
        Box::new(Damaged(bzip2::read::MultiBzDecoder::new(whole)))
    } else {
        Box::new(whole)
    })
}

/// Whether a failing input is the sender's fault: what cannot be unpacked is.
pub(super) fn is_damage(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// Makes what a decoder says of damaged bytes tell apart from a failing disk.
struct Damaged<R>(R);

impl<R: Read> Read for Damaged<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
                io::Error::new(io::ErrorKind::InvalidData, error)
            }
            _ => error,
        })
    }
}
