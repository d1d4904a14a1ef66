//! The forms that a notice takes: Slack's, Teams' and plain JSON. Names and words come from outside: in the chats they stand only in
//! elements that know no markup, so that none of them can mention, link or format anything. Pure.

use jiff::Timestamp;
use redrive_rules::job::NotifyFormat;
use serde::Serialize;
use serde_json::{Value, json};

use super::notice::Notice;
use crate::view::text::neutral;

/// The version of the JSON form. Fields are only ever added to one.
const VERSION: u32 = 1;

/// The most characters of Slack's headers, and of a text inside a section.
const SLACK_HEADER: usize = 150;
const SLACK_TEXT: usize = 2000;

/// The form that a host takes, if the job does not say.
pub(super) fn by_host(host: &str) -> NotifyFormat {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
    let is_of = |domain: &str| name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if ["hooks.slack.com", "hooks.slack-gov.com"].iter().any(|domain| is_of(domain)) {
        NotifyFormat::Slack
    } else if ["webhook.office.com", "logic.azure.com", "powerplatform.com"].iter().any(|domain| is_of(domain)) {
        NotifyFormat::Teams
    } else {
        NotifyFormat::Json
    }
}

/// What is posted.
pub(super) fn body(format: NotifyFormat, notice: &Notice) -> String {
    match format {
        NotifyFormat::Slack => slack(notice).to_string(),
        NotifyFormat::Teams => teams(notice).to_string(),
        NotifyFormat::Json => plain(notice).to_string(),
    }
}

fn slack(notice: &Notice) -> Value {
    let text = |text: &str, most| json!({ "type": "plain_text", "text": cut(text, most), "emoji": false });
    let mut blocks = vec![json!({ "type": "header", "text": text(&notice.title(), SLACK_HEADER) })];
    for (name, value) in notice.facts() {
        blocks.push(json!({ "type": "section", "text": text(&format!("{name}: {value}"), SLACK_TEXT) }));
    }
    // What stands in the notification itself is markup, and there is no other way: a job's name has no character of it.
    json!({ "text": notice.title(), "unfurl_links": false, "unfurl_media": false, "blocks": blocks })
}

fn teams(notice: &Notice) -> Value {
    // Not a TextBlock or a FactSet, which read Markdown.
    let line = |runs: Value| json!({ "type": "RichTextBlock", "inlines": runs });
    let run = |text: &str| json!({ "type": "TextRun", "text": cut(text, SLACK_TEXT) });
    let bold = |text: &str, size: &str| json!({ "type": "TextRun", "text": text, "weight": "Bolder", "size": size });
    let mut lines = vec![line(json!([bold(&notice.title(), "Medium")]))];
    for (name, value) in notice.facts() {
        lines.push(line(json!([bold(&format!("{name}: "), "Default"), run(&value)])));
    }
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": lines,
    });
    let attachment =
        json!({ "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card });
    json!({ "type": "message", "attachments": [attachment] })
}

/// At most so many characters, with everything made visible that could hide or turn text.
fn cut(text: &str, most: usize) -> String {
    let text = neutral(text);
    if text.chars().count() <= most {
        return text.into_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// The JSON form. The figures have the names and meanings of an apply's `summary`.
#[derive(Serialize)]
struct Plain<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: u32,
    event: &'static str,
    at: Timestamp,
    run: &'a str,
    job: &'a str,
    description: Option<&'a str>,
    source: &'a str,
    /// Of `started`: whether it goes on from an earlier session.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    resumed: bool,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<Sums>,
}

#[derive(Serialize)]
struct Sums {
    received: u64,
    moved: u64,
    archived: u64,
    dropped: u64,
    kept: u64,
    blocked: u64,
    held: u64,
    failed: u64,
    unfinished: u64,
    parked: u64,
    in_doubt: u64,
    requests: u64,
    elapsed_ms: u64,
}

fn plain(notice: &Notice) -> Value {
    let figures = notice.figures.as_ref().map(|figures| Sums {
        received: figures.received,
        moved: figures.moved,
        archived: figures.archived,
        dropped: figures.dropped,
        kept: figures.kept,
        blocked: figures.blocked,
        held: figures.held,
        failed: figures.failed,
        unfinished: figures.unfinished,
        parked: figures.parked,
        in_doubt: figures.in_doubt,
        requests: figures.requests,
        elapsed_ms: figures.elapsed_ms,
    });
    json!(Plain {
        kind: "notification",
        version: VERSION,
        event: notice.event.word(),
        at: notice.at,
        run: &notice.run,
        job: &notice.job,
        description: notice.description.as_deref(),
        source: &notice.source,
        resumed: notice.resumed,
        outcome: notice.outcome,
        error: notice.cause.as_ref().map(|cause| cause.error.as_str()),
        hint: notice.cause.as_ref().and_then(|cause| cause.hint.as_deref()),
        figures,
    })
}

#[cfg(test)]
mod tests {
    use redrive_protocol::protocol::Cause;
    use redrive_rules::job::NotifyOn;

    use super::*;

    fn hostile() -> Notice {
        Notice {
            event: NotifyOn::Halted,
            resumed: false,
            at: Timestamp::UNIX_EPOCH,
            run: "3f2a9c0d1e4b".to_owned(),
            job: "orders-dlq".to_owned(),
            description: Some("<!channel> *see* [here](https://evil.example) \u{202e}".to_owned()),
            source: "orders-dlq".to_owned(),
            outcome: "failed",
            cause: Some(Cause { error: "x".repeat(5000), hint: None }),
            figures: None,
        }
    }

    /// All objects in a JSON value.
    fn objects(value: &Value) -> Vec<&serde_json::Map<String, Value>> {
        match value {
            Value::Object(map) => std::iter::once(map).chain(map.values().flat_map(objects)).collect(),
            Value::Array(all) => all.iter().flat_map(objects).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn the_host_says_which_form_it_takes() {
        for (host, format) in [
            ("hooks.slack.com", NotifyFormat::Slack),
            ("HOOKS.SLACK.COM:443", NotifyFormat::Slack),
            ("contoso.webhook.office.com", NotifyFormat::Teams),
            ("prod-12.westeurope.logic.azure.com:443", NotifyFormat::Teams),
            ("default1.22.environment.api.powerplatform.com", NotifyFormat::Teams),
            ("evilhooks.slack.com.example.org", NotifyFormat::Json),
            ("notwebhook.office.com", NotifyFormat::Json),
            ("127.0.0.1:8080", NotifyFormat::Json),
        ] {
            assert_eq!(by_host(host), format, "{host}");
        }
    }

    #[test]
    fn nothing_from_outside_stands_where_markup_is_read() {
        let notice = hostile();
        let slack = slack(&notice);
        assert_eq!(slack["text"], "redrive orders-dlq: halted");
        let texts = objects(&slack).into_iter().filter(|object| object.contains_key("emoji"));
        assert_eq!(texts.clone().count(), 6);
        assert!(texts.clone().all(|text| text["type"] == "plain_text"));
        assert!(texts.clone().all(|text| text["text"].as_str().unwrap().chars().count() <= SLACK_TEXT));
        assert!(slack.to_string().contains("<!channel> *see*") && !slack.to_string().contains('\u{202e}'));

        let teams = teams(&notice);
        let kinds: Vec<_> = objects(&teams).into_iter().filter_map(|object| object.get("type")).collect();
        let known = ["message", "AdaptiveCard", "RichTextBlock", "TextRun"];
        assert!(kinds.iter().all(|kind| known.contains(&kind.as_str().unwrap())), "{kinds:?}");
        assert!(teams.to_string().contains("[here](https://evil.example)") && !teams.to_string().contains('\u{202e}'));
    }

    #[test]
    fn the_json_form_says_it_all_in_fields() {
        let plain = plain(&hostile());
        assert_eq!((&plain["type"], &plain["version"]), (&json!("notification"), &json!(1)));
        assert_eq!((&plain["event"], &plain["outcome"]), (&json!("halted"), &json!("failed")));
        assert_eq!(plain["error"].as_str().map(str::len), Some(5000));
    }
}
