//! Leaves out of a call to SQS what the SDK makes anew each time and what has no use here: the headers by which a server
//! tells a retry from a first attempt, as nothing is retried, and the user agent, which is the same in each call of a client.

use std::sync::OnceLock;

use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::user_agent::UserAgentInterceptor;
use aws_sdk_sqs::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_sqs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sqs::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::{disable_interceptor, dyn_dispatch_hint};

/// The headers that say who calls.
const AGENT: [&str; 2] = ["user-agent", "x-amz-user-agent"];

/// The interceptor: one on each SQS client.
#[derive(Debug, Default)]
pub(super) struct Lean {
    /// What the SDK put into the client's first call.
    agent: OnceLock<[String; 2]>,
}

#[dyn_dispatch_hint]
impl Intercept for Lean {
    fn name(&self) -> &'static str {
        "redrive-lean"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let config = config.interceptor_state();
        config.store_put(disable_interceptor::<InvocationIdInterceptor>("nothing is retried"));
        config.store_put(disable_interceptor::<RequestInfoInterceptor>("nothing is retried"));
        if self.agent.get().is_some() {
            config.store_put(disable_interceptor::<UserAgentInterceptor>("it is known"));
        }
        Ok(())
    }

    /// Runs after the SDK's own.
    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        if let [Some(agent), Some(amz_agent)] = AGENT.map(|name| headers.get(name)) {
            let _ = self.agent.set([agent.to_owned(), amz_agent.to_owned()]);
        } else if let Some(known) = self.agent.get() {
            for (name, value) in AGENT.into_iter().zip(known) {
                headers.try_insert(name, value.clone())?;
            }
        }
        Ok(())
    }
}
