//! The IAM permissions that a job needs: which request needs which action, which action is for what, and from a job's queues, buckets
//! and roles to the statements of a policy, one for each identity. Pure: what the queues are is looked up elsewhere.

mod needs;
mod purpose;

pub use needs::{Archive, Bodies, Identity, Needs, Owner, Policy, Queue, Statement, UsedAs, policies};
pub use purpose::{CALLS, Phase, Purpose, action_of};
