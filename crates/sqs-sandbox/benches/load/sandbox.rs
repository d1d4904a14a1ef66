//! The server that is measured: an empty sandbox, with room for as many messages in flight as the measurements want.

use std::io::Read as _;

use sqs_sandbox::{Options, Sandbox};

/// Serves until standard input closes.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let options = Options { in_flight_limit: usize::MAX, ..Options::default() };
    let sandbox = runtime.block_on(Sandbox::start(options)).expect("a sandbox");
    println!("{}", sandbox.endpoint_url());
    // It ends with whoever started it.
    let _ = std::io::stdin().read(&mut [0]);
}
