//! An archive file on disk: pieces, torn and whole; what others do to it; one writer.

use super::*;
use crate::apply::pieces::{Found, Look, Wanted, find};

const FORMATS: [&str; 3] = ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"];

fn line(id: &str) -> (MessageId, String) {
    // Hard to compress, so that each piece has several blocks.
    let mut body = String::new();
    let mut state = 0x9e37_79b9_u64 ^ id.len() as u64;
    while body.len() < 1500 {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(id.bytes().map(u64::from).sum());
        body.push_str(&state.to_string());
    }
    (MessageId::new(id), format!("{{\"message_id\":\"{id}\",\"body\":\"{body}\"}}"))
}

fn open(path: &Path) -> FileArchive {
    let held = Held::take(path).expect("taken");
    let length = held.length().expect("a length");
    FileArchive::new(held, TargetId(0), length, HashSet::new())
}

fn draft(archive: &FileArchive, ids: &[&str]) -> Draft {
    let lines: Vec<_> = ids.iter().map(|id| line(id)).collect();
    let lines = lines.iter().map(|(id, line)| (id, line.as_str())).collect();
    archive.draft(lines).expect("encoded").expect("something to write")
}

fn append(archive: &FileArchive, ids: &[&str]) -> Piece {
    let draft = draft(archive, ids);
    assert!(matches!(archive.append(&draft), Appended::Synced));
    draft.piece
}

#[test]
fn a_file_cut_anywhere_tells_a_torn_piece_from_everything_else() {
    for name in FORMATS {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("evidence").join(name);
        let archive = open(&path);
        append(&archive, &["one", "two"]);
        let piece = append(&archive, &["three", "four"]);
        let whole = std::fs::read(&path).expect("read");
        let start = usize::try_from(piece.start).expect("small");
        let mut torn = 0;
        // Around both ends and each block, and in between.
        let is_tried = |cut: &usize| {
            [0, 1, 511].contains(&(cut % 512)) || cut.is_multiple_of(61) || *cut < start + 3 || *cut + 3 > whole.len()
        };
        for cut in (start..=whole.len()).filter(is_tried) {
            std::fs::write(&path, &whole[..cut]).expect("cut");
            let found = find(&piece, &archive.held.file, cut as u64).expect("looked");
            let expected = match cut {
                cut if cut == whole.len() => Found::Whole,
                cut if cut == start => Found::Nothing,
                // As the system cuts a write that is killed.
                cut if cut.is_multiple_of(512) => Found::Torn,
                _ => Found::Unknown,
            };
            assert_eq!(found, expected, "{name} cut at {cut}");
            torn += usize::from(found == Found::Torn);
            // The same length, of somebody else.
            let foreign = [&whole[..start], &vec![b'x'; cut - start][..]].concat();
            std::fs::write(&path, &foreign).expect("written");
            let found = find(&piece, &archive.held.file, cut as u64).expect("looked");
            assert!(matches!(found, Found::Nothing | Found::Unknown), "{name}, {found:?} of others up to {cut}");
            // Something of ours, and something of somebody else behind it.
            let mixed = [&whole[..cut], &vec![b'x'; whole.len() - cut + 1][..]].concat();
            std::fs::write(&path, &mixed).expect("written");
            let found = find(&piece, &archive.held.file, mixed.len() as u64).expect("looked");
            let ours_is_whole = cut == whole.len();
            assert!(
                found != Found::Torn && (found == Found::Whole) == ours_is_whole,
                "{name}, {found:?} mixed at {cut}"
            );
        }
        assert!(torn > 2, "{name}");
    }
}

#[test]
fn a_byte_that_is_another_is_seen_in_whichever_piece_it_is_and_in_no_other() {
    for name in FORMATS {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join(name);
        let archive = open(&path);
        let pieces = [append(&archive, &["one"]), append(&archive, &["two"]), append(&archive, &["three"])];
        let whole = std::fs::read(&path).expect("read");
        for position in (0..whole.len()).step_by(97) {
            let mut bytes = whole.clone();
            bytes[position] ^= 0x20;
            std::fs::write(&path, &bytes).expect("written");
            let mut look = Look::default();
            for piece in &pieces {
                let file = Some((&archive.held.file, bytes.len() as u64));
                look.at(piece, file, archive.held.format, &Wanted::All).expect("looked");
            }
            assert_eq!((look.damaged, look.found.len()), (1, 2), "{name}, byte {position}");
        }
    }
}

#[test]
fn what_cannot_be_synced_is_no_acknowledgement() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a.jsonl");
    let archive = open(&path);
    append(&archive, &["one"]);
    let before = std::fs::read(&path).expect("there");
    archive.inner.lock().expect("not poisoned").sync = |_| Err(io::Error::other("no disk"));
    let draft = draft(&archive, &["two"]);
    assert!(matches!(archive.append(&draft), Appended::NotWritten(_)), "not synced");
    assert_eq!(std::fs::read(&path).expect("there"), before, "and taken back");
    assert!(matches!(archive.append(&draft), Appended::NotWritten(_)), "nothing follows it");
    assert_eq!(std::fs::read(&path).expect("there"), before);
}

#[test]
fn nothing_is_appended_to_a_file_that_somebody_else_touched() {
    type Touch = fn(&Path);
    let touches: [(&str, Touch); 5] = [
        ("removed", |path| std::fs::remove_file(path).expect("removed")),
        ("replaced", |path| {
            let copy = path.with_extension("copy");
            std::fs::copy(path, &copy).expect("copied");
            std::fs::rename(copy, path).expect("renamed");
        }),
        ("a link", |path| {
            let copy = path.with_extension("copy");
            std::fs::rename(path, &copy).expect("renamed");
            std::os::unix::fs::symlink(copy, path).expect("linked");
        }),
        ("shortened", |path| File::options().write(true).open(path).expect("open").set_len(10).expect("cut")),
        ("grown", |path| {
            let mut file = File::options().append(true).open(path).expect("open");
            file.write_all(b"theirs\n").expect("written");
        }),
    ];
    for (what, touch) in touches {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("a.jsonl");
        let archive = open(&path);
        append(&archive, &["one"]);
        assert!(archive.check().is_ok());
        let draft = draft(&archive, &["two"]);
        touch(&path);
        let before = std::fs::read(&path).ok();
        assert!(matches!(archive.append(&draft), Appended::NotWritten(_)), "{what}");
        assert_eq!(std::fs::read(&path).ok(), before, "{what}");
        assert_eq!(archive.check().is_ok(), what == "grown", "{what}: no message is deleted whose line may be gone");
    }
}

#[test]
fn a_file_has_one_writer() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("a.jsonl");
    let held = Held::take(&path).expect("taken");
    let error = Held::take(&path).expect_err("refused");
    assert!(error.message().contains("another redrive is writing"), "{error}");
    drop(held);
    Held::take(&path).expect("free again");
}

#[test]
fn a_file_of_somebody_else_that_is_no_whole_archive_is_left_alone() {
    let directory = tempfile::tempdir().expect("directory");
    let gzip = Format::Gzip.encode("a line\n".repeat(100)).expect("encoded");
    let cut_gzip = gzip[..gzip.len() - 3].to_vec();
    let cases = [
        ("a.jsonl", b"no line end".to_vec(), false),
        ("b.jsonl.gz", cut_gzip, false),
        ("c.jsonl.zst", b"no zstd\n".to_vec(), false),
        ("d.jsonl", b"a line\n".to_vec(), true),
        ("e.jsonl.gz", gzip, true),
        ("f.jsonl.zst", Vec::new(), true),
    ];
    for (name, bytes, is_taken) in cases {
        let path = directory.path().join(name);
        std::fs::write(&path, &bytes).expect("written");
        for _ in 0..2 {
            let examined = Examined::of(&path);
            assert_eq!(examined.is_ok(), is_taken, "{name}: {examined:?}");
            assert!(is_taken || examined.expect_err("refused").message().contains("ends in the middle"));
            assert_eq!(std::fs::read(&path).expect("read"), bytes, "{name}");
        }
    }
}
