//! How a job names a queue: by name, by URL or by ARN. Reads and shows the three forms; finds no queue.

use std::fmt;
use std::str::FromStr;

/// A queue as the job names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum QueueRef {
    /// A name, in the account and region that the access settings give.
    Name(String),
    /// A queue URL, as it was written.
    Url(String),
    /// An ARN.
    Arn {
        /// `aws`, `aws-cn`, `aws-us-gov` and the like.
        partition: String,
        /// The region.
        region: String,
        /// The account's twelve digits.
        account: String,
        /// The queue's name.
        name: String,
    },
}

impl QueueRef {
    /// The queue's name: the last part of a URL or an ARN.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Arn { name, .. } => name,
            Self::Url(url) => url.rsplit('/').next().unwrap_or(url),
        }
    }

    /// Whether it is a FIFO queue: SQS asks for the ending, and for no other queue allows it.
    pub fn is_fifo(&self) -> bool {
        self.name().strip_suffix(".fifo").is_some()
    }

    /// The region, where the form holds one: an ARN's, or that of a URL of AWS itself.
    pub fn region(&self) -> Option<&str> {
        match self {
            Self::Name(_) => None,
            Self::Arn { region, .. } => Some(region),
            Self::Url(url) => aws_url(url).map(|(region, _)| region),
        }
    }

    /// The account, where the form holds one: an ARN's, or that of a URL of AWS itself.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Name(_) => None,
            Self::Arn { account, .. } => Some(account),
            Self::Url(url) => aws_url(url).map(|(_, account)| account),
        }
    }
}

/// Region and account of a URL such as `https://sqs.eu-west-1.amazonaws.com/123456789012/orders`; of other servers' URLs
/// nothing is known.
fn aws_url(url: &str) -> Option<(&str, &str)> {
    let (host, path) = url.strip_prefix("https://sqs.")?.split_once('/')?;
    let (region, domain) = host.split_once('.')?;
    let (account, _) = path.split_once('/')?;
    (matches!(domain, "amazonaws.com" | "amazonaws.com.cn") && is_account(account)).then_some((region, account))
}

impl FromStr for QueueRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("arn:") {
            return arn(text);
        }
        if text.contains("://") {
            return url(text);
        }
        queue_name(text)?;
        Ok(Self::Name(text.to_owned()))
    }
}

fn arn(text: &str) -> Result<QueueRef, String> {
    let expected = "expected a queue's ARN, such as \"arn:aws:sqs:eu-west-1:123456789012:orders\"";
    let parts: Vec<_> = text.split(':').collect();
    let [_, partition, service, region, account, name] = parts[..] else {
        return Err(format!("{expected}: six parts with colons between them; found {}", parts.len()));
    };
    if service != "sqs" {
        return Err(format!("{expected}; this one is of the service {service:?}"));
    }
    let is_word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if !is_word(partition) {
        return Err(format!("{expected}; {partition:?} is no partition"));
    }
    if !is_word(region) {
        return Err(format!("{expected}; {region:?} is no region"));
    }
    if !is_account(account) {
        return Err(format!("{expected}; an account has twelve digits, and {account:?} is none"));
    }
    queue_name(name)?;
    Ok(QueueRef::Arn {
        partition: partition.to_owned(),
        region: region.to_owned(),
        account: account.to_owned(),
        name: name.to_owned(),
    })
}

fn url(text: &str) -> Result<QueueRef, String> {
    let expected = "expected a queue's URL, such as \"https://sqs.eu-west-1.amazonaws.com/123456789012/orders\"";
    http_url(text).map_err(|problem| format!("{expected}; {problem}"))?;
    let path = text.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
    let Some(name) = path.and_then(|path| path.rsplit('/').next()) else {
        return Err(format!("{expected}; this one has no path"));
    };
    if name.contains(['?', '#']) {
        return Err(format!("{expected}; without `?` and `#`"));
    }
    queue_name(name).map_err(|problem| format!("{expected}; its last part is the queue's name, and {problem}"))?;
    Ok(QueueRef::Url(text.to_owned()))
}

/// Whether this is an `http` or `https` URL with a host; where not, what is wrong with it.
pub(crate) fn http_url(text: &str) -> Result<(), String> {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return Err("a URL begins with http:// or https://".to_owned());
    };
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("a URL holds no white space".to_owned());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("a URL in a job holds no user name or password".to_owned());
    }
    // An IPv6 address has colons of its own, inside brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.is_empty() {
        return Err("a URL has a host".to_owned());
    }
    match port {
        Some(port) if port.parse::<u16>().is_err() => Err(format!("{port:?} is no port")),
        _ => Ok(()),
    }
}

/// Whether SQS takes this as a queue's name.
fn queue_name(name: &str) -> Result<(), String> {
    let expected = "a queue's name is 1 to 80 letters, digits, `-` and `_`, and ends in `.fifo` on a FIFO queue";
    if name.len() > 80 {
        return Err(format!("{expected}; this one has {} characters", name.chars().count()));
    }
    let stem = name.strip_suffix(".fifo").unwrap_or(name);
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match stem.chars().find(|c| !is_allowed(*c)) {
        Some(c) => Err(format!("{expected}; found {c:?}")),
        None if stem.is_empty() => Err(expected.to_owned()),
        None => Ok(()),
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for QueueRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(text) | Self::Url(text) => f.write_str(text),
            Self::Arn { partition, region, account, name } => {
                write!(f, "arn:{partition}:sqs:{region}:{account}:{name}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_read_and_shown() {
        for (text, name, region) in [
            ("orders-dlq", "orders-dlq", None),
            ("orders.fifo", "orders.fifo", None),
            ("https://sqs.eu-west-1.amazonaws.com/123456789012/orders", "orders", Some("eu-west-1")),
            ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/orders", "orders", Some("cn-north-1")),
            ("http://127.0.0.1:4566/000000000000/orders.fifo", "orders.fifo", None),
            ("http://[::1]:4566/queue/eu-west-1/000000000000/orders", "orders", None),
            ("http://localhost/orders", "orders", None),
            ("arn:aws:sqs:eu-west-1:123456789012:orders", "orders", Some("eu-west-1")),
            ("arn:aws-cn:sqs:cn-north-1:123456789012:orders.fifo", "orders.fifo", Some("cn-north-1")),
        ] {
            let queue: QueueRef = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(queue.to_string(), text);
            assert_eq!((queue.name(), queue.region()), (name, region), "{text}");
        }
    }

    #[test]
    fn what_is_none_of_them_is_refused_with_the_reason() {
        for (text, part) in [
            ("", "1 to 80"),
            (".fifo", "1 to 80"),
            ("orders dlq", "' '"),
            ("orders.dlq", "'.'"),
            ("órders", "'ó'"),
            (&"x".repeat(81), "81"),
            ("arn:aws:sqs:eu-west-1:123456789012", "found 5"),
            ("arn:aws:sns:eu-west-1:123456789012:orders", "\"sns\""),
            ("arn:aws:sqs:eu-west-1:12345:orders", "twelve digits"),
            ("arn:aws:sqs::123456789012:orders", "region"),
            ("arn::sqs:eu-west-1:123456789012:orders", "partition"),
            ("arn:aws:sqs:eu-west-1:123456789012:or/ders", "'/'"),
            ("ftp://host/orders", "http://"),
            ("https://host", "no path"),
            ("https:///orders", "host"),
            ("https://host/", "1 to 80"),
            ("https://host/123456789012/orders?x=1", "`?`"),
            ("https://user:secret@host/1/orders", "password"),
            ("https://host:port/1/orders", "port"),
            ("https://host/1/or ders", "white space"),
        ] {
            let error = text.parse::<QueueRef>().expect_err("it is none");
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
