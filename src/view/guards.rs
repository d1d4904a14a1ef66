//! What guards and people did to a run, as people and programs read it. Pure.

use jiff::Timestamp;
use redrive_rules::job::Percent;
use serde::Serialize;

use super::document::{Block, Column, Document, heading, ours, plain, row, theirs};
use super::run::Report;
use super::text::neutral;
use super::units::{self, messages};
use super::wire::{self, VERSION};
use crate::journal::GuardEvent;

/// An event as it happens, in words.
pub(super) fn line(event: &GuardEvent) -> String {
    let who = event.who.as_deref().map(|who| format!("{}: ", neutral(who))).unwrap_or_default();
    format!("Guard: {who}{}", neutral(&event.words))
}

/// An event as one line of JSON.
#[derive(Serialize)]
struct GuardObject<'a> {
    r#type: &'static str,
    version: u32,
    run: &'a str,
    at: Timestamp,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    who: Option<&'a str>,
    words: &'a str,
}

/// The same as one line of JSON.
pub(super) fn json(run: &str, event: &GuardEvent) -> String {
    let GuardEvent { at, kind, who, words, .. } = event;
    wire::line(&GuardObject { r#type: "guard", version: VERSION, run, at: *at, kind, who: who.as_deref(), words })
}

/// What a run said to a person's word.
pub fn told(run: &str, words: &str) -> String {
    format!("Run {}: {}", neutral(run), neutral(words))
}

/// The same as one line of JSON.
#[derive(Serialize)]
struct ControlObject<'a> {
    r#type: &'static str,
    version: u32,
    run: &'a str,
    words: &'a str,
}

/// The same as one line of JSON.
pub fn told_json(run: &str, words: &str) -> String {
    wire::line(&ControlObject { r#type: "control", version: VERSION, run, words })
}

/// What became of a run that was watched after its end.
#[derive(Debug)]
pub struct Watched<'a> {
    /// The run, as it is now.
    pub report: &'a Report,
    /// How many messages were seen to be back that had not been known to be.
    pub new: u64,
    /// How many receives the looking took.
    pub receives: usize,
    /// The share that may come back.
    pub limit: Option<Percent>,
    /// Whether more did.
    pub is_too_much: bool,
    /// For how long it was watched.
    pub seconds: u64,
}

fn came_back(report: &Report) -> u64 {
    report.came_back.iter().map(|of| of.messages).sum()
}

/// What is noted of it in the journal.
pub fn watched_words(watched: &Watched<'_>) -> String {
    let Watched { report, new, receives, limit, is_too_much, seconds } = watched;
    let (back, moved) = (units::grouped(came_back(report)), messages(report.figures.moved));
    let time = units::duration(seconds * 1000);
    let too_much = match limit.filter(|_| *is_too_much) {
        Some(limit) => format!(", and {limit} may"),
        None => String::new(),
    };
    format!(
        "watched for {} after the end: {} of {} came back{too_much}; {new} of them were new, and looking took {receives} receives",
        time.as_str(),
        back.as_str(),
        moved.as_str()
    )
}

/// The same for whoever watched.
pub fn watched(watched: &Watched<'_>) -> Document {
    let words = format!("Run {}: {}.", watched.report.figures.run, watched_words(watched));
    let mut blocks = vec![Block::Paragraph(theirs(&words))];
    blocks.extend(section(watched.report));
    Document::new(blocks)
}

/// The same as one line of JSON.
#[derive(Serialize)]
struct WatchedObject<'a> {
    r#type: &'static str,
    version: u32,
    run: &'a str,
    moved: u64,
    came_back: u64,
    new: u64,
    receives: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<String>,
    is_too_much: bool,
    seconds: u64,
}

/// The same as one line of JSON.
pub fn watched_json(watched: &Watched<'_>) -> String {
    let Watched { report, new, receives, limit, is_too_much, seconds } = watched;
    wire::line(&WatchedObject {
        r#type: "watched",
        version: VERSION,
        run: &report.figures.run,
        moved: report.figures.moved,
        came_back: came_back(report),
        new: *new,
        receives: *receives,
        limit: limit.map(|limit| limit.to_string()),
        is_too_much: *is_too_much,
        seconds: *seconds,
    })
}

/// What came back of a run, and what guards and people did to it, in order; nothing if that is nothing.
pub(super) fn section(report: &Report) -> Vec<Block> {
    let back = came_back(report);
    if report.guards.is_empty() && back == 0 {
        return Vec::new();
    }
    let mut blocks = vec![heading("Guards")];
    let name = |rule| report.plan.rules.iter().find(|of| of.rule == rule).map_or("", |of| of.name.as_str());
    if back > 0 {
        let moved = messages(report.figures.moved);
        blocks.push(Block::Paragraph(ours("Moved ").plain(moved).ours(", of which ").number(back).ours(" came back:")));
        let of = |of: &crate::journal::CameBack| {
            let seen = plain(units::time(of.seen.0)).ours(" to ").plain(units::time(of.seen.1));
            theirs(name(of.rule)).ours(": ").plain(messages(of.messages)).ours(", seen from ").line(seen)
        };
        blocks.push(Block::List(report.came_back.iter().map(of).collect()));
    }
    let events = report.guards.iter().map(|event| {
        let who = event.who.as_deref().map_or(ours(""), theirs);
        row(vec![plain(units::time(event.at)), who, theirs(&event.words)])
    });
    let columns = vec![Column::text("time"), Column::text("by"), Column::text("what")];
    if !report.guards.is_empty() {
        blocks.push(Block::Table(columns, events.collect()));
    }
    blocks
}
