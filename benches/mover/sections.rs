//! The tables, one a section.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Extent;
use crate::movers::{Job, Mover, Run, plan, python, redrive};
use crate::server::Server;

/// The length of a body, where nothing else is said.
const BODY: usize = 1024;

/// The latency of a request in a real region, about.
const LATENCY: Duration = Duration::from_millis(20);

/// The machine and the versions, in words.
pub(crate) fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let version = |program: &str, argument: &str| {
        let said = Command::new(program).arg(argument).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&said).trim().to_owned()
    };
    let kernel = version("uname", "-sr");
    let compiler = version("rustc", "--version");
    let redrive = version(env!("CARGO_BIN_EXE_redrive"), "--version");
    format!("{redrive}, {compiler}; {kernel}; {model}, {cores} cores; load before the first run {load}")
}

/// Several movers in interleaved rounds. Gives the runs of each.
fn rounds(server: &mut Server, movers: &[(Mover, usize)], extent: &Extent) -> Vec<Vec<Run>> {
    let mut runs: Vec<Vec<Run>> = movers.iter().map(|_| Vec::new()).collect();
    for round in 1..=extent.rounds {
        for ((mover, messages), runs) in movers.iter().zip(&mut runs) {
            let run = mover.run(server, *messages, BODY);
            eprintln!("round {round}: {}: {:.0} messages a second", mover.name(), run.rate());
            assert!(run.asked.premature == 0 || transforms(*mover), "deleted before it was sent");
            runs.push(run);
        }
        server.renew();
    }
    runs
}

/// Whether what is deleted has another digest than what was sent.
fn transforms(mover: Mover) -> bool {
    mover == Mover::Redrive(Job::Rules)
}

fn median(runs: &[Run], of: impl Fn(&Run) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn micros(run: &Run, whose: usize) -> f64 {
    run.cpu[whose].as_secs_f64() * 1e6 / run.messages as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn mib(run: &Run) -> f64 {
    run.peak_kib as f64 / 1024.0
}

fn compare(server: &mut Server, movers: &[(Mover, usize)], extent: &Extent) {
    let all = rounds(server, movers, extent);
    let bare = median(&all[0], Run::rate);
    println!(
        "| mover | messages | a second | from–to | of a | own CPU, µs each | server's CPU, µs each | requests each | end, s | peak, MiB |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for ((mover, messages), runs) in movers.iter().zip(&all) {
        let rate = median(runs, Run::rate);
        let least = runs.iter().map(Run::rate).fold(f64::INFINITY, f64::min);
        let most = runs.iter().map(Run::rate).fold(0.0, f64::max);
        println!(
            "| {} | {messages} | {rate:.0} | {least:.0}–{most:.0} | {:.3} | {:.1} | {:.1} | {:.4} | {:.2} | {:.0} |",
            mover.name(),
            rate / bare,
            median(runs, |run| micros(run, 0)),
            median(runs, |run| micros(run, 1)),
            median(runs, Run::requests_each),
            median(runs, |run| run.tail.as_secs_f64()),
            median(runs, mib),
        );
    }
}

/// What a call costs through our client, beside the SDK's defaults.
pub(crate) fn client(extent: &Extent) {
    println!("## The client alone\n\nBodies of {BODY} bytes, {} rounds.\n", extent.rounds);
    compare(&mut Server::start(), &[(Mover::Bare, extent.messages), (Mover::Client, extent.messages)], extent);
}

/// The peers, where they can be installed.
fn with_peers(movers: &[(Mover, usize)], peers: &[(Mover, usize)]) -> Vec<(Mover, usize)> {
    let mut all = movers.to_vec();
    if python().is_some() {
        all.extend(peers);
    } else {
        eprintln!("LEFT OUT: the peers in Python, which cannot be installed here");
    }
    all
}

/// Everybody, as fast as they can.
pub(crate) fn speed(extent: &Extent) {
    println!("## Speed\n\nBodies of {BODY} bytes, {} rounds.\n", extent.rounds);
    let messages = extent.messages;
    let ours =
        [(Mover::Bare, messages), (Mover::Redrive(Job::Plain), messages), (Mover::Redrive(Job::Rules), messages)];
    let peers = [(Mover::Classic, messages / 20), (Mover::Threaded, messages / 5), (Mover::Peer, messages / 10)];
    compare(&mut Server::start(), &with_peers(&ours, &peers), extent);
}

/// The same with the latency of a region.
pub(crate) fn latency(extent: &Extent) {
    println!("## With {} ms a request\n", LATENCY.as_millis());
    let messages = extent.messages;
    let ours = [(Mover::Bare, messages), (Mover::Redrive(Job::Plain), messages)];
    let peers = [(Mover::Classic, messages / 100), (Mover::Threaded, messages / 5), (Mover::Peer, messages / 20)];
    let mut server = Server::start();
    server.latency(LATENCY);
    compare(&mut server, &with_peers(&ours, &peers), extent);
}

/// Requests where batches have to be filled across rules.
pub(crate) fn requests(extent: &Extent) {
    println!("## Requests\n\n| job | messages | requests a message |\n|---|--:|--:|");
    let mut server = Server::start();
    for job in [Job::Plain, Job::Three, Job::Rules] {
        let mover = Mover::Redrive(job);
        let run = mover.run(&mut server, extent.messages, BODY);
        println!("| {} | {} | {:.4} |", mover.name(), run.messages, run.requests_each());
    }
}

/// Whether a message of a large queue costs what one of a small queue does.
pub(crate) fn curve(extent: &Extent) {
    println!(
        "## Size of the queue\n\n| messages | µs each | own CPU, µs each | peak, MiB | end, s |\n|--:|--:|--:|--:|--:|"
    );
    for messages in [extent.messages / 10, extent.messages, extent.messages * 10] {
        let run = Mover::Redrive(Job::Plain).run(&mut Server::start(), messages, BODY);
        let each = 1e6 / run.rate();
        println!(
            "| {messages} | {each:.1} | {:.1} | {:.0} | {:.2} |",
            micros(&run, 0),
            mib(&run),
            run.tail.as_secs_f64()
        );
    }
}

/// The largest messages, with latency, so that the pipeline is full.
pub(crate) fn memory(extent: &Extent) {
    println!("## Memory\n\n| bytes a message | latency, ms | messages | peak, MiB |\n|--:|--:|--:|--:|");
    for (bytes, latency) in [(256 * 1024, 0), (256 * 1024, 200), (1024 * 1024, 0), (BODY, 200)] {
        let messages = extent.messages * BODY / bytes.max(5 * BODY) * 5;
        let mut server = Server::start();
        server.latency(Duration::from_millis(latency));
        let run = Mover::Redrive(Job::Plain).run(&mut server, messages, bytes - if bytes > BODY { 64 } else { 0 });
        println!("| {bytes} | {latency} | {messages} | {:.0} |", mib(&run));
    }
}

/// Whether a rate is kept, by the server's log.
pub(crate) fn rate(_: &Extent) {
    println!("## Rate\n\n| rate | over ten seconds | the most in any second |\n|--:|--:|--:|");
    for rate in [50, 200, 1000, 3000] {
        let messages = usize::try_from(rate).expect("small") * 14;
        let run = Mover::Redrive(Job::Rate(rate)).run(&mut Server::start(), messages, BODY);
        let sends = &run.asked.sends;
        let within = |from: u64, ms: u64| -> usize {
            sends.iter().filter(|send| (from..from + ms).contains(&send.0)).map(|send| send.1).sum()
        };
        let first = sends.first().expect("something was sent").0;
        let most = sends.iter().map(|send| within(send.0, 1000)).max().unwrap_or_default();
        // After a second, when it flows.
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let average = within(first + 1000, 10_000) as f64 / 10.0;
        println!("| {rate} | {average:.1} ({:+.2} %) | {most} |", (average / f64::from(rate) - 1.0) * 100.0);
    }
}

/// How long the commands that touch nothing take, and a plan of a thousand samples beside its receives.
pub(crate) fn start(_: &Extent) {
    println!("## Start-up\n\n| command | ms, the best and the median of 20 |\n|---|--:|");
    let directory = tempfile::tempdir().expect("a directory");
    let job = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/orders-dlq.toml");
    for arguments in [&["--version"][..], &["check", job]] {
        let mut times: Vec<f64> = (0..20).map(|_| once(redrive(directory.path()).args(arguments))).collect();
        times.sort_by(f64::total_cmp);
        println!("| redrive {} | {:.1}, {:.1} |", arguments[0], times[0], times[10]);
    }
    let mut server = Server::start();
    server.latency(LATENCY);
    for queue in ["to", "to-1", "to-2"] {
        server.fill(queue, 0, 0);
    }
    server.fill("from", 2000, BODY);
    server.asked();
    let took = once(&mut plan(Job::Rules, &server.endpoint, directory.path(), "from", "to"));
    println!("| redrive plan, 1,000 samples, {} ms a request | {took:.0} |", LATENCY.as_millis());
    println!("| … of which from the first receive to the last | {} |", server.asked().receiving_ms);
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_redrive")).expect("the program").len();
    println!("\nThe program has {} KiB.", binary / 1024);
}

/// How long a command takes, in milliseconds.
fn once(command: &mut Command) -> f64 {
    let started = Instant::now();
    let child = command.stdout(Stdio::null()).spawn().expect("the program starts");
    let _ = child.wait_with_output();
    started.elapsed().as_secs_f64() * 1e3
}
