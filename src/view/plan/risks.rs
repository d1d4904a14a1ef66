//! What speaks against a plan: the one line for a person in a hurry, then refusals, dangers, cautions and notes. Pure.

use std::fmt::Write as _;

use super::super::document::{self, Block, heading, ours, prose};
use super::Detail;
use crate::plan::{Basis, Estimate, Hazard, Plan, Severity};
use crate::words::{count, thousands};

/// The one line for a person in a hurry: what moves, what stays, and what there is to review. Holds no text from outside.
pub fn headline(plan: &Plan) -> String {
    let totals = plan.totals();
    let exact = plan.sample.whole_queue || plan.pins.is_some();
    let known = !matches!(plan.sample.basis, Basis::Uneven(_));
    let mut line = String::from(match (exact, known) {
        (true, _) => "",
        (false, true) => "Estimate: ",
        (false, false) => "Of the examined messages only: ",
    });
    let number = |estimate: Estimate| if known { estimate.total } else { estimate.sampled };
    let stays = number(totals.kept) + number(totals.blocked);
    for (verb, estimate) in [("moves", totals.moved), ("archives", totals.archived), ("drops", totals.dropped)] {
        if number(estimate) > 0 || verb == "moves" {
            let _ = write!(line, "{verb} {}, ", thousands(number(estimate)));
        }
    }
    let _ = write!(line, "leaves {}; {}.", thousands(stays), verdict(plan));
    let first = line.get(..1).map(str::to_uppercase).unwrap_or_default();
    format!("{first}{}", line.get(1..).unwrap_or_default())
}

/// `1 danger, 2 cautions`, or that the plan is refused.
fn verdict(plan: &Plan) -> String {
    if !plan.refusals.is_empty() {
        return format!("REFUSED for {}", count(plan.refusals.len() as u64, "reason"));
    }
    let said: Vec<String> = [Severity::Danger, Severity::Caution]
        .into_iter()
        .map(|severity| (of(plan, severity).count() as u64, severity.as_str()))
        .filter(|(number, _)| *number > 0)
        .map(|(number, noun)| count(number, noun))
        .collect();
    if said.is_empty() { "no risks found".to_owned() } else { said.join(", ") }
}

fn of(plan: &Plan, severity: Severity) -> impl Iterator<Item = &Hazard> {
    plan.hazards.iter().filter(move |hazard| hazard.severity == severity)
}

pub(super) fn headline_block(plan: &Plan) -> Block {
    let worst = plan.refusals.iter().chain(&plan.hazards).map(|hazard| hazard.severity).min();
    let severity = match worst {
        Some(Severity::Danger) => document::Severity::Danger,
        Some(Severity::Caution) => document::Severity::Caution,
        Some(Severity::Note) | None => document::Severity::Good,
    };
    Block::Headline(severity, prose(headline(plan)))
}

/// The refusals, then what there is to review, the dangers first. Notes are folded away unless all is asked for.
pub(super) fn blocks(plan: &Plan, detail: Detail) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !plan.refusals.is_empty() {
        blocks.push(heading("REFUSED: apply will not carry out this plan"));
        blocks.extend(plan.refusals.iter().map(notice));
    }
    let risks: Vec<&Hazard> = of(plan, Severity::Danger).chain(of(plan, Severity::Caution)).collect();
    if !risks.is_empty() {
        blocks.push(Block::Heading(ours("Risks to review (").number(risks.len() as u64).ours(")")));
        blocks.extend(risks.into_iter().map(notice));
    }
    let notes: Vec<Block> = of(plan, Severity::Note).map(notice).collect();
    if notes.is_empty() {
        return blocks;
    }
    let number = notes.len() as u64;
    if detail.full {
        blocks.push(Block::Heading(ours("Notes (").number(number).ours(")")));
        blocks.extend(notes);
    } else {
        blocks.push(Block::Closed(prose(count(number, "note")), notes));
    }
    blocks
}

fn notice(hazard: &Hazard) -> Block {
    let severity = match hazard.severity {
        Severity::Danger => document::Severity::Danger,
        Severity::Caution => document::Severity::Caution,
        Severity::Note => document::Severity::Note,
    };
    Block::Notice(severity, ours(hazard.code.as_str()), prose(&hazard.text))
}
