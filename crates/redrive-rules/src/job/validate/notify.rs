//! The webhook of `[notify]`: named by its environment variable, never by its URL.

use crate::job::finding::{Finding, Findings, Place};
use crate::job::types::Job;

pub(super) fn check(job: &Job, findings: &mut Findings) {
    let Some(notify) = &job.notify else { return };
    if notify.on.as_ref().is_some_and(Vec::is_empty) {
        let place = Place::root().key("notify").key("on");
        findings.add(Finding::new(&place, "`on` needs at least one event").help("without it, all of them are told"));
    }
    if notify.variable().is_some() {
        return;
    }
    let place = Place::root().key("notify").key("webhook");
    let example = "put the URL in an environment variable, and write its name: \"env:SLACK_WEBHOOK\"";
    findings.add(if notify.webhook.contains("://") {
        let message = "whoever knows a webhook's URL can post to it: it must not stand in a job file";
        Finding::new(&place, message)
            .help(format!("{example}; this URL was in a file, so have a new one made if others can read that"))
    } else {
        Finding::new(&place, "expected `env:` and the name of an environment variable").help(example)
    });
}

#[cfg(test)]
mod tests {
    use crate::job::{NotifyOn, load};

    fn load_with(notify: &str) -> Result<crate::job::Loaded, String> {
        let text = format!("version = 1\nname = \"x\"\n[source]\nqueue = \"dlq\"\n[notify]\n{notify}\n");
        load("job.toml", &text).map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_webhook_is_named_by_its_environment_variable_and_never_by_its_url() {
        for (notify, expected) in [
            ("webhook = \"https://hooks.slack.com/services/T0/B0/secret\"", "must not stand in a job file"),
            ("webhook = \"SLACK_WEBHOOK\"", "expected `env:` and the name of an environment variable"),
            ("webhook = \"env:\"", "expected `env:`"),
            ("webhook = \"env:1A\"", "expected `env:`"),
            ("webhook = \"env:A-B\"", "expected `env:`"),
            ("webhook = \"env:A=B\"", "expected `env:`"),
            ("on = [\"started\"]", "`notify` has no `webhook`"),
            ("webhook = \"env:A\"\non = []", "at least one"),
            ("webhook = \"env:A\"\non = [\"fineshed\"]", "`finished`"),
            ("webhook = \"env:A\"\nformat = \"mail\"", "`slack`, `teams` or `json`"),
        ] {
            let problems = load_with(notify).map(drop).expect_err(notify);
            assert!(problems.contains(expected), "{notify}: {problems}");
        }
    }

    #[test]
    fn all_is_told_unless_the_job_says_what() {
        let events = |notify: &str| load_with(notify).map(|loaded| loaded.job.notify.map(|n| n.events().to_vec()));
        assert_eq!(events("webhook = \"env:_A1\""), Ok(Some(NotifyOn::ALL.to_vec())));
        assert_eq!(events("webhook = \"env:A\"\non = [\"halted\"]"), Ok(Some(vec![NotifyOn::Halted])));
    }
}
