//! Watches over a run beside its pipeline: looks at what guards look at, decides, and pauses, slows or halts the run, or stops a
//! rule. Listens for a person's word too. What it does is noted in the journal and told as an event.

use std::sync::Arc;
use std::time::Duration;

use redrive_protocol::message::MessageId;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::canary::Canary;
use super::noted::{halt, note};
use super::parcel::stopped;
use super::shared::Shared;
use super::valve::By;
use crate::guard::{self, Answer, Backlog, Listener, Order, Request, Share, Waiting};
use crate::journal::Bounce;
use redrive_rules::job::NoAnswer;

/// How often queues are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often the command is asked.
const ASK_EVERY: Duration = Duration::from_secs(15);

/// How long the command may take, if the job does not say.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// What the watching remembers.
pub(super) struct Watch {
    shared: Arc<Shared>,
    canary: Option<Canary>,
    backlog: Option<Backlog>,
    /// How much each dead-letter queue held when it was last looked at.
    held: Vec<Option<u64>>,
    bounced: u64,
    /// How many had left at the last look, and when that was.
    left: (u64, Instant),
    asking: Option<JoinHandle<Answer>>,
    asked: Option<Instant>,
}

impl Watch {
    /// Takes up where an earlier session left, before the first message. `None` if the run halts over it.
    pub(super) async fn begin(shared: &Arc<Shared>) -> Option<Self> {
        let events = shared.journaled(shared.journal.guard_events(&shared.setting.run).await)?;
        for event in events.iter().filter(|event| event.kind == "rule_stopped") {
            let rule = serde_json::from_str::<Value>(&event.data).ok().and_then(|data| data["rule"].as_u64());
            if let Some(rule) = rule.and_then(|rule| u16::try_from(rule).ok()) {
                shared.budget.stop_rule(redrive_protocol::target::RuleId(rule));
            }
        }
        let guards = &shared.guards;
        if let Some((who, words)) = guards.beside.clone() {
            note(shared, "move_task_accepted", Some(who), words, &Value::Null).await?;
        }
        let mut watch = Self {
            shared: Arc::clone(shared),
            canary: None,
            backlog: guards.guard.max_backlog.map(Backlog::new),
            held: vec![None; guards.watched.dead_letters.len()],
            bounced: 0,
            left: (shared.budget.left().values().sum(), Instant::now()),
            asking: None,
            asked: None,
        };
        if guards.guard.max_bounced.is_some() || guards.guard.canary.is_some() {
            for (held, dead_letters) in watch.held.iter_mut().zip(&guards.watched.dead_letters) {
                let counted = guard::backlog(dead_letters.queue.as_ref()).await;
                *held = counted.map_err(|error| shared.fail(stopped(error))).ok()?;
            }
        }
        watch.canary = Canary::begin(shared, &events, &watch.held).await?;
        if let Some(canary) = &watch.canary {
            watch.held = canary.expected(shared);
        }
        if guards.guard.command.is_some() {
            watch.ask();
            watch.hear(true).await;
        }
        Some(watch)
    }

    /// Watches until the messages are moved.
    pub(super) async fn run(mut self, mut moved: oneshot::Receiver<()>) {
        let (requests, mut asked) = mpsc::channel(8);
        let hearing = self.shared.journal.location().file().is_none().then(|| {
            let (shared, requests) = (Arc::clone(&self.shared), requests.clone());
            tokio::spawn(async move { hear(&shared, &requests).await })
        });
        let listener = self.shared.guards.socket.as_ref().map(|path| Listener::new(path, requests));
        if let Some(Err(error)) = &listener {
            let words = format!("`redrive control` cannot reach this run: its socket cannot be made: {error}");
            note(&self.shared, "no_control", None, words, &Value::Null).await;
        }
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = &mut moved => break,
                Some((request, answer)) = asked.recv() => {
                    // Whoever asked may be gone; what was asked for is done all the same.
                    let _ = answer.send(self.carry_out(request).await);
                }
                _ = looks.tick() => self.look().await,
            }
        }
        if let Some(hearing) = hearing {
            // What was taken up gets an answer.
            drop(asked);
            let _ = hearing.await;
        }
        self.meet().await;
    }

    /// One look at everything.
    async fn look(&mut self) {
        self.meet().await;
        let shared = Arc::clone(&self.shared);
        if shared.is_halting() {
            return;
        }
        let guards = &shared.guards;
        if guards.guard.max_bounced.is_some() || self.canary.is_some() {
            self.look_at_dead_letters().await;
        }
        if let Some(canary) = &mut self.canary {
            let was_waiting = canary.is_waiting();
            let is_over = canary.look(&shared, &self.held).await;
            if canary.is_waiting() && !was_waiting {
                self.held = canary.expected(&shared);
            }
            if is_over {
                self.canary = None;
            }
        }
        self.look_at_backlog().await;
        if guards.guard.command.is_some() {
            self.hear(false).await;
            if self.asking.is_none() && self.asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY) {
                self.ask();
            }
        }
    }

    /// What came back and was met by the run's own receives.
    async fn meet(&mut self) {
        let met = self.shared.guards.take_met();
        let source = self.shared.guards.watched.dead_letters.iter().position(|queue| queue.is_source);
        self.came_back(source, met).await;
    }

    /// Looks at the dead-letter queues that grew.
    async fn look_at_dead_letters(&mut self) {
        let shared = Arc::clone(&self.shared);
        for (at, dead_letters) in shared.guards.watched.dead_letters.iter().enumerate() {
            // While messages are received, the run meets by itself what comes back to its source.
            if dead_letters.is_source && shared.guards.valve.why().is_none() {
                continue;
            }
            // A look that fails is made again; that it cannot be made for long shows in the canary, which does not pass blind.
            let Ok(Some(held)) = guard::backlog(dead_letters.queue.as_ref()).await else { continue };
            let grew = self.held[at].is_none_or(|before| held > before);
            self.held[at] = Some(held);
            if grew && held > 0 {
                let Ok(seen) = guard::look(dead_letters.queue.as_ref()).await else {
                    self.held[at] = None;
                    continue;
                };
                if let Some(canary) = &mut self.canary {
                    canary.looked(at, seen.more, seen.receives);
                }
                self.came_back(Some(at), seen.messages).await;
            }
        }
    }

    /// Messages were seen in this dead-letter queue: those that the run sent are noted, and too many of them stop it.
    async fn came_back(&mut self, at: Option<usize>, messages: Vec<MessageId>) {
        let shared = Arc::clone(&self.shared);
        let Some(bounces) = shared.journaled(shared.journal.bounced(&shared.setting.run, messages.clone()).await)
        else {
            return;
        };
        for (id, bounce) in messages.iter().zip(bounces) {
            let Some(Bounce { rule, sent, is_new }) = bounce else { continue };
            self.bounced += u64::from(is_new);
            if let Some(canary) = &mut self.canary {
                canary.came_back(at, id, sent);
            }
            if let Some(share) = shared.guards.came_back(rule, id) {
                too_many(&shared, share).await;
            }
        }
    }

    /// Slows sending while a destination holds too much.
    async fn look_at_backlog(&mut self) {
        let shared = Arc::clone(&self.shared);
        let Some(backlog) = &mut self.backlog else { return };
        let mut fullest = None;
        for destination in &shared.guards.watched.destinations {
            // Without an answer nothing is known, and nothing changed.
            let Ok(Some(held)) = guard::backlog(destination.queue.as_ref()).await else { return };
            fullest = fullest.max(Some((held, destination.name.as_str())));
        }
        let Some((held, name)) = fullest else { return };
        let (left, now) = (shared.budget.left().values().sum::<u64>(), Instant::now());
        #[expect(clippy::cast_precision_loss, reason = "a rate, for people")]
        let sent = left.saturating_sub(self.left.0) as f64 / now.duration_since(self.left.1).as_secs_f64().max(0.001);
        self.left = (left, now);
        let (was, cap) = (backlog.is_slowing(), backlog.look(held, sent));
        shared.guards.cap.slow(cap);
        let most = backlog.most();
        match (was, cap) {
            (false, Some(cap)) => {
                let words = format!(
                    "waiting for the consumer: {name} holds {held} messages, {most} are the most it should; {cap} a second"
                );
                note(&shared, "slowed", None, words, &Value::Null).await;
            }
            (true, None) => {
                let words = format!("the consumer keeps up again: {name} holds {held} messages; as fast as before");
                note(&shared, "unslowed", None, words, &Value::Null).await;
            }
            _ => {}
        }
    }

    /// Asks the command, without waiting for it.
    fn ask(&mut self) {
        let shared = Arc::clone(&self.shared);
        let (moved, bounced) = (shared.budget.left().values().sum(), self.bounced);
        self.asked = Some(Instant::now());
        self.asking = Some(tokio::spawn(async move {
            let guard = &shared.guards.guard;
            let most = guard.command_timeout.map_or(COMMAND_TIMEOUT, |age| age.0);
            let asked = guard::Asked { run: &shared.setting.run, moved, bounced };
            guard::ask(guard.command.as_deref().unwrap_or_default(), most, asked).await
        }));
    }

    /// Does what the command says, once it has. `wait`: nothing is done before.
    async fn hear(&mut self, wait: bool) {
        let Some(asking) = self.asking.take_if(|asking| wait || asking.is_finished()) else { return };
        let shared = &self.shared;
        let program = shared.guards.guard.command.iter().flatten().next().map_or("", String::as_str);
        let behind = |said: &str| if said.is_empty() { String::new() } else { format!(": {said}") };
        let answer = asking.await.unwrap_or_else(|error| Answer::Nothing(format!("it could not be asked: {error}")));
        let answer = match (answer, shared.guards.guard.no_answer) {
            (Answer::Nothing(why), NoAnswer::Pause) => Answer::Pause(format!("no answer, {why}")),
            (Answer::Nothing(why), NoAnswer::Halt) => Answer::Halt(format!("no answer, {why}")),
            (Answer::Nothing(_), NoAnswer::Go) => Answer::Go,
            (answer, _) => answer,
        };
        match answer {
            Answer::Go | Answer::Nothing(_) => {
                if shared.guards.valve.open(By::Command) {
                    let words = format!("the command {program} lets the run go on");
                    note(shared, "command_go", None, words, &Value::Null).await;
                }
            }
            Answer::Pause(said) => {
                let words = format!("the command {program} pauses the run{}", behind(&said));
                if shared.guards.valve.close(By::Command, &words) {
                    note(shared, "command_pause", None, words, &Value::Null).await;
                }
            }
            Answer::Halt(said) => {
                halt(shared, "command_halt", format!("the command {program} halts the run{}", behind(&said))).await;
            }
        }
    }

    /// Carries out a person's word; gives what to say to them.
    async fn carry_out(&mut self, request: Request) -> Result<String, String> {
        let shared = &self.shared;
        let Request { run, order, who, reason } = request;
        if run != shared.setting.run {
            return Err(format!("the process at this journal is at work on run {}", shared.setting.run));
        }
        let because = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let (kind, words) = match order {
            Order::Pause => {
                shared.guards.valve.close(By::Person, &format!("paused by {who}{because}"));
                ("paused", format!("paused{because}"))
            }
            Order::Resume => {
                shared.guards.valve.open(By::Person);
                let still = shared.guards.valve.why().map(|why| format!("; still waiting: {why}")).unwrap_or_default();
                ("resumed", format!("goes on{because}{still}"))
            }
            Order::Rate(0) => return Err("a rate is at least one message a second".to_owned()),
            Order::Rate(rate) => {
                if let Some(approved) = shared.options.rate.filter(|approved| rate > *approved) {
                    return Err(format!("{approved} messages a second were approved; a higher rate needs a new plan"));
                }
                shared.guards.cap.ask(Some(rate));
                ("rate", format!("sends at most {rate} messages a second{because}"))
            }
            Order::Stop => {
                shared.stop.finish();
                ("stopped", format!("stops{because}"))
            }
        };
        let data = json!({ "reason": reason });
        let noted = note(shared, kind, Some(who), words.clone(), &data).await;
        noted.map(|()| words).ok_or_else(|| "the journal failed, and the run stops".to_owned())
    }
}

/// Has carried out what people ask by way of a journal on a server, until nobody takes it up any more.
async fn hear(shared: &Shared, requests: &mpsc::Sender<Waiting>) -> Option<()> {
    while !requests.is_closed() {
        for (number, request) in shared.journaled(shared.journal.take_controls().await)? {
            let answer = guard::answer(&request, requests).await;
            shared.journaled(shared.journal.answer_control(number, answer).await)?;
        }
        // Not as long as the pause, where the run ends meanwhile.
        let _ = timeout(LOOK_EVERY, requests.closed()).await;
    }
    Some(())
}

/// Too many messages came back: stops the rule, or the run.
async fn too_many(shared: &Shared, share: Share) {
    let Share { rule, bounced, of } = share;
    let limit = shared.guards.guard.max_bounced.map(|limit| limit.to_string()).unwrap_or_default();
    match rule {
        Some(rule) => {
            if !shared.budget.stop_rule(rule) {
                return;
            }
            let name = shared.rules.rule_name(rule);
            let words = format!(
                "rule {name:?} is stopped: {bounced} of its last {of} messages came back, and {limit} may; its others stay"
            );
            note(shared, "rule_stopped", None, words, &json!({ "rule": rule.0 })).await;
        }
        None if shared.is_halting() => {}
        None => {
            let words = format!("{bounced} of the last {of} messages came back from the consumer, and {limit} may");
            halt(shared, "bounced", words).await;
        }
    }
}
