//! TOML to [`Job`].

use super::{Diagnostics, Job};

/// A job that was read and found valid in itself.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The job.
    pub job: Job,
}

/// Reads a job file's text. `file` is only shown.
pub fn load(file: &str, text: &str) -> Result<Loaded, Diagnostics> {
    let _ = (file, text);
    unreachable!()
}

/// The JSON Schema of the job file.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Job)
}
