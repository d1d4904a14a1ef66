//! What the tests stand on.

pub(crate) mod admin;
pub(crate) mod judges;
