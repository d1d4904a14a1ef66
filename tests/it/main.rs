//! All integration tests in one binary: linking the SDKs takes long, once is enough.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod environment;
mod judges;
mod support;
