//! The `redrive` program.
fn main() {}
