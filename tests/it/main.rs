//! The integration tests, in one binary: linking the SDKs is slow.

mod diagnostics;
