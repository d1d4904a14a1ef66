//! The command line of `redrive sandbox`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

/// `redrive sandbox`.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// The port; 0 takes a free one.
    #[arg(long, default_value_t = 9324)]
    pub port: u16,
    /// What to fill it with: `orders`, or `empty`.
    #[arg(long, default_value = "orders")]
    pub scenario: String,
    /// What order of delivery, faults and the contents of scenarios depend on.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Put copies of the messages in a file into a queue, which is made where there is none. The file holds what
    /// `aws sqs receive-message` prints, or what redrive archived. Can be given several times.
    #[arg(long, value_name = "QUEUE=FILE")]
    pub load: Vec<String>,
    /// The region in ARNs.
    #[arg(long, default_value = "eu-west-1")]
    pub region: String,
    /// The account in ARNs and URLs.
    #[arg(long, default_value = "000000000000", value_parser = account)]
    pub account: String,
    /// Keep the buckets in this directory, and begin with what is there. Default: in memory only.
    #[arg(long, value_name = "DIRECTORY")]
    pub buckets: Option<PathBuf>,
    /// How many messages of a queue may be in flight.
    #[arg(long, value_name = "N", default_value_t = 120_000)]
    pub in_flight_limit: usize,
    /// How likely a short poll leaves out each of the eight servers that a standard queue is spread over, from 0 to 1: so often a
    /// queue of one message seems to be empty. As likely a FIFO queue passes over the group whose turn it is.
    #[arg(long, value_name = "P", default_value_t = 0.02)]
    pub short_poll_miss: f64,
    /// Misbehave: `ACTION[/QUEUE]:FAULT[:HOW OFTEN]`, or a rule in JSON. `*` is any action; how often is a probability,
    /// `#N` for the Nth request, or `xN` for the first N. For example `SendMessageBatch:throttle:0.1`. Can be given
    /// several times.
    #[arg(long, value_name = "RULE")]
    pub fault: Vec<String>,
    /// Let rules in JSON send signals to processes of this machine.
    #[arg(long)]
    pub allow_signals: bool,
    /// Hold every caller to the IAM policy in this file, with AWS's errors: what it does not allow is denied. Conditions are
    /// not enforced, and refused. `redrive policy JOB` prints such a policy.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Verify signatures: only this access key is known. Better in the environment than on the command line.
    #[arg(long, value_name = "KEY", env = "REDRIVE_SANDBOX_ACCESS_KEY", requires = "secret_key")]
    pub access_key: Option<String>,
    /// The secret of the access key.
    #[arg(
        long,
        value_name = "SECRET",
        env = "REDRIVE_SANDBOX_SECRET_KEY",
        hide_env_values = true,
        requires = "access_key"
    )]
    pub secret_key: Option<String>,
    /// Where it listens.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub address: IpAddr,
    /// Let other machines in, where the address is not loopback: whoever reaches the port then reads and changes
    /// everything.
    #[arg(long)]
    pub expose: bool,
    /// Plan, apply, interrupt, resume and report a job on it, showing each command, and end.
    #[arg(long)]
    pub tour: bool,
}

/// An account's number.
fn account(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("an account has 12 digits".to_owned())
    }
}
