//! The plain data that redrive's crates share: a message as SQS delivers it, the queue it is in, where it goes and why it
//! stays, and the JSON in bodies and answers. Pure: no clock, no network, no file, no AWS.

pub mod json;
pub mod message;
pub mod queue;
pub mod target;
