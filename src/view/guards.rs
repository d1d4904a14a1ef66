//! What guards and people did to a run, as people and programs read it. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::document::{Block, Column, heading, ours, plain, row, theirs};
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

/// What came back of a run, and what guards and people did to it, in order; nothing if that is nothing.
pub(super) fn section(report: &Report) -> Vec<Block> {
    let back: u64 = report.came_back.iter().map(|of| of.messages).sum();
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
