//! A job file and its rules. [`job`] reads the file, and says all that is wrong with it at once; [`rule`] compiles it and
//! judges messages: which rule takes one, what it becomes, where it goes. Pure: no clock, no network, no AWS; the time comes
//! in as an argument.

pub mod job;
pub mod rule;
