//! The embedded SQS and S3 endpoint. It imports nothing of the rest, and nothing imports it but `commands`.
