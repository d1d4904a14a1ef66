//! What tests stand on: a stage of their own with a sandbox, and independent servers.

pub(crate) mod admin;
pub(crate) mod consumer;
pub(crate) mod judges;
pub(crate) mod liar;
pub(crate) mod stage;
pub(crate) mod terminal;
pub(crate) mod webhook;
