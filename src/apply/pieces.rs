//! Pieces of archive files: what was written in one go, as whole lines, one gzip member or one zstd frame; and looking at a
//! file for whether they are there. It reads files and changes nothing.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use flate2::Compression;
use flate2::bufread::{GzDecoder, MultiGzDecoder};
use flate2::write::GzEncoder;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::journal::{BOUNDARY, Piece};
use redrive_protocol::message::MessageId;
use redrive_protocol::target::TargetId;

/// Bytes of each digest in [`Piece::beginnings`].
const BEGINNING: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Plain,
    Gzip,
    Zstd,
}

impl Format {
    /// By the ending of the file's name.
    pub(super) fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// The bytes of a piece that holds these lines.
    pub(super) fn encode(self, text: String) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(text.into_bytes()),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(text.as_bytes())?;
                encoder.finish()
            }
            Self::Zstd => zstd::encode_all(text.as_bytes(), 0),
        }
    }

    fn decode(self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        match self {
            Self::Plain => return Ok(bytes),
            Self::Gzip => MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text)?,
            Self::Zstd => zstd::Decoder::new(&bytes[..])?.read_to_end(&mut text)?,
        };
        Ok(text)
    }
}

/// The piece that these bytes are, to be written there.
pub(super) fn piece(target: TargetId, file: (u64, u64), start: u64, bytes: &[u8]) -> Piece {
    let (mut sha, mut beginnings, mut at) = (Sha256::new(), Vec::new(), 0);
    for boundary in boundaries(start, bytes.len()) {
        sha.update(&bytes[at..boundary]);
        beginnings.extend_from_slice(&sha.clone().finalize()[..BEGINNING]);
        at = boundary;
    }
    sha.update(&bytes[at..]);
    let (length, digest) = (bytes.len() as u64, sha.finalize().into());
    Piece { target, start, length, file, digest, beginnings: Some(beginnings) }
}

/// Where a write of so many bytes to this place of a file may end short of its end, counted from there.
fn boundaries(start: u64, length: usize) -> impl Iterator<Item = usize> + Clone {
    let first = usize::try_from(BOUNDARY - start % BOUNDARY).unwrap_or(usize::MAX);
    (first..length).step_by(usize::try_from(BOUNDARY).unwrap_or(usize::MAX))
}

/// What is in the file where a piece was about to be written when the process died.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All of it.
    Whole,
    /// Its beginning, which was provably written by this run, and nothing behind that.
    Torn,
    /// Nothing, or provably none of it.
    Nothing,
    /// Nobody can say whose it is.
    Unknown,
}

/// Looks for a piece in a file of this length.
pub(super) fn find(piece: &Piece, file: &File, length: u64) -> io::Result<Found> {
    let there = length.saturating_sub(piece.start).min(piece.length);
    let mut bytes = vec![0; usize::try_from(there).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, piece.start)?;
    if there == 0 {
        return Ok(Found::Nothing);
    }
    if there == piece.length && Sha256::digest(&bytes)[..] == piece.digest {
        return Ok(Found::Whole);
    }
    let beginnings = piece.beginnings.as_deref().unwrap_or_default();
    let (digests, _) = beginnings.as_chunks::<BEGINNING>();
    let mut known = boundaries(piece.start, usize::try_from(piece.length).unwrap_or(usize::MAX)).zip(digests);
    let is = |(boundary, digest): &(usize, &[u8; BEGINNING])| {
        bytes.get(..*boundary).map(|beginning| Sha256::digest(beginning)[..BEGINNING] == **digest)
    };
    if there < piece.length && known.clone().any(|one| one.0 == bytes.len() && is(&one) == Some(true)) {
        return Ok(Found::Torn);
    }
    Ok(match known.next() {
        // Too short to be torn.
        None if there == piece.length => Found::Nothing,
        Some(first) if is(&first) == Some(false) => Found::Nothing,
        _ => Found::Unknown,
    })
}

/// Which messages to look for in pieces.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    None,
    All,
    Of(HashSet<MessageId>),
}

/// What there is of pieces.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// How many are not as they were written.
    pub(super) damaged: usize,
    /// Those of the wanted messages that are in pieces which are.
    pub(super) found: HashSet<MessageId>,
}

/// The part of an envelope that tells whose line it is.
#[derive(Deserialize)]
struct Line {
    message_id: String,
}

impl Look {
    /// Looks at one piece of a file of this length; without a file it is gone.
    pub(super) fn at(
        &mut self,
        piece: &Piece,
        file: Option<(&File, u64)>,
        format: Format,
        wanted: &Wanted,
    ) -> io::Result<()> {
        let Some((file, _)) = file.filter(|(_, length)| piece.start + piece.length <= *length) else {
            self.damaged += 1;
            return Ok(());
        };
        let mut bytes = vec![0; usize::try_from(piece.length).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, piece.start)?;
        if Sha256::digest(&bytes)[..] != piece.digest {
            self.damaged += 1;
            return Ok(());
        }
        if matches!(wanted, Wanted::None) {
            return Ok(());
        }
        for line in format.decode(bytes)?.split(|byte| *byte == b'\n') {
            let Ok(line) = serde_json::from_slice::<Line>(line) else { continue };
            let id = MessageId::new(line.message_id);
            if !matches!(wanted, Wanted::Of(ids) if !ids.contains(&id)) {
                self.found.insert(id);
            }
        }
        Ok(())
    }
}

/// Whether a file ends with a whole record between these two places.
pub(super) fn is_whole(file: &File, format: Format, from: u64, to: u64) -> io::Result<bool> {
    if from >= to {
        return Ok(true);
    }
    if format == Format::Plain {
        let mut last = [0];
        file.read_exact_at(&mut last, to - 1)?;
        return Ok(last == *b"\n");
    }
    let mut reader = BufReader::new(Section { file, at: from, to });
    while !reader.fill_buf()?.is_empty() {
        let read = match format {
            Format::Zstd => zstd::Decoder::with_buffer(&mut reader)
                .and_then(|decoder| io::copy(&mut decoder.single_frame(), &mut io::sink())),
            Format::Plain | Format::Gzip => io::copy(&mut GzDecoder::new(&mut reader), &mut io::sink()),
        };
        if read.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A part of a file, read without moving the file's own place.
struct Section<'f> {
    file: &'f File,
    at: u64,
    to: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.to - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..left], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
