//! The S3 side: objects in memory behind `s3s`, which speaks the protocol, and in a directory as well if one is named. Here is
//! what comes before `s3s`: names, versions, encodings and digests are looked at before anything is stored.

mod body;
mod buckets;
mod disk;
mod listing;
mod lists;
mod multipart;
mod object;
mod objects;
mod reads;
mod service;
mod uploads;
mod writes;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use s3s::Body;
use s3s::service::{S3Service, S3ServiceBuilder};

use super::sqs::message::Millis;
use super::target::Target;
use crate::error::{Error, Result};
use disk::Disk;
use objects::Objects;
use service::Service;

/// The object store.
pub(super) struct Store {
    service: S3Service,
    objects: Arc<Objects>,
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
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        response
    }
}

impl Store {
    /// Makes a store without buckets; or, with a directory, one that holds what is there and keeps there what comes.
    pub(super) fn open(
        root: Option<&Path>,
        region: &str,
        clock: impl Fn() -> Millis + Send + Sync + 'static,
    ) -> Result<Self> {
        let disk = root.map(Disk::open).transpose();
        let objects = disk.and_then(|disk| Objects::new(disk, region, Box::new(clock))).map_err(|error| {
            Error::failed(format!("the sandbox cannot keep its buckets in a directory: {error}"))
                .hint("nothing was started; choose a directory that can be read and written")
        })?;
        let objects = Arc::new(objects);
        let service = S3ServiceBuilder::new(Service(Arc::clone(&objects))).build();
        Ok(Self { service, objects })
    }

    /// Makes a bucket, unless it is there.
    pub(super) fn create_bucket(&self, name: &str) -> Result<()> {
        self.objects
            .ensure_bucket(name)
            .map_err(|error| Error::failed(format!("the sandbox cannot make the bucket {name}: {error}")))
    }

    /// Encrypts a bucket with the KMS key of this ARN, ID or alias.
    pub(super) fn encrypt_bucket(&self, name: &str, key: &str) -> Result<()> {
        let mut buckets = self.objects.lock();
        let bucket = buckets.get_mut(name).ok_or_else(|| Error::failed(format!("there is no bucket {name}")))?;
        bucket.key = Some(key.to_owned());
        Ok(())
    }

    /// The KMS key of a bucket, if it has one.
    pub(super) fn key_of(&self, bucket: &str) -> Option<String> {
        self.objects.lock().get(bucket)?.key.clone()
    }

    /// The objects of a bucket by key, whole.
    pub(super) fn contents(&self, bucket: &str) -> Option<BTreeMap<String, Vec<u8>>> {
        self.objects.contents(bucket)
    }

    /// Carries out a request.
    pub(super) async fn handle(&self, mut parts: Parts, body: Bytes, target: &Target) -> Response<Body> {
        let body = match self.prepare(&mut parts, body, target) {
            Err(refusal) => return refusal.response(),
            Ok(body) => body,
        };
        let mut response = match self.service.call(Request::from_parts(parts, Body::from(body))).await {
            Ok(response) => response,
            Err(_) => Refusal::new(500, "InternalError", "The sandbox could not carry out the request.").response(),
        };
        if response.status() == StatusCode::NOT_MODIFIED {
            response.headers_mut().remove(CONTENT_LENGTH);
            response.headers_mut().remove(CONTENT_TYPE);
            *response.body_mut() = Body::empty();
        }
        response
    }

    fn prepare(&self, parts: &mut Parts, body: Bytes, target: &Target) -> Result<Bytes, Refusal> {
        let is_known = target.bucket.is_empty() || self.objects.has_bucket(&target.bucket);
        if !is_known && target.action != "CreateBucket" {
            return Err(Refusal::new(404, "NoSuchBucket", "The specified bucket does not exist"));
        }
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
        let body = body::decode(&mut parts.headers, body)?;
        // The checksums of a completion are those of the object, and not of the list of its parts.
        body::verify(&parts.headers, &body, target.action != "CompleteMultipartUpload")?;
        // Any credentials do: what is not verified must not be looked at.
        parts.headers.remove(AUTHORIZATION);
        parts.headers.remove("x-amz-content-sha256");
        without_signature(parts);
        Ok(body)
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
