//! redrive: a declarative batch job runner for Amazon SQS, with plan and apply.
//!
//! # The story of one message
//!
//! A **job** is a TOML file: a source queue, rules, destinations. [`redrive_rules::job`] reads it, and says all that is wrong
//! with it at once; [`redrive_rules::rule`] compiles it, so that nothing is parsed while messages go by.
//!
//! A **plan** comes first. [`plan`] looks at the queues, receives a sample, judges it with the same
//! [`Rules`](redrive_rules::rule::Rules) that apply uses, gives every message back, and writes down what apply may do: the job, the queues as they are, how many messages of
//! each rule at the most. A colleague reads that, through [`view`], and says yes.
//!
//! Then [`apply`] carries it out. Of one message, in this order:
//!
//! 1. A receiver takes it from the source, through the seam [`sqs`], which [`aws`] implements. From now on it is invisible to
//!    others, and its receipt handle is what we act on it with.
//! 2. The [`journal`] is asked what is known of it. Its handle is on disk with the answer: a [`Claim`](redrive_protocol::protocol::Claim) where nothing
//!    hinders judging it; a [`Doubtful`](redrive_protocol::protocol::Doubtful) where a send of it may have arrived; a [`Sent`](redrive_protocol::protocol::Sent) where it is
//!    elsewhere already and only its delete is left; nothing where another delivery of it is being handled right now.
//! 3. The rules judge it: sent with these changes, archived, dropped, kept, or blocked with a reason. What stays is noted and
//!    held invisible until the end, or the run would meet it again and again.
//! 4. What is to be sent becomes an intent, on disk before anything leaves: an [`Intended`](redrive_protocol::protocol::Intended), without which nothing is
//!    sent.
//! 5. The lane of its [`target`](redrive_protocol::target) gathers a batch and delivers it: to a queue, to a bucket through the seam [`store`], or to a
//!    file. The answer counts entry by entry, and only with the digests that [`md5`] computed here.
//! 6. How it ended goes on disk. An acknowledgement gives the proof, [`Sent`](redrive_protocol::protocol::Sent); a refusal leaves the message where it
//!    is; an answer that never came leaves a doubt, which the job's policy decides about.
//! 7. The lane of deletes takes the proof, deletes the message from the source, and notes that.
//! 8. At the end, what stays becomes visible again.
//!
//! Killed at any point of this, the next apply of the same plan begins with what the journal knows: it deletes what is proven
//! to be elsewhere, doubts what was on its way, and gives back the rest.
//!
//! # Who may know whom
//!
//! [`commands`] brings together what does not know of each other: [`cli`], [`plan`], [`apply`], [`aws`], [`view`] and the
//! sandbox. Plan and apply stand on the rules, the journal and the two seams; these on plain data ([`redrive_protocol`]).
//! What is pure is in crates of its own, which cannot know the rest. Only [`aws`] knows the AWS SDKs, and only [`view`]
//! prints. A test holds this (`tests/it/structure.rs`).

pub mod apply;
pub mod aws;
pub mod cli;
pub mod commands;
mod crash_point;
pub mod error;
pub mod exit;
pub mod guard;
pub mod journal;
pub mod md5;
pub mod metrics;
pub mod notify;
pub mod payload;
pub mod plan;
pub mod policy;
mod retry;
pub mod sqs;
pub mod store;
pub mod view;
mod words;
