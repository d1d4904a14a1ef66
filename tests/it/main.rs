//! One binary for all integration tests, since linking the SDKs is slow. They talk AWS's protocol to real servers through
//! the real SDK: the embedded sandbox, and independent servers as judges.
#![expect(clippy::unwrap_used, reason = "in a test, what fails says where")]

mod answers;
mod approve;
mod archives;
mod bounds;
mod clients;
mod commands;
mod conformance;
mod corpus;
mod crash;
mod diagnostics;
mod docs;
mod drift;
mod end_to_end;
mod endings;
mod envelopes;
mod environment;
mod exact;
mod fifo;
mod fire;
mod guarantees;
mod hostile;
mod identity;
mod inspect;
mod journal;
mod judged;
mod judges;
mod language;
mod park;
mod patience;
mod pipeline;
mod plan_files;
mod policy;
mod reading;
mod refusals;
mod resolve;
mod sandbox;
mod selective;
mod sleep;
mod status;
mod stops;
mod structure;
mod support;
mod trouble;
mod two;
