//! The S3 side: `s3s` with `s3s-fs` on a directory, and in front of it what those two leave open. A digest is verified before
//! anything is written, not after; a conditional put is atomic; a missing bucket is not made by a put, and one that is not empty
//! is not deleted; bodies in aws-chunked encoding are decoded without knowing the secret.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use md5::{Digest, Md5};
use s3s::Body;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{self, Crc32, Crc32c, Crc64Nvme, Sha1};
use s3s::service::{S3Service, S3ServiceBuilder};
use sha2::Sha256;
use tokio::sync::RwLock;

use super::listing;
use super::sqs::message::hex;
use super::target::Target;
use crate::error::{Error, Result};

/// How many locks the keys share.
const LOCKS: usize = 64;

/// The longest file name of the usual file systems.
const LONGEST_NAME: usize = 255;

const CHECKSUMS: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

/// The object store.
pub(super) struct Store {
    service: S3Service,
    root: PathBuf,
    locks: Vec<RwLock<()>>,
}

/// An error of S3.
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// As S3 answers it.
    pub(super) fn response(&self) -> Response<Body> {
        // Codes are ours, and messages hold no text of the request: nothing to escape.
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message></Error>",
            self.code, self.message
        );
        let mut response = Response::new(Body::from(xml));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        response
    }
}

impl Store {
    /// Serves the buckets under a directory, which must exist.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let files = s3s_fs::FileSystem::new(root).map_err(|error| {
            Error::failed(format!("the sandbox cannot keep its buckets in {}: {error:?}", root.display()))
                .hint("nothing was started; choose a directory that can be written")
        })?;
        let root = root.canonicalize().map_err(|error| {
            Error::failed(format!("the sandbox cannot read its directory {}: {error}", root.display()))
        })?;
        let locks = (0..LOCKS).map(|_| RwLock::new(())).collect();
        Ok(Self { service: S3ServiceBuilder::new(files).build(), root, locks })
    }

    /// Makes a bucket, unless it is there.
    pub(super) fn create_bucket(&self, name: &str) -> Result<()> {
        std::fs::create_dir_all(self.root.join(name))
            .map_err(|error| Error::failed(format!("the sandbox cannot make the bucket {name}: {error}")))
    }

    /// Carries out a request.
    pub(super) async fn handle(&self, mut parts: Parts, body: Bytes, target: &Target) -> Response<Body> {
        match self.prepare(&mut parts, body, target) {
            Err(refusal) => refusal.response(),
            Ok(body) => self.forward(parts, body, target).await,
        }
    }

    fn prepare(&self, parts: &mut Parts, body: Bytes, target: &Target) -> Result<Bytes, Refusal> {
        self.check_names(target)?;
        if target.action == "Setting" {
            return Err(Refusal::new(501, "NotImplemented", "The sandbox has no settings of buckets and objects."));
        }
        let query = parts.uri.query().unwrap_or_default();
        let version = query.split('&').find_map(|pair| pair.strip_prefix("versionId="));
        if version.is_some_and(|version| !matches!(version, "" | "null")) {
            // No bucket here has versions; to act on the object anyway would be on another than was meant.
            return Err(match target.action {
                "DeleteObject" => Refusal::new(400, "InvalidArgument", "Invalid version id specified"),
                _ => Refusal::new(404, "NoSuchVersion", "The specified version does not exist."),
            });
        }
        let body = decode(&mut parts.headers, body)?;
        verify(&parts.headers, &body)?;
        // Any credentials do: what is not verified must not be looked at.
        parts.headers.remove(AUTHORIZATION);
        parts.headers.remove("x-amz-content-sha256");
        without_signature(parts);
        Ok(body)
    }

    fn check_names(&self, target: &Target) -> Result<(), Refusal> {
        let bucket = self.root.join(&target.bucket);
        if target.bucket.starts_with('.') || target.bucket.contains(['\\', '\0']) {
            return Err(Refusal::new(400, "InvalidBucketName", "The specified bucket is not valid."));
        }
        let exists = !target.bucket.is_empty() && bucket.is_dir();
        match target.action {
            "CreateBucket" if exists => {
                return Err(Refusal::new(
                    409,
                    "BucketAlreadyOwnedByYou",
                    "Your previous request to create the named bucket succeeded and you already own it.",
                ));
            }
            "ListBuckets" | "CreateBucket" => return Ok(()),
            "DeleteBucket" if exists && has_files(&bucket) => {
                return Err(Refusal::new(409, "BucketNotEmpty", "The bucket you tried to delete is not empty."));
            }
            _ if !exists => return Err(Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist")),
            _ => {}
        }
        let Some(key) = &target.key else { return Ok(()) };
        let is_directory = key.ends_with('/');
        let plain = key.trim_end_matches('/');
        if plain.contains(['\\', '\0']) || plain.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Refusal::new(
                400,
                "InvalidArgument",
                "The sandbox keeps objects as files: a key cannot have empty parts, dots alone, or backslashes.",
            ));
        }
        // s3s-fs puts bucket and key, in base64, into the name of the file that holds the metadata.
        let encoded = |text: &str| text.len().div_ceil(3) * 4;
        let name = ".bucket-.object-.metadata.json".len() + encoded(&target.bucket) + encoded(key);
        if name > LONGEST_NAME || plain.split('/').any(|part| part.len() > LONGEST_NAME) {
            return Err(Refusal::new(
                400,
                "KeyTooLongError",
                "The sandbox keeps objects as files: with this bucket the key is too long for a file name.",
            ));
        }
        let path = bucket.join(plain);
        match target.action {
            "PutObject" if !is_directory && path.is_dir() || path.ancestors().skip(1).any(Path::is_file) => {
                Err(Refusal::new(
                    400,
                    "InvalidArgument",
                    "The sandbox keeps objects as files: no key can also be the beginning of another, up to a slash.",
                ))
            }
            "GetObject" | "HeadObject" if !is_directory && path.is_dir() => {
                Err(Refusal::new(404, "NoSuchKey", "The specified key does not exist."))
            }
            _ => Ok(()),
        }
    }

    async fn forward(&self, parts: Parts, body: Bytes, target: &Target) -> Response<Body> {
        let mut hasher = DefaultHasher::new();
        (&target.bucket, &target.key).hash(&mut hasher);
        let lock = &self.locks[usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or(0)];
        let wanted = parts.headers.get(hyper::header::IF_NONE_MATCH).cloned();
        let is_read = matches!(parts.method, Method::GET | Method::HEAD);
        let request = Request::from_parts(parts, Body::from(body));
        let answer = if is_read {
            let _shared = lock.read().await;
            self.service.call(request).await
        } else {
            let _alone = lock.write().await;
            self.service.call(request).await
        };
        let mut response = match answer {
            Ok(response) => response,
            Err(_) => Refusal::new(500, "InternalError", "The sandbox could not carry out the request.").response(),
        };
        let etag = response.headers().get(hyper::header::ETAG);
        if is_read && response.status().is_success() && wanted.is_some() && (wanted.as_ref() == etag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().remove(CONTENT_LENGTH);
            // They are of a body that is not there.
            for name in CHECKSUMS {
                response.headers_mut().remove(name);
            }
            *response.body_mut() = Body::empty();
        }
        if target.action == "ListObjectsV2" && response.status().is_success() {
            return self.listed(response, &target.bucket).await;
        }
        response
    }

    /// A listing, with what `s3s-fs` leaves out.
    async fn listed(&self, response: Response<Body>, bucket: &str) -> Response<Body> {
        let (mut head, body) = response.into_parts();
        let Ok(collected) = body.collect().await else {
            return Refusal::new(500, "InternalError", "The sandbox could not list the bucket.").response();
        };
        let text = String::from_utf8_lossy(&collected.to_bytes()).into_owned();
        let etag = |key: &str| {
            let bytes = std::fs::read(self.root.join(bucket).join(key)).ok()?;
            Some(format!("\"{}\"", hex(&Md5::digest(bytes))))
        };
        let text = listing::complete(&text, etag);
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
        Response::from_parts(head, Body::from(text))
    }
}

/// Takes the signature of a presigned URL off: it is verified already where it is to be.
fn without_signature(parts: &mut Parts) {
    let Some(query) = parts.uri.query().filter(|query| query.contains("X-Amz-Signature=")) else { return };
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("X-Amz-")).collect();
    let path = parts.uri.path();
    let bare = if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
    if let Ok(uri) = bare.parse() {
        parts.uri = uri;
    }
}

fn has_files(directory: &Path) -> bool {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let path = entry.path();
        if path.is_dir() { has_files(&path) } else { true }
    })
}

/// Takes the aws-chunked encoding off a body; its trailers become headers.
fn decode(headers: &mut HeaderMap, body: Bytes) -> Result<Bytes, Refusal> {
    let is_chunked =
        headers.get("x-amz-content-sha256").is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"));
    if !is_chunked {
        return Ok(body);
    }
    let malformed = || Refusal::new(400, "IncompleteBody", "The aws-chunked body is not complete.");
    let mut decoded = Vec::with_capacity(body.len());
    let mut rest: &[u8] = &body;
    loop {
        let line = take_line(&mut rest).ok_or_else(malformed)?;
        let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
        let digits = std::str::from_utf8(digits).map_err(|_| malformed())?;
        let length = usize::from_str_radix(digits.trim(), 16).map_err(|_| malformed())?;
        if length == 0 {
            break;
        }
        let after = length.checked_add(2).ok_or_else(malformed)?;
        decoded.extend_from_slice(rest.get(..length).ok_or_else(malformed)?);
        rest = rest.get(after..).ok_or_else(malformed)?;
    }
    while let Some(line) = take_line(&mut rest).filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|&byte| byte == b':').ok_or_else(malformed)?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| malformed())?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).map_err(|_| malformed())?;
        if CHECKSUMS.contains(&name.as_str()) {
            headers.insert(name, value);
        }
    }
    let announced = headers.remove("x-amz-decoded-content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|announced: usize| announced != decoded.len()) {
        return Err(malformed());
    }
    headers.remove("x-amz-trailer");
    headers.insert(CONTENT_LENGTH, HeaderValue::from(decoded.len()));
    headers.remove(hyper::header::TRANSFER_ENCODING);
    let encodings = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let others: Vec<&str> =
        encodings.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "aws-chunked").collect();
    match HeaderValue::from_str(&others.join(",")) {
        Ok(value) if !others.is_empty() => headers.insert(CONTENT_ENCODING, value),
        _ => headers.remove(CONTENT_ENCODING),
    };
    Ok(decoded.into())
}

fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let line = &rest[..end];
    *rest = &rest[end + 2..];
    Some(line)
}

/// Compares a body with every digest that its headers give.
fn verify(headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    let bad = |message: &str| Err(Refusal::new(400, "BadDigest", message));
    if let Some(expected) = headers.get("content-md5")
        && STANDARD.encode(Md5::digest(body)).as_bytes() != expected.as_bytes()
    {
        return bad("The Content-MD5 you specified did not match what we received.");
    }
    if let Some(expected) = headers.get("x-amz-content-sha256").filter(|value| value.len() == 64)
        && hex(&Sha256::digest(body)).as_bytes() != expected.as_bytes()
    {
        return Err(Refusal::new(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ));
    }
    let given: Vec<Option<&HeaderValue>> = CHECKSUMS.iter().map(|name| headers.get(*name)).collect();
    let mut hasher = ChecksumHasher {
        crc32: given[0].map(|_| Crc32::default()),
        crc32c: given[1].map(|_| Crc32c::default()),
        crc64nvme: given[2].map(|_| Crc64Nvme::default()),
        sha1: given[3].map(|_| Sha1::default()),
        sha256: given[4].map(|_| crypto::Sha256::default()),
    };
    hasher.update(body);
    let computed = hasher.finalize();
    let computed = [
        computed.checksum_crc32,
        computed.checksum_crc32c,
        computed.checksum_crc64nvme,
        computed.checksum_sha1,
        computed.checksum_sha256,
    ];
    let matches = given.iter().zip(&computed).all(|(given, computed)| {
        given.is_none_or(|given| computed.as_deref().is_some_and(|computed| computed.as_bytes() == given.as_bytes()))
    });
    if matches { Ok(()) } else { bad("The checksum you specified did not match the calculated checksum.") }
}
