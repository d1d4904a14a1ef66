//! The house's rules, held by reading the sources: which module may import which, how long a file may be, who may print.

mod cycles;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each module may import, in an order in which each imports only what stands above it: imports run one way.
const IMPORTS: &[(&str, &[&str])] = &[
    ("crash_point", &[]),
    ("exit", &[]),
    ("words", &[]),
    ("error", &["exit"]),
    ("md5", &[]),
    ("policy", &[]),
    ("journal", &["crash_point", "error"]),
    // The seams.
    ("sqs", &["error", "policy", "words"]),
    ("store", &["error", "sqs"]),
    ("retry", &["sqs"]),
    ("payload", &["error", "sqs", "store"]),
    ("guard", &["sqs"]),
    ("plan", &["error", "guard", "payload", "sqs", "store", "words"]),
    ("apply", &["crash_point", "error", "exit", "guard", "journal", "payload", "plan", "retry", "sqs", "store"]),
    // Behind the seams.
    ("aws", &["error", "md5", "retry", "sqs", "store"]),
    // The types that plan and apply publish, and what the journal says of a run.
    ("view", &["apply", "error", "journal", "plan", "policy", "sqs", "words"]),
    ("metrics", &["apply", "error", "plan", "view"]),
    ("notify", &["apply", "aws", "error", "plan", "view", "words"]),
    ("cli", &[]),
    (
        "commands",
        &[
            "apply", "aws", "cli", "error", "exit", "guard", "journal", "metrics", "notify", "payload", "plan",
            "policy", "sqs", "store", "view", "words",
        ],
    ),
];

/// Crates that only one module knows.
const KEPT_TO: &[(&str, &str)] = &[
    ("aws_config", "aws"),
    ("aws_credential_types", "aws"),
    ("aws_sdk_s3", "aws"),
    ("aws_sdk_sqs", "aws"),
    ("aws_runtime", "aws"),
    ("aws_smithy_http_client", "aws"),
    ("aws_smithy_runtime_api", "aws"),
    ("aws_smithy_types", "aws"),
    ("aws_types", "aws"),
    ("indicatif", "view"),
    ("redrive_postgres", "journal"),
    ("rusqlite", "journal"),
    ("terminal_size", "view"),
    ("sqs_sandbox", "commands"),
];

/// Which crates of the workspace each one beside the program may know. The compiler holds the direction; this holds the list.
const CRATES: &[(&str, &[&str])] = &[
    ("redrive-protocol", &[]),
    ("redrive-rules", &["redrive-protocol"]),
    ("redrive-groups", &["redrive-protocol", "redrive-rules"]),
    ("redrive-postgres", &["redrive-protocol"]),
    ("redrive-store-tests", &["redrive-protocol"]),
    ("sqs-sandbox", &[]),
];

/// Crates that talk to others.
const NOT_TO_BE_PURE: [&str; 3] = ["sqs-sandbox", "redrive-postgres", "redrive-store-tests"];

/// What the pure crates must not know: they are built and tested without it.
const NOT_PURE: [&str; 5] = ["aws-", "hyper", "rand", "rusqlite", "tokio"];

/// Where sources of the program and its crates are, and where tests are.
const SOURCES: [&str; 2] = ["src", "crates"];

const MOST_LINES: usize = 400;
const MOST_LINES_OF_A_TEST: usize = 600;

struct Source {
    /// Below the crate's root.
    path: PathBuf,
    text: String,
}

impl Source {
    /// The module of the program that the file belongs to.
    fn module(&self) -> String {
        let first = self.path.components().nth(1).expect("below src").as_os_str().to_string_lossy().into_owned();
        first.trim_end_matches(".rs").to_owned()
    }

    /// Tests, and the model of the protocol, which is for tests alone.
    fn is_test(&self) -> bool {
        self.path.components().any(|part| ["tests", "tests.rs", "model"].map(AsRef::as_ref).contains(&part.as_os_str()))
    }

    /// The text without comments and without the tests at its end.
    fn code(&self) -> String {
        let text = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        text.lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .fold(String::new(), |code, line| code + line + "\n")
    }
}

fn sources(folder: &str) -> Vec<Source> {
    fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(root, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                found.push(Source { path: path.strip_prefix(root).expect("below the root").to_owned(), text });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(root, &root.join(folder), &mut found);
    assert!(found.len() > 10, "no sources in {folder}");
    found
}

/// The names that follow this prefix, such as the modules after `crate::`, braces included.
fn names_after<'t>(code: &'t str, prefix: &str) -> BTreeSet<&'t str> {
    let mut names = BTreeSet::new();
    for (position, _) in code.match_indices(prefix) {
        let before = code[..position].chars().next_back();
        if before.is_some_and(|before| before.is_alphanumeric() || matches!(before, '_' | '$')) {
            continue;
        }
        let rest = &code[position + prefix.len()..];
        let word = |text: &'t str| {
            let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
            &text[..end]
        };
        if let Some(list) = rest.strip_prefix('{') {
            // No nested lists at the crate's root: rustfmt's one import a module is the style here.
            names.extend(list.split('}').next().unwrap_or_default().split(',').map(|name| word(name.trim())));
        } else {
            names.insert(word(rest));
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn imports_run_one_way() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources("src").iter().filter(|source| !source.is_test()) {
        let module = source.module();
        let code = source.code();
        let mut names = names_after(&code, "crate::");
        names.remove(module.as_str());
        found.entry(module).or_default().extend(names.into_iter().map(str::to_owned));
    }
    // They hold the whole together, and import it as anybody would.
    found.remove("lib");
    found.remove("main");
    let listed: BTreeMap<String, BTreeSet<String>> = IMPORTS
        .iter()
        .map(|(module, imports)| ((*module).to_owned(), imports.iter().map(|name| (*name).to_owned()).collect()))
        .collect();
    assert_eq!(found, listed, "imports that are not in the table, or no longer there");
    for (position, (module, imports)) in IMPORTS.iter().enumerate() {
        for import in *imports {
            let above = IMPORTS[..position].iter().any(|(name, _)| name == import);
            assert!(above, "{module} imports {import}, which does not stand above it");
        }
    }
}

#[test]
fn crates_know_only_what_they_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    let folders = std::fs::read_dir(&root).expect("crates").map(|entry| entry.expect("an entry").path());
    let found: BTreeMap<String, BTreeSet<String>> = folders
        .map(|folder| {
            let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
            let manifest: toml::Table = manifest.parse().expect("TOML");
            assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{}", folder.display());
            let names: Vec<_> = manifest["dependencies"].as_table().expect("dependencies").keys().collect();
            if !NOT_TO_BE_PURE.iter().any(|name| folder.ends_with(name)) {
                let impure = names.iter().find(|name| NOT_PURE.iter().any(|prefix| name.starts_with(prefix)));
                assert_eq!(impure, None, "{} is pure", folder.display());
            }
            let known = names.into_iter().filter(|name| root.join(name).is_dir()).cloned().collect();
            (folder.file_name().expect("a name").to_string_lossy().into_owned(), known)
        })
        .collect();
    let listed: BTreeMap<String, BTreeSet<String>> = CRATES
        .iter()
        .map(|(name, known)| ((*name).to_owned(), known.iter().map(|name| (*name).to_owned()).collect()))
        .collect();
    assert_eq!(found, listed, "crates that are not in the table, or what they depend on");
}

#[test]
fn what_belongs_to_one_module_is_known_to_it_alone() {
    for source in sources("src").iter().filter(|source| !source.is_test()) {
        let (module, code) = (source.module(), source.code());
        for (library, home) in KEPT_TO {
            let known =
                names_after(&code, &format!("{library}::")).len() + names_after(&code, &format!("use {library}")).len();
            assert!(
                known == 0 || module == *home,
                "{} knows {library}, which is {home}'s alone",
                source.path.display()
            );
        }
    }
}

#[test]
fn files_fit_in_the_head() {
    for (folder, most) in [("src", MOST_LINES), ("crates", MOST_LINES), ("tests", MOST_LINES_OF_A_TEST)] {
        for source in sources(folder) {
            let lines = source.text.lines().count();
            assert!(lines <= most, "{} has {lines} lines, {most} are the most", source.path.display());
        }
    }
}

#[test]
fn every_file_says_first_what_it_is_for() {
    for source in ["src", "crates", "tests"].iter().flat_map(|folder| sources(folder)) {
        let head = source.text.lines().next().unwrap_or_default();
        assert!(head.starts_with("//! ") && head.len() > 20, "{} begins with {head:?}", source.path.display());
    }
}

#[test]
fn printing_has_one_place() {
    for source in SOURCES.iter().flat_map(|folder| sources(folder)) {
        let is_bench = source.path.components().any(|part| part.as_os_str() == "benches");
        if source.is_test() || is_bench || source.path.ends_with("view/output.rs") {
            continue;
        }
        let code = source.code();
        for way in ["println!", "print!", "stdout().lock()", "stderr().lock()", "dbg!"] {
            assert!(!code.contains(way), "{} prints with {way}", source.path.display());
        }
    }
}

#[test]
fn names_are_found_where_they_are_imported() {
    let code = "use crate::a::B;\nuse crate::{c::D, e};\nlet x = crate::f::g(); pub(in crate::h) $crate::i; mycrate::j";
    assert_eq!(names_after(code, "crate::").into_iter().collect::<Vec<_>>(), ["a", "c", "e", "f", "h"]);
}
