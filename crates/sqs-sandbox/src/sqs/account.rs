//! The queues of the one account and region that the sandbox has: names, URLs and ARNs, creation and deletion, attributes, tags,
//! who is whose dead-letter queue. Messages are `exchange`'s and `queue`'s. A queue's lock is never held across an await, and no
//! code takes a second queue's lock while it holds one.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::Outcome;
use super::call::{
    CreateQueue, GetQueueAttributes, ListDeadLetterSourceQueues, ListQueues, SetQueueAttributes, TagQueue, UntagQueue,
};
use super::failure::Failure;
use super::message::Millis;
use super::queue::{Manner, Queue};
use super::settings::{KNOWN, Settings, is_fifo_name};
use super::tasks::Tasks;

/// How long a deleted queue's name cannot be used again, and how often a queue can be purged.
const COOL_DOWN: Millis = 60_000;

/// The most tags in one request. A queue may come to have more.
const MAX_TAGS: usize = 50;

/// The longest key of a tag.
const MAX_TAG_KEY: usize = 128;

/// The most queues on one page of a list.
const PAGE: usize = 1000;

/// A queue in its account.
pub(crate) struct Cell {
    pub(crate) name: String,
    pub(crate) arn: Arc<str>,
    /// Told when something becomes visible.
    pub(crate) wake: Notify,
    gone: AtomicBool,
    queue: Mutex<Queue>,
}

impl Cell {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic under the lock would be a bug of ours; the queue is then no worse than the panic left it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

/// How an account is set up.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) manner: Manner,
    /// The most bytes in a message and in a batch: 1 MiB, or 256 KiB as on older servers.
    pub(crate) limit: usize,
}

/// All queues.
pub(crate) struct Account {
    pub(crate) setup: Setup,
    pub(crate) tasks: Tasks,
    /// Set once, when the port is known.
    pub(crate) base_url: OnceLock<String>,
    queues: RwLock<BTreeMap<String, Arc<Cell>>>,
    deleted: Mutex<HashMap<String, Millis>>,
    /// How far the sandbox's clock is ahead of the machine's, in milliseconds.
    ahead: AtomicU64,
}

impl Account {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            setup,
            tasks: Tasks::default(),
            base_url: OnceLock::new(),
            queues: RwLock::default(),
            deleted: Mutex::default(),
            ahead: AtomicU64::new(0),
        }
    }

    /// The sandbox's time.
    pub(crate) fn now(&self) -> Millis {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis::try_from(now.as_millis()).unwrap_or(Millis::MAX) + self.ahead.load(Ordering::Relaxed)
    }

    /// How far the sandbox's clock is ahead of the machine's.
    pub(crate) fn ahead(&self) -> Millis {
        self.ahead.load(Ordering::Relaxed)
    }

    /// Sets the clock forward: what was due in between happens at once.
    pub(crate) fn advance(&self, by: Millis) {
        // Far more than any of SQS's periods, and far from an overflow.
        let by = by.min(366 * 24 * 60 * 60 * 1000);
        self.ahead.fetch_add(by, Ordering::Relaxed);
        for cell in self.cells() {
            cell.wake.notify_waiters();
        }
    }

    /// All queues by name.
    pub(crate) fn cells(&self) -> Vec<Arc<Cell>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// A queue by name.
    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Cell>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// A queue by ARN.
    pub(crate) fn by_arn(&self, arn: &str) -> Option<Arc<Cell>> {
        self.by_name(arn.strip_prefix(&self.arn(""))?)
    }

    /// A queue by the URL of a request. Any host will do: endpoints have many names.
    pub(crate) fn by_url(&self, url: &str) -> Result<Arc<Cell>, Failure> {
        if url.is_empty() {
            return Err(Failure::missing("The request must contain the parameter QueueUrl."));
        }
        // A bare name will do too.
        let mut parts = url.rsplit('/');
        let (name, account) = (parts.next().unwrap_or_default(), parts.next());
        if account.is_some_and(|account| account != self.setup.account) {
            return Err(Failure::no_such_queue());
        }
        self.by_name(name).ok_or_else(Failure::no_such_queue)
    }

    fn arn(&self, name: &str) -> String {
        format!("arn:aws:sqs:{}:{}:{name}", self.setup.region, self.setup.account)
    }

    pub(crate) fn url(&self, name: &str) -> String {
        let base = self.base_url.get().map_or("http://127.0.0.1", String::as_str);
        format!("{base}/{}/{name}", self.setup.account)
    }

    pub(super) fn create(&self, request: CreateQueue) -> Result<Outcome, Failure> {
        check_name(&request.queue_name)?;
        let now = self.now();
        let wants_fifo = request.attributes.get("FifoQueue").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if is_fifo_name(&request.queue_name) != wants_fifo {
            return Err(Failure::invalid_value(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end \
                 with .fifo suffix and be 1 to 80 in length, and the attribute FifoQueue must be true.",
            ));
        }
        if let Some(existing) = self.by_name(&request.queue_name) {
            return self.create_again(&existing, &request);
        }
        let mut deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        deleted.retain(|_, &mut at| at + COOL_DOWN > now);
        if deleted.contains_key(&request.queue_name) {
            return Err(Failure::queue_deleted_recently(
                "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
            ));
        }
        drop(deleted);
        let mut settings = Settings::new(&request.queue_name, self.arn(&request.queue_name), now, self.setup.limit);
        settings.set(&request.attributes, self.setup.limit)?;
        self.check_target(&settings)?;
        let cell = self.insert(settings);
        cell.lock().tags = request.tags;
        Ok(Outcome::json(&json!({"QueueUrl": self.url(&request.queue_name)})))
    }

    fn create_again(&self, existing: &Cell, request: &CreateQueue) -> Result<Outcome, Failure> {
        let queue = existing.lock();
        let mut wanted = queue.settings.clone();
        wanted.set(&request.attributes, self.setup.limit)?;
        let (is, wanted) = (queue.settings.show(queue.counts()), wanted.show(queue.counts()));
        for name in KNOWN {
            if is.get(name) != wanted.get(name) {
                return Err(Failure::queue_name_exists(format!(
                    "A queue already exists with the same name and a different value for attribute {name}"
                )));
            }
        }
        Ok(Outcome::json(&json!({"QueueUrl": self.url(&existing.name)})))
    }

    /// Puts a new queue in place, or answers the one that is there already.
    pub(crate) fn insert(&self, settings: Settings) -> Arc<Cell> {
        let mut hasher = DefaultHasher::new();
        (self.setup.manner.seed, &settings.name).hash(&mut hasher);
        let manner = Manner { seed: hasher.finish(), ..self.setup.manner };
        let name = settings.name.clone();
        let cell = Arc::new(Cell {
            name: name.clone(),
            arn: settings.arn.as_str().into(),
            wake: Notify::new(),
            gone: AtomicBool::new(false),
            queue: Mutex::new(Queue::new(settings, manner)),
        });
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(queues.entry(name).or_insert(cell))
    }

    /// New settings for a queue of this name: for scenarios.
    pub(crate) fn settings(&self, name: &str, created: Millis) -> Settings {
        Settings::new(name, self.arn(name), created, self.setup.limit)
    }

    /// Whether the dead-letter queue of a redrive policy is there and takes it.
    fn check_target(&self, settings: &Settings) -> Result<(), Failure> {
        let Some(arn) = settings.target_arn() else { return Ok(()) };
        let refuse = |reason: &str| {
            Err(Failure::invalid_value(format!("Value {arn} for parameter RedrivePolicy is invalid. Reason: {reason}")))
        };
        let Some(target) = self.by_arn(arn) else { return refuse("Dead letter target does not exist.") };
        let target = target.lock();
        if target.settings.fifo != settings.fifo {
            return refuse("Dead-letter queue must be same type of queue as the source.");
        }
        if target.settings.allow.as_ref().is_some_and(|allow| !allow.permits(&settings.arn)) {
            return refuse("Queue does not have permission to use it as dead letter queue: RedriveAllowPolicy.");
        }
        Ok(())
    }

    pub(super) fn get_url(&self, name: &str) -> Result<Outcome, Failure> {
        let cell = self.by_name(name).ok_or_else(Failure::no_such_queue)?;
        Ok(Outcome::json(&json!({"QueueUrl": self.url(&cell.name)})))
    }

    pub(super) fn get_attributes(&self, request: &GetQueueAttributes) -> Result<Outcome, Failure> {
        let cell = self.by_url(&request.queue_url)?;
        for name in &request.attribute_names {
            if name != "All" && !KNOWN.contains(&name.as_str()) {
                return Err(Failure::unknown_attribute(name));
            }
        }
        let mut queue = cell.lock();
        queue.advance(self.now());
        let mut shown = queue.settings.show(queue.counts());
        drop(queue);
        if !request.attribute_names.iter().any(|name| name == "All") {
            shown.retain(|name, _| request.attribute_names.contains(name));
        }
        Ok(Outcome::json(&if shown.is_empty() { json!({}) } else { json!({"Attributes": shown}) }))
    }

    pub(super) fn set_attributes(&self, request: &SetQueueAttributes) -> Result<Outcome, Failure> {
        let cell = self.by_url(&request.queue_url)?;
        let mut wanted = cell.lock().settings.clone();
        wanted.set(&request.attributes, self.setup.limit)?;
        self.check_target(&wanted)?;
        wanted.modified = self.now();
        cell.lock().settings = wanted;
        cell.wake.notify_waiters();
        Ok(Outcome::empty())
    }

    pub(super) fn list(&self, request: &ListQueues) -> Result<Outcome, Failure> {
        let names = self
            .cells()
            .into_iter()
            .filter(|cell| cell.name.starts_with(&request.queue_name_prefix))
            .map(|cell| cell.name.clone())
            .collect();
        self.page("QueueUrls", names, request.max_results, request.next_token.as_deref())
    }

    pub(super) fn list_sources(&self, request: &ListDeadLetterSourceQueues) -> Result<Outcome, Failure> {
        let target = self.by_url(&request.queue_url)?;
        let names = self
            .cells()
            .into_iter()
            .filter(|cell| cell.lock().settings.target_arn() == Some(&target.arn))
            .map(|cell| cell.name.clone())
            .collect();
        // This list's member begins with a small letter, unlike all others.
        self.page("queueUrls", names, request.max_results, request.next_token.as_deref())
    }

    /// One page of queue URLs. The token is the name to go on after: queues may come and go in between.
    fn page(
        &self,
        member: &str,
        names: Vec<String>,
        max: Option<i64>,
        token: Option<&str>,
    ) -> Result<Outcome, Failure> {
        let size = match max {
            None => PAGE,
            Some(max) => usize::try_from(max).ok().filter(|max| (1..=PAGE).contains(max)).ok_or_else(|| {
                Failure::invalid_value("Value for parameter MaxResults is invalid. Reason: Must be between 1 and 1000.")
            })?,
        };
        let mut rest = names.into_iter().skip_while(|name| token.is_some_and(|token| name.as_str() <= token));
        let page: Vec<String> = rest.by_ref().take(size).collect();
        let mut answer = json!({});
        if !page.is_empty() {
            answer[member] = page.iter().map(|name| Value::from(self.url(name))).collect();
        }
        if let (Some(last), true, true) = (page.last(), max.is_some(), rest.next().is_some()) {
            answer["NextToken"] = Value::from(last.as_str());
        }
        Ok(Outcome::json(&answer))
    }

    pub(super) fn delete(&self, url: &str) -> Result<Outcome, Failure> {
        let cell = self.by_url(url)?;
        self.queues.write().unwrap_or_else(PoisonError::into_inner).remove(&cell.name);
        self.deleted.lock().unwrap_or_else(PoisonError::into_inner).insert(cell.name.clone(), self.now());
        cell.gone.store(true, Ordering::Relaxed);
        cell.wake.notify_waiters();
        Ok(Outcome::empty())
    }

    pub(super) fn purge(&self, url: &str) -> Result<Outcome, Failure> {
        let cell = self.by_url(url)?;
        let now = self.now();
        let mut queue = cell.lock();
        if queue.purged.is_some_and(|at| at + COOL_DOWN > now) {
            return Err(Failure::purge_in_progress(format!(
                "Only one PurgeQueue operation on {} is allowed every 60 seconds.",
                cell.name
            )));
        }
        queue.purge(now);
        Ok(Outcome::empty())
    }

    pub(super) fn tag(&self, request: TagQueue) -> Result<Outcome, Failure> {
        let cell = self.by_url(&request.queue_url)?;
        if request.tags.is_empty() {
            return Err(Failure::missing("The request must contain the parameter Tags."));
        }
        if request.tags.len() > MAX_TAGS {
            return Err(Failure::invalid_value(format!("Too many tags added for queue {}.", cell.name)));
        }
        cell.lock().tags.extend(request.tags);
        Ok(Outcome::empty())
    }

    pub(super) fn untag(&self, request: &UntagQueue) -> Result<Outcome, Failure> {
        let cell = self.by_url(&request.queue_url)?;
        let is_key = |key: &String| (1..=MAX_TAG_KEY).contains(&key.chars().count());
        if request.tag_keys.is_empty() || !request.tag_keys.iter().all(is_key) {
            return Err(Failure::invalid_value(format!(
                "Tag keys must be between 1 and {MAX_TAG_KEY} characters in length."
            )));
        }
        cell.lock().tags.retain(|key, _| !request.tag_keys.contains(key));
        Ok(Outcome::empty())
    }

    pub(super) fn tags(&self, url: &str) -> Result<Outcome, Failure> {
        let cell = self.by_url(url)?;
        let tags = cell.lock().tags.clone();
        Ok(Outcome::json(&if tags.is_empty() { json!({}) } else { json!({"Tags": tags}) }))
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    let characters = stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if stem.is_empty() || name.len() > 80 || !characters {
        return Err(Failure::invalid_value(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    Ok(())
}
