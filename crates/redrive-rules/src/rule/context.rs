//! What placeholders stand for, for one message: as text, and as a part of a name that can do no harm.

use std::borrow::Cow;

use jiff::Timestamp;
use redrive_protocol::message::{Message, MessageId};

use super::Setting;
use crate::job::{Placeholder, Template};

/// One message's values of the placeholders.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) id: MessageId,
    pub(super) sent: Option<Timestamp>,
    pub(super) job: &'a str,
    pub(super) rule: &'a str,
    pub(super) setting: &'a Setting,
}

/// For times of a message that has no `SentTimestamp`. SQS sends it with every message; other servers may not.
const UNKNOWN: &str = "unknown";

impl<'a> Context<'a> {
    pub(super) fn new(message: &Message, job: &'a str, rule: &'a str, setting: &'a Setting) -> Self {
        Self { id: message.id.clone(), sent: message.system.sent_timestamp(), job, rule, setting }
    }

    /// What a placeholder stands for.
    pub(super) fn value(&self, placeholder: Placeholder) -> Cow<'_, str> {
        let sent = |text: &dyn Fn(Timestamp) -> String| self.sent.map_or(UNKNOWN.into(), |at| text(at).into());
        match placeholder {
            Placeholder::MessageId => self.id.as_str().into(),
            Placeholder::SentTimestamp => sent(&|at| at.as_millisecond().to_string()),
            Placeholder::Date => sent(&|at| at.strftime("%Y-%m-%d").to_string()),
            Placeholder::Run => self.setting.run.as_str().into(),
            Placeholder::Job => self.job.into(),
            Placeholder::Rule => self.rule.into(),
            Placeholder::SourceQueue => self.setting.source_queue().into(),
        }
    }

    /// Renders the key of an object.
    pub(super) fn key(&self, template: &Template) -> String {
        template.render(|placeholder| safe(&self.value(placeholder)).into())
    }
}

/// A value as a part of an object's key or a file's path: without separators and whatever else a store, a shell or a page may
/// stumble over. It is never empty and never dots alone, so that no `.` or `..` can come of it.
pub(super) fn safe(value: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let value: String = value.chars().map(plain).collect();
    if value.bytes().all(|byte| byte == b'.') { "_".repeat(value.len().max(1)) } else { value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_in_names_do_no_harm() {
        for (value, expected) in [
            ("orders-dlq.fifo", "orders-dlq.fifo"),
            ("a/b\\c", "a_b_c"),
            ("..", "__"),
            (".", "_"),
            ("", "_"),
            ("../../etc/passwd", ".._.._etc_passwd"),
            ("é\n\u{1b}[2J", "____2J"),
            (".hidden", ".hidden"),
        ] {
            assert_eq!(safe(value), expected, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn no_segment_is_a_dot_or_two(value in any::<String>(), before in r"[a./]{0,4}", after in r"[a./]{0,4}") {
            let name = format!("{before}{}{after}", safe(&value));
            let parts = name.split('/').filter(|part| !before.contains(part) && !after.contains(part));
            for part in parts {
                prop_assert!(part != "." && part != "..", "{}", name);
            }
        }
    }
}
