//! Archive files when a session begins and when it ends: what the journal says was written is compared with what is there, in
//! pieces, each read once. What a crash left is taken for this run's only where the journal proves it.

use std::path::Path;
use std::sync::Arc;

use super::files::{Examined, FileArchive, Held, unusable};
use super::outlets::Outlet;
use super::pieces::{Format, Found, Look, Wanted, find};
use super::shared::Shared;
use crate::error::{Error, Kind, Result};
use crate::journal::{Journal, Piece};
use redrive_protocol::protocol::{Begun, Missing, TallyKey};
use redrive_protocol::target::{Reason, TargetId};

/// Pieces that are asked of the journal and looked at in one go.
const PAGE: usize = 1024;

/// IDs that an error lists.
const LISTED: usize = 1000;

/// Opens the file behind a target of a run that has begun. Fails where something is missing of what the run wrote to it, and
/// where it holds something of which nobody can say whose it is. `examined`: as it was found before the run began.
pub async fn open_archive(
    path: &Path,
    target: TargetId,
    journal: &Journal,
    begun: &Begun,
    examined: Option<Examined>,
) -> Result<FileArchive> {
    let opened = open(path, target, journal, begun, examined).await;
    opened.map_err(Error::resumable)
}

async fn open(
    path: &Path,
    target: TargetId,
    journal: &Journal,
    begun: &Begun,
    examined: Option<Examined>,
) -> Result<FileArchive> {
    let is_new = journal.pieces(target, 0, 1).await?.iter().all(|piece| piece.beginnings.is_some());
    if !is_new && !path.exists() {
        return Err(lost(journal, target, path, None).await?);
    }
    let held = Arc::new(Held::take(path)?);
    let doubtful = begun.doubtful.iter().filter(|one| one.1 == Some(target)).map(|one| one.0.clone());
    let wanted = Wanted::Of(doubtful.collect());
    let seen = look(journal, target, Some(&held), held.format, wanted.clone()).await?;
    if seen.look.damaged > 0 {
        return Err(lost(journal, target, path, Some(&held)).await?);
    }
    let was_missing = |key: &TallyKey| key.target == Some(target) && key.reason == Some(Reason::ArchiveLost);
    if journal.tally().count(was_missing) > 0 {
        // It was put back.
        let seen = look(journal, target, Some(&held), held.format, Wanted::All).await?;
        journal.missing(target, seen.look.found).await?;
    }
    let Seen { mut look, mut end, open } = seen;
    if let Some(piece) = open
        && settle(journal, &piece, &held).await?
    {
        end = piece.start + piece.length;
        look.at(&piece, Some((&held.file, end)), held.format, &wanted).map_err(|error| unusable(path, &error))?;
    }
    // What others appended between two sessions stays where it is, if it is whole.
    let length = held.length()?;
    if !examined.is_some_and(|examined| examined.still_is(&held, length)) {
        held.check_whole(end, length)?;
    }
    journal.found(look.found.iter().cloned().collect()).await?;
    let held = Arc::into_inner(held).ok_or_else(|| Error::failed("an archive is still being looked at"))?;
    Ok(FileArchive::new(held, target, length, look.found))
}

/// Holds the files against the journal at the end of a session.
pub(super) async fn verify(shared: &Shared) -> Result<()> {
    for outlet in &shared.outlets {
        let Outlet::File(file) = outlet else { continue };
        let held = Arc::new(file.held().again()?);
        let (target, path) = (file.target(), &file.held().path);
        let seen = look(&shared.journal, target, Some(&held), held.format, Wanted::None).await?;
        if seen.look.damaged > 0 || file.check().is_err() {
            let there = file.check().is_ok().then_some(&held);
            return Err(lost(&shared.journal, target, path, there).await?);
        }
    }
    Ok(())
}

/// What a look at all pieces of a run found.
#[derive(Default)]
struct Seen {
    look: Look,
    /// Where the last one ends that is on disk.
    end: u64,
    /// The one that was about to be written when its process died.
    open: Option<Piece>,
}

async fn look(
    journal: &Journal,
    target: TargetId,
    held: Option<&Arc<Held>>,
    format: Format,
    wanted: Wanted,
) -> Result<Seen> {
    let (mut seen, mut from) = (Seen::default(), 0);
    loop {
        let pieces = journal.pieces(target, from, PAGE).await?;
        let Some(last) = pieces.last() else { return Ok(seen) };
        from = last.start + 1;
        let (held, wanted) = (held.cloned(), wanted.clone());
        let looking = tokio::task::spawn_blocking(move || {
            let file = held.as_ref().map(|held| Ok::<_, Error>((&held.file, held.length()?))).transpose()?;
            for piece in pieces {
                if piece.beginnings.is_some() {
                    seen.open = Some(piece);
                    continue;
                }
                let looked = seen.look.at(&piece, file, format, &wanted);
                looked.map_err(|error| unusable(held.as_ref().map_or(Path::new(""), |held| &held.path), &error))?;
                seen.end = piece.start + piece.length;
            }
            Ok::<_, Error>(seen)
        });
        let looked = looking.await;
        seen = looked.map_err(|error| Error::failed(format!("an archive cannot be read: {error}")))??;
    }
}

/// Decides about the piece that was about to be written when its process died; says whether all of it is in the file.
async fn settle(journal: &Journal, piece: &Piece, held: &Held) -> Result<bool> {
    let (path, start) = (held.path.display(), piece.start);
    let failed = |error: std::io::Error| unusable(&held.path, &error);
    match find(piece, &held.file, held.length()?).map_err(failed)? {
        Found::Whole => {
            // The dead process may not have come to that.
            held.file.sync_all().map_err(failed)?;
            journal.recovered(piece.target, start, true).await?;
            Ok(true)
        }
        Found::Torn if held.identity == piece.file => {
            held.cut(start).map_err(failed)?;
            journal.recovered(piece.target, start, false).await?;
            Ok(false)
        }
        Found::Nothing => {
            journal.recovered(piece.target, start, false).await?;
            Ok(false)
        }
        Found::Torn | Found::Unknown => Err(Error::failed(format!(
            "behind its first {start} bytes the archive {path} holds something of which nobody can say whether this run wrote \
             it"
        ))
        .hint(format!(
            "it is left as it is. See what is there; if it is a torn line of this run, `truncate --size={start} {path}` cuts it \
             off, else move it away from there"
        ))),
    }
}

/// What to say of an archive that does not hold what was written to it. What is missing of it and still in the source becomes
/// in doubt, so that no run deletes it; what is gone from there, too, counts as failed.
async fn lost(journal: &Journal, target: TargetId, path: &Path, held: Option<&Arc<Held>>) -> Result<Error> {
    let format = Format::of(path);
    let seen = look(journal, target, held, format, Wanted::All).await?;
    let Missing { in_source, gone } = journal.missing(target, seen.look.found).await?;
    let ids = |ids: &[redrive_protocol::message::MessageId]| {
        let listed = ids.iter().take(LISTED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let more = ids.len().saturating_sub(LISTED);
        if more > 0 { format!("{listed} and {more} more") } else { listed }
    };
    let mut words = vec![format!("the archive {} does not hold what was written to it", path.display())];
    if !gone.is_empty() {
        words.push(format!(
            "{} messages are no longer in it and were deleted from the source: {}",
            gone.len(),
            ids(&gone)
        ));
    }
    if !in_source.is_empty() {
        words.push(format!(
            "{} messages are no longer in it and were not deleted: {}",
            in_source.len(),
            ids(&in_source)
        ));
    }
    Ok(Error::new(Kind::Lost, words.join("; ")).hint(
        "nothing of the file was changed, and no further message is deleted; `redrive report` lists all of them. Put the file back \
         as it was, from a backup, and run the same command again; or give the run up with `redrive resolve RUN --abandon`, move the file away, and plan anew",
    ))
}
