//! Plans as files: what is written is read back, and whatever else is read is refused in words of its own.

use proptest::prelude::*;

use super::super::fake::{at, attributes, plan, redrives_to};
use super::*;
use crate::exit::Exit;

fn refusal(text: &str) -> String {
    let error = parse(text.as_bytes(), "p.json").expect_err("it must be refused");
    assert_eq!(error.exit(), Exit::Refused);
    assert!(error.hint_text().is_some_and(|hint| hint.starts_with("nothing was touched")));
    error.message().to_owned()
}

#[test]
fn what_is_written_is_read_back_and_private() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("plan.json");
    std::fs::write(&path, "{\"type\": \"redrive.plan\"}").expect("writable");
    let sealed = plan().seal();
    write(&sealed, &path).expect("writable");
    assert_eq!(parse(&std::fs::read(&path).expect("readable"), "p").expect("sealed"), sealed);
    let names: Vec<_> = directory.path().read_dir().expect("readable").collect();
    assert_eq!(names.len(), 1, "no temporary file stays");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_place_that_cannot_be_written_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let error = write(&plan().seal(), directory.path()).expect_err("it is a directory");
    assert!(error.message().ends_with("is not a regular file"));
    let missing = directory.path().join("missing/plan.json");
    assert_eq!(write(&plan().seal(), &missing).expect_err("no such directory").exit(), Exit::Failed);
    assert_eq!(directory.path().read_dir().expect("readable").count(), 0);
}

#[test]
fn layout_does_not_matter_and_serialising_is_stable() {
    let sealed = plan().seal();
    let pretty = to_text(&sealed).expect("plain data");
    let compact = serde_json::to_string(&sealed).expect("plain data");
    for text in [&pretty, &compact, &pretty.replace('\n', "\r\n")] {
        assert_eq!(parse(text.as_bytes(), "p").expect("sealed"), sealed);
    }
    assert_eq!(to_text(&parse(pretty.as_bytes(), "p").expect("sealed")).expect("plain data"), pretty);
    assert_eq!(sealed.id().len(), 12);
}

#[test]
fn every_refusal_has_its_own_words() {
    let sealed = to_text(&plan().seal()).expect("plain data");
    assert_eq!(refusal(""), "p.json is truncated: it ends in the middle");
    assert_eq!(refusal(&sealed[..sealed.len() / 2]), "p.json is truncated: it ends in the middle");
    assert!(refusal("version = 1\n").starts_with("p.json is damaged: it is not JSON"));
    assert_eq!(refusal("[]"), "p.json is not a redrive plan: it is JSON of another shape");
    assert_eq!(refusal("{}"), "p.json is not a redrive plan: its \"type\" is not \"redrive.plan\"");
    assert_eq!(
        refusal(&sealed.replacen("\"format\": 1", "\"format\": 2", 1)),
        "p.json is a plan of format 2; this redrive reads format 1"
    );
    assert_eq!(
        refusal(&sealed.replacen("\"bound\": ", "\"bound\": 9", 1)),
        "p.json was altered since it was made: its digest is not that of its content"
    );
    assert!(refusal(&sealed.replacen("\"cost\"", "\"coast\"", 1)).contains("unknown field `coast`"));
    assert!(refusal(&sealed.replacen("\"targets\"", "\"digest\"", 1)).contains("duplicate field"));
    let examples = sealed.find("\"examples\": [").expect("examples");
    let other = sealed[examples..].replacen("\"detail\": null", "\"detail\": \"x\"", 1);
    let other = format!("{}{other}", &sealed[..examples]);
    assert!(refusal(&other).ends_with("its examples are not those it was made with"));
    let kept = to_kept_text(&plan().seal()).expect("plain data");
    assert!(refusal(&kept).ends_with("its examples are not those it was made with"));
    assert_eq!(parse_kept(kept.as_bytes(), "p").expect("sealed").digest, plan().seal().digest);
    let mut forged = plan();
    forged.job.text.push_str("# more\n");
    let forged = to_text(&forged.seal()).expect("plain data");
    assert!(refusal(&forged).ends_with("the SHA-256 of its job is not that of the job's text"));
}

#[test]
fn a_plan_expires_and_cannot_come_from_the_future() {
    let plan = plan().seal();
    assert!(check_time(&plan, plan.created).is_ok());
    assert!(check_time(&plan, plan.expires).is_ok());
    let error = check_time(&plan, at("2026-11-23T06:00:01Z")).expect_err("a second late");
    assert!(error.message().contains("expired at 2026-11-23T06:00:00Z"), "{error}");
    assert!(check_time(&plan, at("2026-11-22T05:55:00Z")).is_ok(), "clocks differ");
    let error = check_time(&plan, at("2026-11-22T05:54:59Z")).expect_err("too early");
    assert!(error.message().contains("in the future"), "{error}");
    assert_eq!(error.exit(), Exit::Refused);
}

#[test]
fn a_changed_queue_is_named_with_what_changed() {
    let planned = attributes("orders-dlq");
    assert!(check_fingerprint(&planned, &planned).is_ok());
    let counts = crate::sqs::Counts { visible: Some(7), ..planned.counts };
    assert!(check_fingerprint(&planned, &QueueAttributes { counts, ..planned.clone() }).is_ok());
    let unknown = QueueAttributes { created: None, ..planned.clone() };
    assert!(check_fingerprint(&unknown, &planned).is_ok(), "there is nothing to compare");
    let changed = [
        (QueueAttributes { created: Some(at("2026-11-22T00:00:00Z")), ..planned.clone() }, "created anew"),
        (QueueAttributes { created: None, ..planned.clone() }, "does not say when it was created"),
        (QueueAttributes { redrive_policy: redrives_to("orders"), ..planned.clone() }, "redrive policy changed"),
        (QueueAttributes { fifo: true, ..planned.clone() }, "its type changed"),
        (QueueAttributes { kms_key: Some("alias/k".to_owned()), ..planned.clone() }, "was none, is alias/k"),
        (attributes("other"), "another queue"),
    ];
    for (now, words) in changed {
        let error = check_fingerprint(&planned, &now).expect_err(words);
        assert!(error.message().contains(words), "{error}");
        assert_eq!(error.exit(), Exit::Refused);
    }
}

/// Whatever was done to the bytes: refused, or the same plan.
fn refused_or_harmless(bytes: &[u8], sealed: &Plan) {
    if let Ok(read) = parse(bytes, "p") {
        assert_eq!(&read, sealed);
    }
}

#[test]
fn no_byte_can_be_flipped_and_no_end_cut_off_unnoticed() {
    let sealed = plan().seal();
    let text = serde_json::to_vec(&sealed).expect("plain data");
    for position in 0..text.len() {
        refused_or_harmless(&text[..position], &sealed);
        for flip in [1, 0x20, 0x80] {
            let mut bytes = text.clone();
            bytes[position] ^= flip;
            refused_or_harmless(&bytes, &sealed);
        }
    }
}

proptest! {
    #[test]
    fn a_byte_replaced_anywhere_is_refused_or_harmless(position: prop::sample::Index, byte: u8) {
        let sealed = plan().seal();
        let mut bytes = to_text(&sealed).expect("plain data").into_bytes();
        let position = position.index(bytes.len());
        bytes[position] = byte;
        refused_or_harmless(&bytes, &sealed);
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
        prop_assert!(parse(&bytes, "p").is_err());
    }
}
