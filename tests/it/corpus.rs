//! The fuzzers' corpus, replayed: what once was interesting stays without a panic. See docs/design/fuzzing.md.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/bodies.rs"]
mod bodies;

fn replay(name: &str, at_least: usize, body: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let inputs: Vec<_> =
        fs::read_dir(directory).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
    assert!(inputs.len() >= at_least, "{} inputs", inputs.len());
    for input in inputs {
        body(&fs::read(&input).unwrap_or_else(|error| panic!("{}: {error}", input.display())));
    }
}

#[test]
fn job_files_of_the_corpus_are_read_or_refused() {
    replay("job", 20, bodies::job_file);
}

#[test]
fn messages_of_the_corpus_are_judged() {
    replay("message", 20, bodies::message);
}
