//! What a request of S3 asks for: the action by S3's name, bucket and key.

use hyper::Method;
use hyper::http::request::Parts;

/// Settings of buckets and objects that S3 has and the sandbox has not.
const SETTINGS: [&str; 25] = [
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "retention",
    "tagging",
    "torrent",
    "versioning",
    "versions",
    "website",
];

/// What a request is about.
pub(super) struct Target {
    pub(super) action: &'static str,
    pub(super) bucket: String,
    pub(super) key: Option<String>,
}

/// What a request asks for, by S3's names.
pub(super) fn target(parts: &Parts) -> Target {
    let path = percent_decoded(parts.uri.path());
    let path = path.strip_prefix('/').unwrap_or(&path);
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let key = (!key.is_empty()).then(|| key.to_owned());
    let query = parts.uri.query().unwrap_or_default();
    let names = |wanted: &str| query.split('&').any(|pair| pair.split('=').next() == Some(wanted));
    let is_copy = parts.headers.contains_key("x-amz-copy-source");
    let action = match (&parts.method, key.is_some(), bucket.is_empty()) {
        (&Method::GET, false, false) if names("encryption") => "GetBucketEncryption",
        _ if SETTINGS.iter().any(|setting| names(setting)) => "Setting",
        (&Method::GET, false, true) => "ListBuckets",
        (&Method::GET, false, false) if names("location") => "GetBucketLocation",
        (&Method::GET, false, false) if names("uploads") => "ListMultipartUploads",
        (&Method::GET, false, false) if names("list-type") => "ListObjectsV2",
        (&Method::GET, false, false) => "ListObjects",
        (&Method::GET, true, _) if names("uploadId") => "ListParts",
        (&Method::GET, true, _) => "GetObject",
        (&Method::HEAD, false, _) => "HeadBucket",
        (&Method::HEAD, true, _) => "HeadObject",
        (&Method::PUT, false, _) => "CreateBucket",
        (&Method::PUT, true, _) if names("partNumber") && is_copy => "UploadPartCopy",
        (&Method::PUT, true, _) if names("partNumber") => "UploadPart",
        (&Method::PUT, true, _) if is_copy => "CopyObject",
        (&Method::PUT, true, _) => "PutObject",
        (&Method::DELETE, false, _) => "DeleteBucket",
        (&Method::DELETE, true, _) if names("uploadId") => "AbortMultipartUpload",
        (&Method::DELETE, true, _) => "DeleteObject",
        (&Method::POST, false, _) => "DeleteObjects",
        (&Method::POST, true, _) if names("uploads") => "CreateMultipartUpload",
        (&Method::POST, true, _) => "CompleteMultipartUpload",
        _ => "Unknown",
    };
    Target { action, bucket: bucket.to_owned(), key }
}

/// A path with its `%xx` read. What is no UTF-8 afterwards is replaced, and then found nowhere.
pub(super) fn percent_decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| first == b'%');
        let value = escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(value.unwrap_or(first));
        rest = if value.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
