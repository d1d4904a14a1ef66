//! Job files: what people see when one is wrong, that nothing in one can make the program fall over, and that every job
//! in `jobs/` is a good one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use redrive_rules::job;

/// Files whose errors only compiling the rules can find: loading takes them.
const FOUND_WHEN_COMPILED: &[&str] = &["jsonpath", "regex"];

fn files(directory: &str) -> Vec<(PathBuf, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut paths: Vec<_> = fs::read_dir(directory)
        .expect("the directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).expect("UTF-8"))).collect()
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).expect("a name")
}

#[test]
fn every_bad_job_says_what_is_wrong() {
    let files = files("tests/bad-jobs");
    assert!(files.len() >= 20);
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("../bad-jobs");
    settings.bind(|| {
        for (path, text) in files {
            let name = stem(&path);
            let shown = format!("tests/bad-jobs/{name}.toml");
            if FOUND_WHEN_COMPILED.contains(&name) {
                job::load(&shown, &text).unwrap_or_else(|errors| panic!("{errors}"));
                continue;
            }
            let errors = job::load(&shown, &text).expect_err(name);
            insta::assert_snapshot!(name, errors.render(false));
        }
    });
}

#[test]
fn every_problem_is_placed_on_its_own_line() {
    for (path, text) in files("tests/bad-jobs") {
        let Err(errors) = job::load("x.toml", &text) else { continue };
        let rendered = errors.to_string();
        for problem in &errors.problems {
            let (line, _) = errors.position(problem);
            assert!(rendered.contains(&format!("x.toml:{line}:")), "{}: {problem:?}", path.display());
            assert!(text.get(problem.span.clone()).is_some(), "{}: {problem:?}", path.display());
        }
    }
}

#[test]
fn what_is_shown_cannot_drive_a_terminal() {
    let bidi = |c: &char| matches!(*c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    for (path, text) in files("tests/bad-jobs") {
        let Err(errors) = job::load("\u{1b}]0;x\u{7}.toml", &text) else { continue };
        let rendered = errors.render(false);
        let active = rendered.chars().find(|c| (c.is_control() && *c != '\n') || bidi(c));
        assert_eq!(active, None, "{}", path.display());
    }
}

#[test]
fn every_example_is_valid_and_names_its_schema() {
    let files = files("jobs");
    let names: BTreeSet<_> = files
        .iter()
        .map(|(path, text)| {
            let loaded = job::load(&path.display().to_string(), text).unwrap_or_else(|errors| panic!("{errors}"));
            assert!(text.starts_with("#:schema ../docs/reference/job.schema.json\n"), "{}", path.display());
            assert_eq!(loaded.job.name, stem(path));
            loaded.job.name
        })
        .collect();
    assert!(names.len() >= 6, "{names:?}");
}

/// Whatever type stands where another is expected: what the walk along the schema lets through, serde takes.
#[test]
fn every_value_may_have_every_type() {
    for (path, text) in files("jobs") {
        for (at, _) in text.match_indices(" = ") {
            let start = at + 3;
            let end = text[start..].find([',', '}', '\n']).map_or(text.len(), |length| start + length);
            for value in
                ["true", "-1", "99999999999999999999", "1.5", "nan", "\"\"", "\"x\"", "2026-11-20", "[]", "[{}]", "{}"]
            {
                let changed = format!("{}{value}{}", &text[..start], &text[end..]);
                if let Err(errors) = job::load("changed.toml", &changed) {
                    let shown = errors.to_string();
                    assert!(!shown.contains("the job cannot be read:"), "{}: {shown}", path.display());
                }
            }
        }
    }
}

fn sources() -> Vec<String> {
    files("jobs").into_iter().chain(files("tests/bad-jobs")).map(|(_, text)| text).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Truncations, deletions, insertions and swaps of lines: an answer, or errors that can be shown; never a panic.
    #[test]
    fn damaged_jobs_never_panic(
        which in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        length in 0_usize..40,
        insert in prop_oneof![
            Just(String::new()), "[\\[\\]{}=\"',.#\n\\\\]{1,4}", "\\PC{0,8}", "[0-9a-zé\u{1b}\u{202e}\r]{0,6}",
        ],
        cut in any::<bool>(),
    ) {
        let sources = sources();
        let text = which.get(&sources);
        let start = text.floor_char_boundary(from.index(text.len() + 1));
        let end = if cut { text.len() } else { text.floor_char_boundary((start + length).min(text.len())) };
        let damaged = format!("{}{insert}{}", &text[..start], &text[end.max(start)..]);
        if let Err(errors) = job::load("damaged.toml", &damaged) {
            prop_assert!(!errors.problems.is_empty());
            prop_assert!(errors.render(true).contains("damaged.toml"));
            prop_assert!(!errors.to_string().contains("the job cannot be read:"), "{errors}");
        }
    }
}
