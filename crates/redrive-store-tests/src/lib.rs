//! For tests of the journal's stores: random histories by which they are held against the plainest one, and a `PostgreSQL` server.

pub mod histories;
pub mod server;
pub mod subject;
