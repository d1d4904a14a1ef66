//! redrive: a declarative batch job runner for Amazon SQS, with plan and apply.

pub mod apply;
pub mod aws;
pub mod cli;
pub mod commands;
pub mod error;
pub mod exit;
pub mod job;
pub mod journal;
pub mod md5;
pub mod message;
pub mod plan;
pub mod queue;
pub mod rule;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod sqs;
pub mod store;
pub mod target;
pub mod view;
