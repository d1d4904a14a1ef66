//! A file of JSON Lines as archive, plain or compressed. Each append is one write of whole lines (one gzip member or zstd
//! frame) and one sync; so what a crash leaves behind is whole up to the last torn piece, which the next session cuts off.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use redrive_protocol::message::MessageId;
use serde::Deserialize;

use crate::error::{Error, Kind, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Plain,
    Gzip,
    Zstd,
}

/// An archive file, open for appending.
#[derive(Debug)]
pub struct FileArchive {
    path: PathBuf,
    format: Format,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    /// The end of what is whole; a failed append is cut back to it.
    length: u64,
    /// Messages in doubt that were found in the file.
    present: HashSet<MessageId>,
}

/// The part of an envelope that tells whose line it is.
#[derive(Deserialize)]
struct Line {
    message_id: String,
}

impl FileArchive {
    /// Opens or creates the file, readable by its owner only. A torn end is cut off where this run had been at work on the
    /// file (`resumed`), and refused where it had not. `doubtful`: messages that may be in the file already.
    pub fn open(path: &Path, resumed: bool, doubtful: &HashSet<MessageId>) -> Result<Self> {
        let failed = |error: std::io::Error| unusable(path, &error);
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        }
        // A link would lead to a file that no plan has shown, and a pipe or a device takes nothing for good.
        if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(Error::failed(format!("{} is not a regular file", path.display()))
                .hint("nothing was written; name the file itself in the job, not a link to it"));
        }
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Format::Gzip,
            Some("zst") => Format::Zstd,
            _ => Format::Plain,
        };
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
        let (whole, present) = scan(&mut file, format, doubtful).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        if whole < length {
            if !resumed {
                return Err(Error::failed(format!("the file {} ends in the middle of a record", path.display()))
                    .hint("nothing was written; move it away, or name another file in the job"));
            }
            file.set_len(whole).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        // The name is as durable as the content: without its directory on disk a synced file can be gone after a power loss.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|directory| directory.sync_all()).map_err(failed)?;
        Ok(Self { path: path.to_owned(), format, inner: Mutex::new(Inner { file, length: whole, present }) })
    }

    /// Appends lines and syncs; those that are in the file already are left out. After an error nothing of it is in the
    /// file, as far as the disk lets itself be told.
    pub(super) fn append(&self, lines: &[(MessageId, String)]) -> Result<()> {
        let failed = |error: std::io::Error| unusable(&self.path, &error);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (id, line) in lines {
            if !inner.present.contains(id) {
                text.push_str(line);
                text.push('\n');
            }
        }
        if text.is_empty() {
            return Ok(());
        }
        let bytes = match self.format {
            Format::Plain => text.into_bytes(),
            Format::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).map_err(failed)?
            }
            Format::Zstd => zstd::encode_all(text.as_bytes(), 0).map_err(failed)?,
        };
        let start = inner.length;
        let written = inner
            .file
            .seek(SeekFrom::Start(start))
            .and_then(|_| inner.file.write_all(&bytes))
            .and_then(|()| inner.file.sync_data());
        if let Err(error) = written {
            // Best effort: what cannot be cut off now is cut off by the next session.
            let _ = inner.file.set_len(start);
            return Err(failed(error));
        }
        inner.length += bytes.len() as u64;
        Ok(())
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Kind::Stopped, format!("the file {} cannot be used: {error}", path.display())).hint(
        "no message is deleted before its line is on disk; free the path or the disk, and run the same command again",
    )
}

/// Reads the file: where what is whole ends, and which of these messages are in it.
fn scan(file: &mut File, format: Format, doubtful: &HashSet<MessageId>) -> std::io::Result<(u64, HashSet<MessageId>)> {
    let mut present = HashSet::new();
    let mut note = |line: &[u8]| {
        if !doubtful.is_empty()
            && let Ok(line) = serde_json::from_slice::<Line>(line)
        {
            let id = MessageId::new(line.message_id);
            if doubtful.contains(&id) {
                present.insert(id);
            }
        }
    };
    file.seek(SeekFrom::Start(0))?;
    let length = file.metadata()?.len();
    let mut reader = BufReader::new(&mut *file);
    let mut whole = 0;
    while whole < length {
        // One piece: a line, a gzip member, a zstd frame. A piece that cannot be read to its end is the torn one.
        let piece = match format {
            Format::Plain => {
                let mut line = Vec::new();
                let read = reader.read_until(b'\n', &mut line)?;
                if line.last() != Some(&b'\n') {
                    break;
                }
                whole += read as u64;
                line
            }
            Format::Gzip => {
                let mut text = Vec::new();
                if GzDecoder::new(&mut reader).read_to_end(&mut text).is_err() {
                    break;
                }
                whole = reader.stream_position()?;
                text
            }
            Format::Zstd => {
                let mut text = Vec::new();
                let read = zstd::Decoder::with_buffer(&mut reader)
                    .and_then(|decoder| decoder.single_frame().read_to_end(&mut text));
                if read.is_err() {
                    break;
                }
                whole = reader.stream_position()?;
                text
            }
        };
        piece.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(&mut note);
    }
    Ok((whole, present))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str) -> (MessageId, String) {
        (MessageId::new(id), format!("{{\"message_id\":\"{id}\",\"body\":\"x\"}}"))
    }

    fn read(path: &Path) -> Vec<String> {
        let (bytes, mut text) = (std::fs::read(path).expect("read"), String::new());
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => drop(flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip")),
            Some("zst") => text = String::from_utf8(zstd::decode_all(&bytes[..]).expect("zstd")).expect("text"),
            _ => text = String::from_utf8(bytes).expect("text"),
        }
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_file_cut_anywhere_is_whole_again_and_holds_each_line_once() {
        for name in ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"] {
            let directory = tempfile::tempdir().expect("directory");
            let path = directory.path().join("evidence").join(name);
            let archive = FileArchive::open(&path, false, &HashSet::new()).expect("open");
            archive.append(&[line("one"), line("two")]).expect("append");
            let safe = std::fs::metadata(&path).expect("metadata").len();
            archive.append(&[line("three"), line("four")]).expect("append");
            let whole = std::fs::read(&path).expect("read");
            let doubtful = HashSet::from([MessageId::new("three"), MessageId::new("four")]);
            for cut in usize::try_from(safe).expect("length")..=whole.len() {
                std::fs::write(&path, &whole[..cut]).expect("cut");
                let archive = FileArchive::open(&path, true, &doubtful).expect("open again");
                assert!(read(&path).len() < 5 && std::fs::metadata(&path).expect("metadata").len() <= cut as u64);
                assert!(name != "a.jsonl" || std::fs::read(&path).expect("read").ends_with(b"\n"), "cut at {cut}");
                archive.append(&[line("three"), line("four")]).expect("append again");
                let expected: Vec<String> = ["one", "two", "three", "four"].map(|id| line(id).1).into();
                assert_eq!(read(&path), expected, "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_cannot_be_synced_is_no_acknowledgement() {
        // Takes every write, and has no disk to sync to.
        let directory = tempfile::tempdir().expect("directory");
        let archive = FileArchive::open(&directory.path().join("a.jsonl"), false, &HashSet::new()).expect("open");
        archive.inner.lock().expect("not poisoned").file = File::options().write(true).open("/dev/null").expect("open");
        archive.append(&[line("one")]).expect_err("not synced");
    }

    #[test]
    fn a_torn_file_of_somebody_else_is_left_alone() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("a.jsonl");
        std::fs::write(&path, "no line end").expect("write");
        let error = FileArchive::open(&path, false, &HashSet::new()).expect_err("refused");
        assert!(error.message().contains("ends in the middle"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "no line end");
    }
}
