//! A layer's stream: unpacked, bounded, and compared with its digest.

use bartizan_model::Digest;
use sha2::{Digest as _, Sha256};
use std::cell::Cell;
use std::io::{self, BufReader, Cursor, Read};
use std::rc::Rc;

/// A layer may grow by so much in unpacking; real ones grow by less than ten.
const RATIO: u64 = 200;
/// What is never called a bomb.
const FREE: u64 = 256 << 20;
const BUFFER: usize = 128 << 10;

/// What a digest is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The bytes as they are stored, as a manifest says.
    Packed,
    /// The bytes of the tar, as a configuration says.
    Unpacked,
}

/// A reader that counts, and hashes where it is asked to.
struct Counting<R> {
    inner: R,
    hash: Option<Sha256>,
    /// Shared with whoever compares it.
    count: Rc<Cell<u64>>,
    failed: bool,
}

impl<R: Read> Counting<R> {
    fn new(inner: R, hashed: bool) -> Self {
        Self {
            inner,
            hash: hashed.then(Sha256::new),
            count: Rc::default(),
            failed: false,
        }
    }

    fn digest(&mut self) -> Option<Digest> {
        let sum = self.hash.take()?.finalize();
        Digest::new(format!("sha256:{}", hex::encode(sum))).ok()
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer).inspect_err(|e| {
            self.failed |= e.kind() != io::ErrorKind::Interrupted;
        })?;
        self.count.set(self.count.get() + read as u64);
        if let Some(hash) = &mut self.hash {
            hash.update(buffer.get(..read).unwrap_or_default());
        }
        Ok(read)
    }
}

/// Ends with an error where more comes out than may.
struct Bounded<R> {
    inner: Counting<R>,
    most: u64,
    packed: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let count = self.inner.count.get();
        if count > self.most {
            return Err(io::Error::other("the image is larger than is read"));
        }
        if count > FREE + RATIO * self.packed.get() {
            return Err(io::Error::other(format!(
                "it unpacks to more than {RATIO} times its size"
            )));
        }
        Ok(read)
    }
}

/// How reading ended.
pub(crate) struct End {
    /// What came, where it could be told.
    pub(crate) digest: Option<Digest>,
    /// Whether the rest could be read.
    pub(crate) read: io::Result<()>,
    /// Bytes of the tar.
    pub(crate) unpacked: u64,
}

/// A layer that is being read.
pub(crate) struct Opened<'r> {
    raw: Counting<io::Take<Box<dyn Read + 'r>>>,
    side: Side,
    most: u64,
    digest: Option<Digest>,
    rest: io::Result<()>,
    unpacked: u64,
}

impl<'r> Opened<'r> {
    pub(crate) fn new(raw: Box<dyn Read + 'r>, side: Side, size: Option<u64>, most: u64) -> Self {
        // One more than it may have: then its digest is another.
        let limit = size.unwrap_or(most).saturating_add(1);
        Self {
            raw: Counting::new(raw.take(limit), side == Side::Packed),
            side,
            most,
            digest: None,
            rest: Ok(()),
            unpacked: 0,
        }
    }

    /// Reads the tar.
    pub(crate) fn with(
        &mut self,
        read: &mut dyn FnMut(&mut dyn Read) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut head = Vec::new();
        (&mut self.raw).take(6).read_to_end(&mut head)?;
        let is_gzip = head.starts_with(&[0x1f, 0x8b]);
        let is_zstd = head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
        let packed = Rc::clone(&self.raw.count);
        let whole = BufReader::with_capacity(BUFFER, Cursor::new(head).chain(&mut self.raw));
        let decoder: Box<dyn Read + '_> = if is_gzip {
            Box::new(flate2::bufread::MultiGzDecoder::new(whole))
        } else if is_zstd {
            Box::new(zstd::stream::read::Decoder::with_buffer(whole)?)
        } else {
            Box::new(whole)
        };
        let mut plain = Bounded {
            inner: Counting::new(decoder, self.side == Side::Unpacked),
            most: self.most,
            packed,
        };
        let told = {
            let mut buffered = BufReader::with_capacity(BUFFER, &mut plain);
            read(&mut buffered)
        };
        // What follows the end of the tar belongs to its digest.
        if told.is_ok() {
            self.rest = io::copy(&mut plain, &mut io::sink()).map(drop);
        }
        self.unpacked = plain.inner.count.get();
        if told.is_ok() && self.rest.is_ok() {
            self.digest = plain.inner.digest();
        }
        told
    }

    /// The rest of what is stored, and what all of it was.
    pub(crate) fn end(mut self) -> End {
        let drained = match self.raw.failed {
            true => Ok(()),
            false => io::copy(&mut self.raw, &mut io::sink()).map(drop),
        };
        // A reader that failed has not told all: that is no forgery.
        let digest = match self.side {
            Side::Packed if self.raw.failed => None,
            Side::Packed => self.raw.digest(),
            Side::Unpacked => self.digest,
        };
        End {
            digest,
            read: self.rest.and(drained),
            unpacked: self.unpacked,
        }
    }
}
