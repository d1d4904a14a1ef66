//! The canary's way through a run: its messages go, the others wait, it is judged. Each step is in the journal, so that a session
//! that comes after a kill goes on with it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use redrive_protocol::message::MessageId;
use redrive_protocol::target::RuleId;
use redrive_rules::job::Percent;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::lease;
use super::noted::{halt, note};
use super::parcel::stopped;
use super::shared::Shared;
use super::valve::By;
use crate::guard::{self, Course, Observation, Verdict};
use crate::journal::GuardEvent;

/// The share that may come back of a canary if the job names none.
const LIMIT: Percent = Percent(200);

/// In which part of the wait, at its end, a destination must be seen to hold no more than before: SQS's counts lag.
const LAST_LOOKS: Duration = Duration::from_secs(30);

/// A canary that is not judged yet.
#[derive(Debug)]
pub(super) struct Canary {
    round: Round,
    course: Course,
    began: Timestamp,
    /// Its messages that came back, by the dead-letter queue where they were seen.
    back: HashSet<(Option<usize>, MessageId)>,
    /// Whether a destination was seen to hold no more than before.
    drained: Vec<bool>,
    /// Whether the last look at a dead-letter queue did not come to its end.
    unseen: Vec<bool>,
    receives: usize,
}

/// How things were when it began.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Round {
    /// Up to which number messages of each rule may leave.
    most: BTreeMap<u16, u64>,
    /// How many messages of these rules had left before.
    left: u64,
    /// What each destination held.
    destinations: Vec<Option<u64>>,
    /// What each dead-letter queue held.
    dead_letters: Vec<Option<u64>>,
}

impl Canary {
    /// Begins it, or goes on with it; gives none if there is none, or it is over. `None` if the run halts over it.
    pub(super) async fn begin(
        shared: &Arc<Shared>,
        events: &[GuardEvent],
        held: &[Option<u64>],
    ) -> Option<Option<Self>> {
        if shared.guards.shares.is_empty() || matches!(shared.leg, super::park::Leg::Back(_)) {
            return Some(None);
        }
        let is_over = |event: &GuardEvent| matches!(event.kind.as_str(), "canary_passed" | "canary_skipped");
        if events.iter().any(is_over) {
            return Some(None);
        }
        if let Some((who, why)) = shared.guards.skip_canary.clone() {
            let words = format!("goes without the canary: {why}");
            note(shared, "canary_skipped", Some(who), words, &json!({ "reason": why })).await?;
            return Some(None);
        }
        let mut canary = match Self::noted(events) {
            Some(noted) => noted,
            None => Self::start(shared, held).await?,
        };
        canary.drained = vec![false; shared.guards.watched.destinations.len()];
        canary.unseen = vec![false; shared.guards.watched.dead_letters.len()];
        let most = canary.round.most.iter().map(|(rule, most)| (RuleId(*rule), *most)).collect();
        shared.budget.set_canary(Some(most));
        shared.guards.open_canary(true);
        shared.guards.send_canary(canary.course == Course::Sending);
        if canary.course != Course::Sending || shared.budget.canary_has_left() {
            shared.guards.canary_is_all();
        }
        if let Course::Waiting(until) = canary.course {
            // One that nobody consumed is looked at for once more as long.
            let is_again = events.last().is_some_and(|event| event.kind == "canary_inconclusive");
            if is_again {
                canary.wait(shared).await?;
            } else {
                let words = format!("goes on waiting for what becomes of the canary, until {until}");
                note(shared, "canary_goes_on", None, words, &Value::Null).await?;
            }
        }
        Some(Some(canary))
    }

    /// What an earlier session left of it.
    fn noted(events: &[GuardEvent]) -> Option<Self> {
        let mut noted: Option<Self> = None;
        for event in events {
            match event.kind.as_str() {
                "canary_began" => {
                    let round = serde_json::from_str(&event.data).ok();
                    noted = round.map(|round| Self::new(round, event.at));
                }
                "canary_waits" => {
                    let data: Option<Value> = serde_json::from_str(&event.data).ok();
                    let until = data.and_then(|data| data["until"].as_str().and_then(|until| until.parse().ok()));
                    if let (Some(canary), Some(until)) = (&mut noted, until) {
                        canary.course = Course::Waiting(until);
                    }
                }
                // Whoever goes on after that has mended the consumer: another few go first.
                "canary_bounced" => noted = None,
                _ => {}
            }
        }
        noted
    }

    fn new(round: Round, began: Timestamp) -> Self {
        let (back, drained, unseen) = Default::default();
        Self { round, course: Course::Sending, began, back, drained, unseen, receives: 0 }
    }

    async fn start(shared: &Shared, held: &[Option<u64>]) -> Option<Self> {
        let before = shared.budget.left();
        let left = |rule: &RuleId| before.get(rule).copied().unwrap_or(0);
        let mut destinations = Vec::new();
        for destination in &shared.guards.watched.destinations {
            let counted = guard::backlog(destination.queue.as_ref()).await;
            destinations.push(counted.map_err(|error| shared.fail(stopped(error))).ok()?);
        }
        let first = &shared.guards.shares;
        let round = Round {
            most: first.iter().map(|(rule, share)| (rule.0, left(rule) + share)).collect(),
            left: first.keys().map(left).sum(),
            destinations,
            dead_letters: held.to_vec(),
        };
        let of: Vec<String> =
            first.iter().map(|(rule, share)| format!("{share} of {:?}", shared.rules.rule_name(*rule))).collect();
        let words = format!("the canary goes: {}", of.join(", "));
        // Of what is sent from now on: no earlier message counts for it.
        let began = shared.journal.now();
        note(shared, "canary_began", None, words, &json!(round)).await?;
        Some(Self::new(round, began))
    }

    /// Whether its messages have gone.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.course, Course::Waiting(_))
    }

    /// What each dead-letter queue holds if nothing has come to it since.
    pub(super) fn expected(&self, shared: &Shared) -> Vec<Option<u64>> {
        let sent = self.sent(shared);
        let queues = shared.guards.watched.dead_letters.iter().zip(&self.round.dead_letters);
        // What was taken out of the source is not in it.
        queues
            .map(|(queue, held)| held.map(|held| held.saturating_sub(if queue.is_source { sent } else { 0 })))
            .collect()
    }

    fn sent(&self, shared: &Shared) -> u64 {
        let left = shared.budget.left();
        let of_round = |rule: &u16| left.get(&RuleId(*rule)).copied().unwrap_or(0);
        self.round.most.keys().map(of_round).sum::<u64>().saturating_sub(self.round.left)
    }

    /// A message of the run was seen in a dead-letter queue.
    pub(super) fn came_back(&mut self, at: Option<usize>, id: &MessageId, sent: Timestamp) {
        if sent >= self.began {
            self.back.insert((at, id.clone()));
        }
    }

    /// A dead-letter queue was looked at.
    pub(super) fn looked(&mut self, at: usize, more: bool, receives: usize) {
        self.unseen[at] = more;
        self.receives += receives;
    }

    async fn wait(&mut self, shared: &Shared) -> Option<()> {
        let until = shared.journal.now().checked_add(shared.guards.wait).unwrap_or(Timestamp::MAX);
        self.course = Course::Waiting(until);
        shared.guards.send_canary(false);
        let sent = self.sent(shared);
        let words =
            format!("the canary has gone, {sent} messages; the others wait for what becomes of it, until {until}");
        note(shared, "canary_waits", None, words, &json!({ "until": until })).await
    }

    /// Looks at how it is; says whether it is over.
    pub(super) async fn look(&mut self, shared: &Arc<Shared>, held: &[Option<u64>]) -> bool {
        let until = match self.course {
            Course::Over => return true,
            Course::Sending => {
                if !shared.guards.is_canary_all() && shared.budget.canary_has_left() {
                    shared.guards.canary_is_all();
                }
                // What was withheld is not on its way: nothing is, once the canary has arrived.
                if shared.guards.is_canary_all() && shared.room.is_empty() {
                    return self.wait(shared).await.is_none();
                }
                return false;
            }
            Course::Waiting(until) => until,
        };
        let mut holds = Vec::new();
        for (at, destination) in shared.guards.watched.destinations.iter().enumerate() {
            // A look that fails shows nothing; those before the end decide.
            let held = guard::backlog(destination.queue.as_ref()).await.ok().flatten();
            let is_late = shared.journal.now() >= self.last_looks(until, shared.guards.wait);
            let before = self.round.destinations.get(at).copied().flatten();
            self.drained[at] |= is_late && held.zip(before).is_some_and(|(held, before)| held <= before);
            let name = &destination.name;
            holds.push(match held.zip(before) {
                Some((held, before)) => format!("{name} holds {held} messages, and held {before} before"),
                None => format!("{name} does not say how many it holds"),
            });
        }
        let sent = self.sent(shared);
        let ids: HashSet<&MessageId> = self.back.iter().map(|(_, id)| id).collect();
        let bounced = ids.len() as u64;
        let limit = shared.guards.guard.max_bounced.unwrap_or(LIMIT);
        let unknown = self.unknown(shared, held);
        let seen = Observation {
            sent,
            bounced,
            drained: self.drained.iter().all(|drained| *drained),
            blind: limit.is_passed_by(bounced + unknown, sent),
            now: shared.journal.now(),
            until,
        };
        let (kind, words) = match seen.judge(limit) {
            Verdict::Wait => return false,
            Verdict::Passed => {
                let words = format!(
                    "the canary passed: {bounced} of {sent} messages came back; looking took {} receives",
                    self.receives
                );
                if note(shared, "canary_passed", None, words, &Value::Null).await.is_some() {
                    self.pass(shared).await;
                }
                return true;
            }
            Verdict::Bounced => {
                let words = format!(
                    "the canary came back: {bounced} of {sent} messages, and {limit} may. Mend the consumer; the same command \
                     sends another few first"
                );
                ("canary_bounced", words)
            }
            Verdict::NotConsumed => {
                let words = format!(
                    "the canary is inconclusive: its {sent} messages were not consumed in time ({}). See that the consumer runs; \
                     the same command waits for it once more",
                    holds.join(", ")
                );
                ("canary_inconclusive", words)
            }
            Verdict::Unknown => {
                let words = format!(
                    "the canary is inconclusive: a dead-letter queue holds {unknown} more messages than before, and holds too many \
                     to see whether they are the canary's. The same command looks once more"
                );
                ("canary_inconclusive", words)
            }
        };
        halt(shared, kind, words).await;
        true
    }

    /// From when on a destination must be seen to hold no more than before.
    fn last_looks(&self, until: Timestamp, wait: Duration) -> Timestamp {
        until.checked_sub(LAST_LOOKS.min(wait / 2)).unwrap_or(self.began)
    }

    /// How many messages more than before are in dead-letter queues of which not all could be seen, without those that were.
    fn unknown(&self, shared: &Shared, held: &[Option<u64>]) -> u64 {
        let queues = self.expected(shared).into_iter().zip(held).enumerate();
        let of = |(at, (before, now)): (usize, (Option<u64>, &Option<u64>))| {
            let (now, before) = now.zip(before)?;
            let known = self.back.iter().filter(|(seen_at, _)| *seen_at == Some(at)).count() as u64;
            self.unseen.get(at).copied().unwrap_or(false).then(|| now.saturating_sub(before).saturating_sub(known))
        };
        queues.filter_map(of).sum()
    }

    /// The others go.
    async fn pass(&mut self, shared: &Arc<Shared>) {
        self.course = Course::Over;
        shared.budget.set_canary(None);
        let withheld = shared.guards.take_withheld();
        lease::release(shared, withheld).await;
        shared.empty_receives.store(0, Ordering::Release);
        shared.guards.open_canary(false);
        shared.guards.valve.open(By::Canary);
    }
}
