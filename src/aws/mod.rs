//! The seams made real: SQS and S3 through the AWS SDK for Rust. The only importer of the SDK crates.
