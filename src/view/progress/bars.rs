//! Bars on a terminal: one for the whole run, one for each rule whose messages leave the source, and a line on how it stands.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use redrive_protocol::target::RuleId;

use super::super::output;
use super::super::text::neutral;
use super::is_silent;
use super::lines::{Every, notable, standing};
use super::pace::{Pace, expected, expected_in_all, gone};
use super::terminal::Stderr;
use crate::apply::Event;
use crate::plan::Plan;
use redrive_protocol::protocol::{State, Tally};

/// A longer name would leave no room for the bar.
const NAME: usize = 28;

/// While a run waits it says so again and again; in between the figures do not take the place of that.
const WAITING: Duration = Duration::from_secs(5);

/// The bars of a run.
#[derive(Debug)]
pub(super) struct Bars {
    all: MultiProgress,
    names: BTreeMap<RuleId, String>,
    overall: ProgressBar,
    by_rule: BTreeMap<RuleId, ProgressBar>,
    standing: ProgressBar,
    expected: u64,
    pace: Pace,
    text: Every,
}

impl Bars {
    /// Bars on stderr.
    pub(super) fn on_stderr(plan: &Plan) -> Self {
        let bars = Self::new(plan, on_stderr());
        make_room(&bars.all);
        bars
    }

    pub(super) fn new(plan: &Plan, target: ProgressDrawTarget) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let overall = all.add(bar(expected_in_all(plan), "all rules".to_owned()));
        let standing = all.add(ProgressBar::no_length().with_style(style("  {msg}")));
        let names = plan.rules.iter().map(|rule| (rule.rule, shortened(&rule.name))).collect();
        let mut bars = Self {
            all,
            names,
            overall,
            by_rule: BTreeMap::new(),
            standing,
            expected: expected_in_all(plan),
            pace: Pace::default(),
            text: Every::new(Duration::from_millis(500)),
        };
        for (rule, _, total) in expected(plan) {
            bars.add(rule, total);
        }
        bars
    }

    fn add(&mut self, rule: RuleId, total: u64) {
        let name = self.names.get(&rule).cloned().unwrap_or_default();
        // Made whole before it joins the others: until then it would draw itself anywhere.
        self.by_rule.insert(rule, self.all.insert_before(&self.standing, bar(total, name)));
    }

    pub(super) fn show(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Progress(progress) => self.progress(&progress.tally, now),
            Event::WaitingForOrphans { .. } => {
                self.standing.set_message(notable(event).unwrap_or_default());
                self.text.hold(now, WAITING);
            }
            Event::Resumed { .. } | Event::Guard(_) => output::err(&notable(event).unwrap_or_default()),
        }
    }

    fn progress(&mut self, tally: &Tally, now: Instant) {
        self.pace.note(now, gone(tally));
        let mut left: BTreeMap<RuleId, u64> = BTreeMap::new();
        for (key, number) in tally.counts.iter().filter(|(key, _)| key.state == State::Done) {
            *left.entry(key.rule).or_default() += number;
        }
        for (rule, number) in left {
            if !self.by_rule.contains_key(&rule) {
                // The sample saw none of this rule, and the queue has some.
                self.add(rule, number);
            }
            if let Some(bar) = self.by_rule.get(&rule) {
                advance(bar, number);
            }
        }
        advance(&self.overall, gone(tally));
        // Figures that change faster than they can be read are of no use.
        if self.text.is_due(now) {
            self.standing.set_message(standing(tally, &self.pace, self.expected));
        }
    }

    /// Takes everything off the terminal.
    pub(super) fn clear(&self) {
        for bar in self.by_rule.values().chain([&self.overall, &self.standing]) {
            bar.finish_and_clear();
        }
        // Where the terminal is gone there is nothing to clear.
        let _ = self.all.clear();
        output::divert(None);
    }
}

/// One line that changes.
#[derive(Debug)]
pub(super) struct Status {
    all: MultiProgress,
    line: ProgressBar,
}

impl Status {
    /// On stderr; `None` if that is no terminal.
    pub(super) fn on_stderr() -> Option<Self> {
        if is_silent() || !output::is_stderr_a_terminal() {
            return None;
        }
        let all = MultiProgress::with_draw_target(on_stderr());
        let line = all.add(ProgressBar::no_length().with_style(style("  {msg}")));
        make_room(&all);
        Some(Self { all, line })
    }

    pub(super) fn show(&self, words: String) {
        self.line.set_message(words);
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        self.line.finish_and_clear();
        // Nobody sees what cannot be cleared on a terminal that is gone.
        let _ = self.all.clear();
        output::divert(None);
    }
}

fn on_stderr() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like_with_hz(Box::new(Stderr::default()), 5)
}

/// Takes these bars off the terminal while something is printed.
fn make_room(all: &MultiProgress) {
    let all = all.clone();
    output::divert(Some(Box::new(move |print| all.suspend(print))));
}

fn bar(total: u64, name: String) -> ProgressBar {
    ProgressBar::new(total).with_style(style("  {prefix:28} {wide_bar} {human_pos:>9}/{human_len:9}")).with_prefix(name)
}

fn advance(bar: &ProgressBar, number: u64) {
    // The plan's figure is an estimate; the bar does not claim to be over the end.
    bar.set_length(bar.length().unwrap_or(0).max(number));
    bar.set_position(number);
}

fn style(template: &str) -> ProgressStyle {
    // The templates are this file's; a mistake in one costs its looks and is caught by a test.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn shortened(name: &str) -> String {
    let name = neutral(name);
    if name.chars().count() <= NAME { name.into_owned() } else { name.chars().take(NAME - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::super::super::report::sample;
    use super::*;

    #[test]
    fn every_rule_that_moves_has_a_bar_and_none_claims_to_be_over_the_end() {
        let plan = sample::plan();
        let mut bars = Bars::new(&plan, ProgressDrawTarget::hidden());
        assert_eq!(bars.by_rule.len(), 2, "a rule that keeps has none");
        let tally = sample::tally();
        bars.show(&sample::progress(tally.clone()), Instant::now());
        for (rule, bar) in &bars.by_rule {
            let gone = tally.count(|key| key.rule == *rule && key.state == State::Done);
            assert_eq!(bar.position(), gone);
            assert!(bar.length() >= Some(gone));
        }
        assert_eq!(bars.overall.position(), gone(&tally));
        assert!(bars.standing.message().contains("kept 950"), "{}", bars.standing.message());
        bars.clear();
        assert!(bars.standing.is_finished());
    }

    #[test]
    fn a_rule_that_the_sample_did_not_see_gets_a_bar() {
        let mut plan = sample::plan();
        for rule in &mut plan.rules {
            rule.outcomes.clear();
        }
        let mut bars = Bars::new(&plan, ProgressDrawTarget::hidden());
        assert!(bars.by_rule.is_empty());
        bars.show(&sample::progress(sample::tally()), Instant::now());
        assert!(!bars.by_rule.is_empty());
    }

    #[test]
    fn names_are_short_and_harmless() {
        assert_eq!(shortened("a\u{1b}[2J"), r"a\u{1b}[2J");
        assert_eq!(shortened(&"x".repeat(500)).chars().count(), NAME);
    }

    #[test]
    fn templates_are_understood() {
        for template in ["  {msg}", "  {prefix:28} {wide_bar} {human_pos:>9}/{human_len:9}"] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
