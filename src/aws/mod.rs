//! The seams made real: SQS and S3 through the AWS SDK for Rust. The only importer of the SDK crates; no SDK type leaves it.
//!
//! `access` understands how a job names a queue; `connect` turns that into clients, by `settings`; `profile` looks
//! a named profile up; `queue` and `bucket` make the calls,
//! `entries` and `attributes` translate them; `fault` says what is known when one fails; `meter` counts requests and reads
//! the servers' clocks; `caller` asks who we are; `bounded` bounds how much of an answer is read; `webhook` posts to who is told
//! of a run; `wire` and `lean` make a call cheaper than the SDK alone does. Calls that only
//! look are repeated here, by [`crate::retry`]. No other call is: a blind retry of a send whose answer was lost would send
//! twice, so the SDK's own retries are off and callers decide.

mod access;
mod answer;
mod attributes;
mod bounded;
mod bucket;
mod caller;
mod connect;
mod entries;
mod fault;
mod lean;
mod meter;
mod profile;
mod queue;
mod settings;
mod webhook;
mod wire;

#[cfg(test)]
mod canned;

pub use access::{Access, Named};
pub use caller::Caller;
pub use connect::Aws;
pub use meter::Requests;
pub use webhook::Webhook;
