//! Tells a webhook when a run begins and ends, as `[notify]` of its job asks.
//!
//! Nothing here can stop a run or hold it up: the beginning is told beside the work, and all of it has to be over a fixed time after
//! the run's end. What could not be told is said in words, for stderr and the report. Nothing of a message is told, only names and
//! figures. `notice` is what is told, `shape` the forms it takes, `delivery` the tries.

mod delivery;
mod notice;
mod shape;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use redrive_rules::job::{Job, NotifyFormat, NotifyOn};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::apply::Summary;
use crate::aws::Webhook;
use crate::error::{Error, Result};
use crate::plan::Plan;
use notice::Notice;

/// How long after the end of a run all telling is over.
const LIMIT: Duration = Duration::from_secs(20);

/// For how long of that the end waits for the beginning to be told, so that they are told in order.
const ORDER: Duration = Duration::from_secs(5);

/// The webhook of a job, found in the environment.
#[derive(Debug)]
pub struct Notifier {
    webhook: Arc<Webhook>,
    variable: String,
    format: NotifyFormat,
    on: Vec<NotifyOn>,
}

impl Notifier {
    /// The webhook that the job names, if it names one. Fails if the environment does not hold its URL; what it holds instead is
    /// not shown, since it may be any secret.
    pub fn of_job(job: &Job) -> Result<Option<Self>> {
        let Some(notify) = &job.notify else { return Ok(None) };
        let variable = notify.variable().unwrap_or_default().to_owned();
        let url = std::env::var(&variable).unwrap_or_default();
        let Some(webhook) = Webhook::new(url.trim()) else {
            let why = if url.is_empty() { "is not set in the environment" } else { "holds no http or https URL" };
            return Err(Error::usage(format!("nobody can be notified: {variable} {why}")).hint(format!(
                "set {variable} to the webhook's URL, or take `[notify]` out of the job and plan again"
            )));
        };
        let format = notify.format.unwrap_or_else(|| shape::by_host(webhook.host()));
        Ok(Some(Self { webhook: Arc::new(webhook), variable, format, on: notify.events().to_vec() }))
    }

    /// The host that is told: what of the URL is no secret.
    pub fn host(&self) -> &str {
        self.webhook.host()
    }

    /// Where it is told, without what is secret of it: `hooks.slack.com (SLACK_WEBHOOK)`.
    pub fn place(&self) -> String {
        format!("{} ({})", self.host(), self.variable)
    }

    /// Tells that the run begins, while it already does. `report` takes what could not be told, as soon as that is known.
    pub fn begin(self, plan: &Plan, resumed: bool, report: fn(&str)) -> Telling {
        let notice = Notice::of_start(plan, resumed, Timestamp::now());
        let start = self.on.contains(&notice.event).then(|| {
            let (webhook, body, event) = (Arc::clone(&self.webhook), shape::body(self.format, &notice), notice.event);
            tokio::spawn(async move { tell(&webhook, event, &body, Instant::now() + LIMIT, report).await })
        });
        Telling { notifier: self, start, notice, report }
    }
}

/// The webhook of a run that is under way.
#[derive(Debug)]
pub struct Telling {
    notifier: Notifier,
    start: Option<JoinHandle<Option<String>>>,
    notice: Notice,
    report: fn(&str),
}

impl Telling {
    /// Tells how the run ended; returns what could not be told of it, in words. Ends early if `cancelled` does.
    pub async fn end(self, ended: Result<&Summary, &Error>, cancelled: impl Future<Output = ()>) -> Option<String> {
        let Self { notifier, start, notice, report } = self;
        let ends = Instant::now();
        let notice = notice.ended(ended, Timestamp::now());
        let telling = async {
            let mut untold = Vec::new();
            if let Some(start) = start {
                untold.extend(in_order(start, ends + ORDER, report).await);
            }
            if notifier.on.contains(&notice.event) {
                let body = shape::body(notifier.format, &notice);
                untold.extend(tell(&notifier.webhook, notice.event, &body, ends + LIMIT, report).await);
            }
            untold
        };
        let untold = tokio::select! {
            untold = telling => untold,
            () = cancelled => vec![untold(&notifier.webhook, notice.event, "it was interrupted", report)],
        };
        (!untold.is_empty()).then(|| untold.join("; "))
    }
}

/// Waits until the beginning is told or given up, up to a time.
async fn in_order(mut start: JoinHandle<Option<String>>, until: Instant, report: fn(&str)) -> Option<String> {
    let why = match timeout_at(until, &mut start).await {
        Ok(Ok(untold)) => return untold,
        Ok(Err(error)) => format!("it could not be notified that the run started: {error}"),
        Err(_) => "it was not notified that the run started: the run ended before it answered".to_owned(),
    };
    start.abort();
    report(&why);
    Some(why)
}

/// Tells one thing; returns why it could not be told.
async fn tell(webhook: &Webhook, event: NotifyOn, body: &str, until: Instant, report: fn(&str)) -> Option<String> {
    let delivered = delivery::deliver(webhook, body, until).await;
    delivered.err().map(|why| untold(webhook, event, &why, report))
}

fn untold(webhook: &Webhook, event: NotifyOn, why: &str, report: fn(&str)) -> String {
    let words = format!("could not notify {} that the run {}: {why}", webhook.host(), notice::happened(event));
    report(&words);
    words
}
