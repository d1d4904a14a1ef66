//! A file of JSON Lines as archive, plain or compressed, open for appending by this process alone. Each append is one write and
//! one sync, and changes nothing that this process did not just write.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use redrive_protocol::message::MessageId;
use redrive_protocol::target::TargetId;

use super::pieces::{Format, is_whole, piece};
use crate::crash_point::CrashPoint;
use crate::error::{Error, Result};
use crate::journal::{BOUNDARY, Piece};

/// An archive file that this process holds. Another process that comes to it is refused.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    pub(super) file: File,
    /// Device and inode.
    pub(super) identity: (u64, u64),
}

/// An archive file as it was found before the run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examined {
    identity: (u64, u64),
    length: u64,
}

/// An archive file, open for appending.
#[derive(Debug)]
pub struct FileArchive {
    held: Held,
    target: TargetId,
    /// The end of what is in the file, as this process left it.
    length: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Messages in doubt that were found in the file.
    present: HashSet<MessageId>,
    /// Whether an append has failed: nothing follows it.
    failed: bool,
    crash_point: CrashPoint,
    /// How what was written is put on disk.
    sync: fn(&File) -> io::Result<()>,
}

/// How an append ended.
#[derive(Debug)]
pub(super) enum Appended {
    /// It is on disk.
    Synced,
    /// Nothing of it is in the file.
    NotWritten(Error),
    /// Some of it may be.
    Unknown(Error),
}

/// Bytes that are to be written, and the piece that they will be.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) piece: Piece,
    bytes: Vec<u8>,
}

impl Held {
    /// Opens or creates the file, readable by its owner only, and takes it for this process.
    pub(super) fn take(path: &Path) -> Result<Self> {
        let failed = |error: io::Error| unusable(path, &error);
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        }
        // A link would lead to a file that no plan has shown, and a pipe or a device takes nothing for good.
        if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(Error::failed(format!("{} is not a regular file", path.display()))
                .hint("nothing was written; name the file itself in the job, not a link to it"));
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).mode(0o600).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::failed(format!("another redrive is writing to the archive {}", path.display()))
                    .hint("nothing was written; wait until it is done, or name another file in the job"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let metadata = file.metadata().map_err(failed)?;
        let identity = (metadata.dev(), metadata.ino());
        // The name is as durable as the content: without its directory on disk a synced file can be gone after a power loss.
        File::open(parent.unwrap_or(Path::new("."))).and_then(|directory| directory.sync_all()).map_err(failed)?;
        let held = Self { path: path.to_owned(), format: Format::of(path), file, identity };
        if held.is_in_place() { Ok(held) } else { Err(replaced(path)) }
    }

    /// The same file under a further handle.
    pub(super) fn again(&self) -> Result<Self> {
        let file = self.file.try_clone().map_err(|error| unusable(&self.path, &error))?;
        Ok(Self { path: self.path.clone(), file, ..*self })
    }

    pub(super) fn length(&self) -> Result<u64> {
        self.file.metadata().map(|file| file.len()).map_err(|error| unusable(&self.path, &error))
    }

    /// Fails where what is in the file between these two places is no archive, or one that ends in the middle of a record.
    pub(super) fn check_whole(&self, from: u64, to: u64) -> Result<()> {
        if is_whole(&self.file, self.format, from, to).map_err(|error| unusable(&self.path, &error))? {
            return Ok(());
        }
        Err(Error::failed(format!("the file {} ends in the middle of a record", self.path.display()))
            .hint("this run did not write it, and leaves it as it is; move it away, or name another file in the job"))
    }

    /// Whether the path still leads to this file.
    fn is_in_place(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity)
    }

    /// Cuts off what is behind this length, and syncs. Only for what this run provably wrote.
    pub(super) fn cut(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.sync_all()
    }
}

impl Examined {
    /// Looks at a file before a run begins that is to write to it, if there is one: what speaks against it is said before
    /// the run is in the journal.
    pub fn of(path: &Path) -> Result<Option<Self>> {
        if std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let held = Held::take(path)?;
        let length = held.length()?;
        held.check_whole(0, length)?;
        Ok(Some(Self { identity: held.identity, length }))
    }

    /// Whether nobody has changed it since.
    pub(super) fn still_is(self, held: &Held, length: u64) -> bool {
        (self.identity, self.length) == (held.identity, length)
    }
}

impl FileArchive {
    /// What is in it was looked at; `present` are messages in doubt that are.
    pub(super) fn new(held: Held, target: TargetId, length: u64, present: HashSet<MessageId>) -> Self {
        let crash_point = CrashPoint::from_environment("REDRIVE_CRASH_AT_APPEND");
        let inner = Mutex::new(Inner { present, failed: false, crash_point, sync: File::sync_data });
        Self { held, target, length: AtomicU64::new(length), inner }
    }

    pub(super) fn held(&self) -> &Held {
        &self.held
    }

    pub(super) fn target(&self) -> TargetId {
        self.target
    }

    /// Fails where the path does not lead to this file any more, or the file is shorter than this process left it: what was
    /// archived to it may be gone.
    pub(super) fn check(&self) -> Result<()> {
        let left = self.length.load(Ordering::Acquire);
        if self.held.is_in_place() && self.held.length()? >= left { Ok(()) } else { Err(replaced(&self.held.path)) }
    }

    /// The bytes of these lines, without those that are in the file already; `None` where all are.
    pub(super) fn draft(&self, lines: Vec<(&MessageId, &str)>) -> Result<Option<Draft>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (_, line) in lines.into_iter().filter(|(id, _)| !inner.present.contains(*id)) {
            text.push_str(line);
            text.push('\n');
        }
        if text.is_empty() {
            return Ok(None);
        }
        let bytes = self.held.format.encode(text).map_err(|error| unusable(&self.held.path, &error))?;
        let start = self.length.load(Ordering::Acquire);
        Ok(Some(Draft { piece: piece(self.target, self.held.identity, start, &bytes), bytes }))
    }

    /// Appends a draft and syncs it.
    pub(super) fn append(&self, draft: &Draft) -> Appended {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let start = draft.piece.start;
        if inner.failed || start != self.length.load(Ordering::Acquire) {
            let path = self.held.path.display();
            return Appended::NotWritten(Error::failed(format!("an earlier write to the archive {path} failed")));
        }
        if let Err(error) = self.check_untouched(start) {
            return Appended::NotWritten(error);
        }
        let written = self.write(&draft.bytes, &mut inner);
        let end = start + draft.piece.length;
        // Whoever wrote or replaced it meanwhile has put our bytes where they do not count.
        if let Err(error) = written.and_then(|()| self.check_untouched(end)) {
            inner.failed = true;
            return if self.take_back(draft) { Appended::NotWritten(error) } else { Appended::Unknown(error) };
        }
        self.length.store(end, Ordering::Release);
        inner.crash_point.after();
        Appended::Synced
    }

    fn write(&self, bytes: &[u8], inner: &mut Inner) -> Result<()> {
        let mut file = &self.held.file;
        let crash_point = &mut inner.crash_point;
        crash_point.before();
        if crash_point.ends_in_midst() {
            // As the system does it: a write that is killed ends between two blocks of the file.
            let start = self.length.load(Ordering::Acquire);
            let half = start + bytes.len() as u64 / 2;
            let torn = (half - half % BOUNDARY).saturating_sub(start);
            let _ = file.write_all(&bytes[..usize::try_from(torn).unwrap_or(0)]);
            CrashPoint::end();
        }
        file.write_all(bytes).and_then(|()| (inner.sync)(file)).map_err(|error| unusable(&self.held.path, &error))
    }

    /// Fails unless the file is where it was, and as long as this.
    fn check_untouched(&self, length: u64) -> Result<()> {
        if !self.held.is_in_place() {
            return Err(replaced(&self.held.path));
        }
        let found = self.held.length()?;
        if found == length {
            return Ok(());
        }
        let path = self.held.path.display();
        Err(Error::failed(format!("somebody else changed the archive {path}: it has {found} bytes, not {length}")).hint(
            "no message is deleted before its line is on disk; nothing of the file was cut. See who writes to it, and run the \
             same command again",
        ))
    }

    /// Cuts off what a failed write left, if that is all that is there; says whether nothing of it is left. If something is,
    /// the next session knows it by its digests.
    fn take_back(&self, draft: &Draft) -> bool {
        let start = draft.piece.start;
        let mut file = &self.held.file;
        let mut left = Vec::new();
        let most = draft.piece.length + 1;
        let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.take(most).read_to_end(&mut left));
        // The failure of the write is what is reported; a second one here only leaves the doubt.
        read.is_ok() && draft.bytes.starts_with(&left) && self.held.cut(start).is_ok()
    }
}

fn replaced(path: &Path) -> Error {
    Error::failed(format!("the archive {} was removed, replaced or cut while redrive had it open", path.display()))
        .hint("no message is deleted whose line may be gone; put the file back, and run the same command again")
}

pub(super) fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::failed(format!("the file {} cannot be used: {error}", path.display())).hint(
        "no message is deleted before its line is on disk; free the path or the disk, and run the same command again",
    )
}

#[cfg(test)]
mod tests;
