//! How a job reaches a queue: the four optional settings, and what a queue's name, URL or ARN says by itself. Pure text
//! work; no SDK and no network.

use crate::error::{Error, Result};

/// Where and as whom to call. What is `None` comes from the AWS default chain: environment, profiles, SSO, roles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Access {
    /// The AWS region.
    pub region: Option<String>,
    /// The profile of the shared AWS configuration.
    pub profile: Option<String>,
    /// The endpoint's URL, for a server that is not AWS.
    pub endpoint_url: Option<String>,
    /// A role to assume, by ARN.
    pub role_arn: Option<String>,
}

/// A queue as a job names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    Name(String),
    Url(QueueUrl),
    Arn(QueueArn),
}

/// A queue's ARN, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueueArn {
    pub(super) region: String,
    pub(super) account: String,
    pub(super) name: String,
}

/// A queue's URL and what its host says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueueUrl {
    pub(super) url: String,
    pub(super) server: Server,
}

/// Whose server a URL's host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Server {
    /// AWS's public endpoint of a region: the SDK knows the way there.
    Aws { region: String },
    /// A VPC endpoint of a region: only its own host leads there.
    Vpc { region: String, origin: String },
    /// Another server, such as a local one.
    Other { origin: String },
}

impl Reference {
    /// Tells name, URL and ARN apart, and refuses what is none of them.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.starts_with("arn:") {
            return QueueArn::parse(text).map(Self::Arn);
        }
        if text.contains("://") {
            return QueueUrl::parse(text).map(Self::Url);
        }
        let plain = text.strip_suffix(".fifo").unwrap_or(text);
        let valid = !plain.is_empty() && text.len() <= 80 && plain.bytes().all(is_name_byte);
        if valid {
            return Ok(Self::Name(text.to_owned()));
        }
        Err(Error::usage(format!("{text:?} is not a queue name, queue URL or queue ARN"))
            .hint("a queue name has 1 to 80 letters, digits, hyphens and underscores, and may end in .fifo"))
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// What a reference alone says of a queue, for a policy that names it; the rest is `REPLACE-…`.
#[derive(Debug, Clone)]
pub struct Named {
    partition: String,
    region: String,
    account: String,
    name: String,
    /// Whether it is a URL, so that nobody has to look for it.
    pub is_url: bool,
}

impl Named {
    /// Reads a reference. One that cannot be read is taken for a name: a job's are valid.
    pub fn of(reference: &str, access: &Access) -> Self {
        let region = access.region.clone().unwrap_or_else(|| "REPLACE-REGION".to_owned());
        let (account, partition) = ("REPLACE-ACCOUNT".to_owned(), "aws".to_owned());
        match Reference::parse(reference) {
            Ok(Reference::Arn(QueueArn { region, account, name })) => {
                let partition = reference.split(':').nth(1).unwrap_or("aws").to_owned();
                Self { partition, region, account, name, is_url: false }
            }
            Ok(Reference::Url(QueueUrl { url, server })) => {
                let region = match server {
                    Server::Aws { region } | Server::Vpc { region, .. } => region,
                    Server::Other { .. } => region,
                };
                let account = QueueUrl::account(&url).map_or(account, str::to_owned);
                Self { partition, region, account, name: QueueUrl::name(&url).to_owned(), is_url: true }
            }
            Ok(Reference::Name(_)) | Err(_) => {
                Self { partition, region, account, name: reference.to_owned(), is_url: false }
            }
        }
    }

    /// Another queue of the same region and account.
    #[must_use]
    pub fn sibling(self, name: &str) -> Self {
        Self { name: name.to_owned(), is_url: false, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its ARN.
    pub fn arn(&self) -> String {
        let Self { partition, region, account, name, .. } = self;
        format!("arn:{partition}:sqs:{region}:{account}:{name}")
    }

    /// A placeholder for the ARN of its KMS key.
    pub fn key_arn(&self) -> String {
        let Self { partition, region, account, name, .. } = self;
        format!("arn:{partition}:kms:{region}:{account}:key/REPLACE-WITH-THE-KEY-OF-{name}")
    }
}

impl QueueArn {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["arn", partition, "sqs", region, account, name]
                if ![partition, region, account, name].iter().any(|part| part.is_empty()) =>
            {
                let [region, account, name] = [region, account, name].map(|part| (*part).to_owned());
                Ok(Self { region, account, name })
            }
            _ => Err(Error::usage(format!("{text:?} is not the ARN of an SQS queue"))
                .hint("it looks like arn:aws:sqs:eu-west-1:123456789012:orders-dlq")),
        }
    }
}

impl QueueUrl {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!("{text:?} is not the URL of a queue"))
                .hint("it looks like https://sqs.eu-west-1.amazonaws.com/123456789012/orders-dlq")
        };
        let (origin, path) = origin_and_path(text).ok_or_else(wrong)?;
        if path.trim_matches('/').is_empty() {
            return Err(wrong());
        }
        Ok(Self { url: text.to_owned(), server: Server::of(origin) })
    }

    /// The queue's name: the last part of the path.
    pub(super) fn name(url: &str) -> &str {
        let path = url.split(['?', '#']).next().unwrap_or(url).trim_end_matches('/');
        path.rsplit('/').next().unwrap_or(path)
    }

    /// The account that stands before the queue's name, where one does.
    pub(super) fn account(url: &str) -> Option<&str> {
        let account = url.trim_end_matches('/').rsplit('/').nth(1)?;
        (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
    }
}

impl Server {
    fn of(origin: &str) -> Self {
        let host = host(origin);
        let labels: Vec<&str> = host.split('.').collect();
        let aws = |region: &str| Self::Aws { region: region.to_owned() };
        match labels.as_slice() {
            [_, "sqs", region, "vpce", "amazonaws", "com"] | [_, "sqs", region, "vpce", "amazonaws", "com", "cn"] => {
                Self::Vpc { region: (*region).to_owned(), origin: origin.to_owned() }
            }
            ["sqs" | "sqs-fips", region, "amazonaws", "com"]
            | ["sqs" | "sqs-fips", region, "amazonaws", "com", "cn"]
            | ["sqs" | "sqs-fips", region, "api", "aws"]
            | [region, "queue", "amazonaws", "com"]
            | [region, "queue", "amazonaws", "com", "cn"] => aws(region),
            // The oldest form of all; queues have kept such URLs.
            ["queue", "amazonaws", "com"] => aws("us-east-1"),
            _ => Self::Other { origin: origin.to_owned() },
        }
    }
}

/// Whether an endpoint is AWS's own, where buckets have host names of their own.
pub(super) fn is_aws(endpoint: &str) -> bool {
    let Some((origin, _)) = origin_and_path(endpoint) else { return false };
    let host = host(origin);
    [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].iter().any(|suffix| host.ends_with(suffix))
}

/// Refuses an endpoint that no client could call.
pub(super) fn check_endpoint(endpoint: &str) -> Result<()> {
    if origin_and_path(endpoint).is_some() {
        return Ok(());
    }
    Err(Error::usage(format!("{endpoint:?} is no endpoint URL"))
        .hint("it looks like http://localhost:4566 (endpoint_url in the job, or AWS_ENDPOINT_URL)"))
}

/// `scheme://host:port` and the rest, of an http or https URL.
pub(super) fn origin_and_path(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme, "http" | "https") {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    // Credentials in a URL would end in logs and plans; whitespace would end in a header.
    if authority.is_empty() || authority.starts_with(':') || authority.contains(['@', ' ', '\t', '\n', '\r', '\\']) {
        return None;
    }
    Some(url.split_at(scheme.len() + 3 + end))
}

fn host(origin: &str) -> &str {
    let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Server {
        match Reference::parse(url).unwrap() {
            Reference::Url(url) => url.server,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_urls_and_arns_are_told_apart() {
        assert_eq!(Reference::parse("orders-dlq.fifo").unwrap(), Reference::Name("orders-dlq.fifo".to_owned()));
        let Reference::Arn(arn) = Reference::parse("arn:aws-cn:sqs:cn-north-1:123456789012:q.fifo").unwrap() else {
            panic!("not taken for an ARN")
        };
        assert_eq!(
            (arn.region.as_str(), arn.account.as_str(), arn.name.as_str()),
            ("cn-north-1", "123456789012", "q.fifo")
        );
    }

    #[test]
    fn what_is_no_queue_is_refused_in_words() {
        let long = "a".repeat(81);
        for text in [
            "",
            ".fifo",
            "two words",
            "a/b",
            "q.txt",
            "../q",
            "q\n",
            long.as_str(),
            "arn:aws:sqs:eu-west-1:123456789012",
            "arn:aws:sns:eu-west-1:123456789012:topic",
            "arn:aws:sqs::1:q",
            "arn:",
            "ftp://host/1/q",
            "https://",
            "http:///1/q",
            "https://sqs.eu-west-1.amazonaws.com/",
            "http://user:pass@host/1/q",
            "http://:80/1/q",
            "://x",
        ] {
            let error = Reference::parse(text).unwrap_err();
            assert_eq!(error.exit(), crate::exit::Exit::Usage, "{text:?}");
            assert!(error.hint_text().is_some(), "{text:?}");
        }
    }

    #[test]
    fn the_region_is_read_from_the_host_of_aws() {
        for (url, region) in [
            ("https://sqs.eu-west-1.amazonaws.com/123456789012/q", "eu-west-1"),
            ("https://sqs-fips.us-west-2.amazonaws.com/123456789012/q", "us-west-2"),
            ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q", "cn-north-1"),
            ("https://sqs.eu-central-1.api.aws/123456789012/q", "eu-central-1"),
            ("https://eu-west-1.queue.amazonaws.com/123456789012/q", "eu-west-1"),
            ("https://queue.amazonaws.com/123456789012/q", "us-east-1"),
        ] {
            assert_eq!(server(url), Server::Aws { region: region.to_owned() });
        }
    }

    #[test]
    fn another_server_is_reached_at_its_own_origin() {
        for (url, origin) in [
            ("http://localhost:4566/000000000000/q", "http://localhost:4566"),
            (
                "http://sqs.eu-west-1.localhost.localstack.cloud:4566/1/q",
                "http://sqs.eu-west-1.localhost.localstack.cloud:4566",
            ),
            ("http://[::1]:9324/1/q", "http://[::1]:9324"),
            // Looks like AWS, and is not.
            ("https://sqs.eu-west-1.amazonaws.com.example.org/1/q", "https://sqs.eu-west-1.amazonaws.com.example.org"),
        ] {
            assert_eq!(server(url), Server::Other { origin: origin.to_owned() });
        }
        let vpc = "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com";
        assert_eq!(
            server(&format!("{vpc}/1/q")),
            Server::Vpc { region: "eu-west-1".to_owned(), origin: vpc.to_owned() }
        );
    }

    #[test]
    fn a_url_yields_name_and_account() {
        let url = "http://localhost:4566/queue/us-east-1/000000000000/orders";
        assert_eq!(QueueUrl::name(url), "orders");
        assert_eq!(QueueUrl::account(url), Some("000000000000"));
        assert_eq!(QueueUrl::account("http://localhost/q"), None);
        assert_eq!(QueueUrl::name(""), "");
    }

    #[test]
    fn endpoints_are_checked_and_told_from_awss_own() {
        for endpoint in ["localhost:4566", "", "http://", "tcp://x", "http://a b"] {
            check_endpoint(endpoint).unwrap_err();
        }
        check_endpoint("http://127.0.0.1:4566/").unwrap();
        assert!(is_aws("https://s3.eu-west-1.amazonaws.com"));
        assert!(is_aws("https://s3.eu-west-1.amazonaws.com:443/"));
        assert!(!is_aws("http://localhost:4566"));
        assert!(!is_aws("https://amazonaws.com.example.org"));
    }
}
