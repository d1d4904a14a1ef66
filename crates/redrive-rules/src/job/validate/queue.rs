//! Queues as the job names them, and how they are reached: whether the settings agree, and whether two are the same.

use crate::job::access::Access;
use crate::job::finding::{Finding, Findings, Place};
use crate::job::queue_ref::{QueueRef, http_url};

use crate::job::text;

/// Checks the settings for what they are; `place` is the table they stand in.
pub(super) fn check_access(access: &Access<'_>, place: &Place, findings: &mut Findings) {
    if let Some(region) = access.region {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if region.is_empty() || !region.chars().all(is_allowed) {
            let message = format!("expected a region such as \"eu-west-1\"; found {region:?}");
            findings.add(Finding::new(&place.key("region"), message));
        }
    }
    if let Some(profile) = access.profile {
        findings.check(text::not_empty(profile, "a profile's name"), &place.key("profile"));
    }
    if let Some(url) = access.endpoint_url {
        let result = http_url(url)
            .map_err(|problem| format!("expected an endpoint's URL such as \"http://localhost:4566\"; {problem}"));
        findings.check(result, &place.key("endpoint_url"));
    }
    if let Some(arn) = access.role_arn {
        let parts: Vec<_> = arn.splitn(6, ':').collect();
        let is_role = matches!(parts[..], ["arn", _, "iam", "", account, resource]
            if account.len() == 12 && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty()));
        if !is_role {
            let message =
                format!("expected a role's ARN such as \"arn:aws:iam::123456789012:role/redrive\"; found {arn:?}");
            findings.add(Finding::new(&place.key("role_arn"), message));
        }
    }
}
/// Checks a queue and how it is reached; `place` is the table they stand in.
pub(super) fn check(queue: &str, access: &Access<'_>, place: &Place, findings: &mut Findings) -> Option<QueueRef> {
    check_access(access, place, findings);
    let at = place.key("queue");
    let queue = findings.check(queue.parse::<QueueRef>(), &at)?;
    if let (Some(own), Some(set)) = (queue.region(), access.region)
        && own != set
    {
        let message = format!("this queue is in {own:?}, and `region` says {set:?}");
        let finding = Finding::new(&place.key("region"), message);
        findings.add(finding.help("leave `region` out: the queue's own is used").also(at, format!("in {own:?}")));
    }
    Some(queue)
}

/// Whether two queues are surely one. The same name in another form may still be the same queue; planning, which knows
/// the ARNs, has the last word.
pub(super) fn same(a: (&QueueRef, &Access<'_>), b: (&QueueRef, &Access<'_>)) -> bool {
    if a.0.name() != b.0.name() || a.1.endpoint_url != b.1.endpoint_url {
        return false;
    }
    match (a.0, b.0) {
        (QueueRef::Name(_), QueueRef::Name(_)) => a.1 == b.1,
        (QueueRef::Name(_), _) | (_, QueueRef::Name(_)) => false,
        (QueueRef::Url(one), QueueRef::Url(other)) => one == other,
        (one, other) => one.account().is_some() && (one.account(), one.region()) == (other.account(), other.region()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_queue_in_two_forms() {
        let plain = Access { region: None, profile: None, endpoint_url: None, role_arn: None };
        let other = Access { region: Some("eu-west-1"), ..plain };
        let local = Access { endpoint_url: Some("http://localhost:4566"), ..plain };
        let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders";
        let arn = "arn:aws:sqs:eu-west-1:123456789012:orders";
        for (a, b, expected) in [
            (("orders", &plain), ("orders", &plain), true),
            (("orders", &plain), ("orders", &other), false),
            (("orders", &plain), ("orders-dlq", &plain), false),
            (("orders", &plain), ("orders", &local), false),
            ((arn, &plain), (arn, &other), true),
            ((arn, &plain), (arn, &local), false),
            ((arn, &plain), (url, &plain), true),
            ((url, &plain), (url, &other), true),
            ((arn, &plain), ("orders", &plain), false),
            ((arn, &plain), ("arn:aws:sqs:eu-west-1:999999999999:orders", &plain), false),
        ] {
            let (x, y) = (a.0.parse().expect("a queue"), b.0.parse().expect("a queue"));
            assert_eq!(same((&x, a.1), (&y, b.1)), expected, "{a:?} {b:?}");
            assert_eq!(same((&y, b.1), (&x, a.1)), expected, "{b:?} {a:?}");
        }
    }
}
