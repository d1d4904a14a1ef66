//! What redrive's crates share: the [`protocol`] by which a message is moved, and the plain data it is about: a message as SQS
//! delivers it, the queue it is in, where it goes and why it stays, and the JSON in bodies and answers. Pure: no clock, no
//! network, no file, no SQL, no AWS.

pub mod json;
pub mod message;
pub mod protocol;
pub mod queue;
pub mod target;
