//! How fast redrive moves messages, beside what else could: `cargo bench --bench mover [-- SECTION…] [--messages N] [--rounds N]`.
//!
//! The sandbox runs in a process of its own, and so does each mover. Rounds are interleaved, and medians are shown. Other
//! programs on the machine make the rates lower; processor time a message depends on them much less.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the tables are what this program is for")]
mod bare;
mod client;
mod movers;
mod process;
mod sections;
mod server;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) messages: usize,
    pub(crate) rounds: usize,
}

/// What makes a section.
type Section = fn(&Extent);

/// Names of sections, in their order, with what makes each.
const SECTIONS: &[(&str, Section)] = &[
    ("speed", sections::speed),
    ("client", sections::client),
    ("latency", sections::latency),
    ("requests", sections::requests),
    ("curve", sections::curve),
    ("memory", sections::memory),
    ("rate", sections::rate),
    ("start", sections::start),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let mut extent = Extent { messages: 100_000, rounds: 3 };
    let mut wanted = Vec::new();
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        let mut number = || rest.next().and_then(|text| text.parse().ok()).expect("a number");
        match argument {
            "--serve" => return server::serve(),
            "--bare" | "--client" => {
                let [_, endpoint, from, to, messages] = &arguments[..] else {
                    panic!("{argument} takes four arguments")
                };
                let run = if argument == "--bare" { bare::run } else { client::run };
                return run(endpoint, from, to, messages.parse().expect("a number"), movers::WORKERS);
            }
            "--messages" => extent.messages = number(),
            "--rounds" => extent.rounds = number(),
            name => wanted.push(SECTIONS.iter().find(|section| section.0 == name).expect("a section's name")),
        }
    }
    println!("{}\n", sections::machine());
    for (_, section) in if wanted.is_empty() { SECTIONS.iter().collect() } else { wanted } {
        section(&extent);
        println!();
    }
}
