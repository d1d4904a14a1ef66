//! Guards that have something to look at, and limits that can be met.

use redrive_protocol::target::ORIGIN;

use crate::job::finding::{Finding, Findings, Place};
use crate::job::types::{Destination, Job};
use crate::job::values::Wait;

pub(super) fn check(job: &Job, findings: &mut Findings) {
    let Some(guard) = &job.guard else { return };
    let place = Place::root().key("guard");
    let sends_to_queue = job.destination.values().any(|to| matches!(to, Destination::Sqs(_)))
        || job.unmatched.to == ORIGIN
        || job.rule.iter().any(|rule| rule.to == ORIGIN);
    let about_queues = [
        ("canary", guard.canary.is_some()),
        ("max_bounced", guard.max_bounced.is_some()),
        ("max_backlog", guard.max_backlog.is_some()),
    ];
    for (key, _) in about_queues.iter().filter(|(_, is_set)| *is_set && !sends_to_queue) {
        let message = format!("`{key}` looks at how a queue's consumer gets along, and no message goes to a queue");
        findings
            .add(Finding::new(&place.key(key), message).help("leave it out, or send messages to an `sqs` destination"));
    }
    if guard.per_rule && guard.max_bounced.is_none() {
        let message = "a rule is stopped by `max_bounced`, which is not set";
        findings.add(Finding::new(&place.key("per_rule"), message).help("add `max_bounced`, such as \"2%\""));
    }
    if let Some(Wait::For(wait)) = guard.canary.map(|canary| canary.wait)
        && !(1..=12 * 60 * 60).contains(&wait.0.as_secs())
    {
        let message = format!("expected `1s` to `12h`; found `{wait}`");
        findings.add(Finding::new(&place.key("canary").key("wait"), message));
    }
    match &guard.command {
        Some(words) => match words.first() {
            None => {
                let message = "expected the path of a program and its arguments";
                findings.add(Finding::new(&place.key("command"), message));
            }
            Some(program) if program.is_empty() => {
                findings.add(Finding::new(&place.key("command").index(0), "expected the path of a program"));
            }
            Some(_) => {}
        },
        None => {
            if guard.command_timeout.is_some() {
                let message = "there is no `command` that could take too long";
                findings.add(Finding::new(&place.key("command_timeout"), message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    fn problems(destination: &str, guard: &str) -> String {
        let text = format!(
            "version = 1\nname = \"x\"\n[source]\nqueue = \"dlq\"\n[destination.out]\n{destination}\n[guard]\n{guard}\n"
        );
        crate::job::load("job.toml", &text).err().map(|errors| errors.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_guard_has_something_to_look_at() {
        let queue = "sqs = { queue = \"out\" }";
        let file = "file = { path = \"out.jsonl\" }";
        for (destination, guard, expected) in [
            (queue, "canary = { messages = 50 }\nmax_bounced = \"2%\"\nper_rule = true\nmax_backlog = 5_000", ""),
            (queue, "canary = { messages = 50, wait = \"auto\" }\ncommand = [\"./healthy\"]", ""),
            (queue, "canary = { messages = 50, wait = \"90s\" }", ""),
            (queue, "canary = { messages = 0 }", "from 1 to 10000"),
            (queue, "canary = { messages = 5, wait = \"soon\" }", "expected \"auto\" or a time"),
            (queue, "canary = { messages = 5, wait = \"0s\" }", "expected `1s` to `12h`"),
            (queue, "max_bounced = \"2\"", "expected a share"),
            (queue, "per_rule = true", "which is not set"),
            (queue, "command = []", "expected the path of a program and its arguments"),
            (queue, "command = [\"\"]", "expected the path of a program"),
            (queue, "command_timeout = \"5s\"", "no `command`"),
            (file, "canary = { messages = 5 }", "no message goes to a queue"),
            (file, "max_bounced = \"2%\"", "no message goes to a queue"),
            (file, "max_backlog = 5", "no message goes to a queue"),
            (file, "command = [\"./healthy\"]", ""),
        ] {
            let problems = problems(destination, guard);
            let holds = problems.contains(expected) && problems.is_empty() == expected.is_empty();
            assert!(holds, "{guard}: {problems}");
        }
    }
}
