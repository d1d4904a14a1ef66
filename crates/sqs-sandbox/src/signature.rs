//! Signature Version 4, verified where the sandbox knows secrets, so that a client that signs wrongly is found. What is signed
//! chunk by chunk is verified by its first signature only.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::collections::BTreeMap;

use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::http::request::Parts;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use super::keys::Keys;
use super::query;
use super::sqs::message::{Millis, hex};

/// How far a request's time may be off.
const SKEW: Millis = 5 * 60 * 1000;

/// The block size of SHA-256, for HMAC.
const BLOCK: usize = 64;

/// What is wrong with a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// There is none.
    Missing,
    /// The access key is not known.
    UnknownKey,
    /// It is not of this request and this secret.
    Mismatch,
    /// It is of another time.
    Skewed,
}

/// The parts of an `Authorization` header.
pub(super) struct Authorization<'a> {
    pub(super) access_key: &'a str,
    date: &'a str,
    pub(super) region: &'a str,
    service: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads the header, where there is one of this version.
    pub(super) fn read(headers: &'a HeaderMap) -> Option<Self> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| value.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        Self::of(field("Credential")?, field("SignedHeaders")?, field("Signature")?)
    }

    /// Reads the parameters of a presigned URL.
    fn presigned(parameters: &'a BTreeMap<String, String>) -> Option<Self> {
        let field = |name: &str| parameters.get(name).map(String::as_str);
        Self::of(field("X-Amz-Credential")?, field("X-Amz-SignedHeaders")?, field("X-Amz-Signature")?)
    }

    fn of(credential: &'a str, signed_headers: &'a str, signature: &'a str) -> Option<Self> {
        let mut scope = credential.split('/');
        let read = Self {
            access_key: scope.next()?,
            date: scope.next()?,
            region: scope.next()?,
            service: scope.next()?,
            signed_headers,
            signature,
        };
        (scope.next() == Some("aws4_request")).then_some(read)
    }
}

/// Verifies a request's signature. Without known credentials every request is fine.
pub(super) fn verify(keys: &Keys, parts: &Parts, body: &[u8], now: Millis) -> Result<(), Flaw> {
    if keys.first().is_none() {
        return Ok(());
    }
    let parameters = query::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let presigned = Authorization::presigned(&parameters);
    let is_presigned = presigned.is_some();
    let authorization = presigned.or_else(|| Authorization::read(&parts.headers)).ok_or(Flaw::Missing)?;
    let secret = keys.secret(authorization.access_key, now).ok_or(Flaw::UnknownKey)?;
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let parameter = |name: &str| parameters.get(name).map(String::as_str).filter(|_| is_presigned);
    let time = parameter("X-Amz-Date").or_else(|| text("x-amz-date")).ok_or(Flaw::Missing)?;
    let at = read_time(time).ok_or(Flaw::Mismatch)?;
    if !time.starts_with(authorization.date) || authorization.date.len() != 8 {
        return Err(Flaw::Mismatch);
    }
    let lasts = parameter("X-Amz-Expires").and_then(|seconds| seconds.parse::<Millis>().ok());
    let lasts = lasts.map_or(SKEW, |seconds| seconds.saturating_mul(1_000));
    if at > now.saturating_add(SKEW) || now > at.saturating_add(lasts) {
        return Err(Flaw::Skewed);
    }
    let payload = match text("x-amz-content-sha256") {
        Some(given) => given.to_owned(),
        // A URL is signed before there is a body.
        None if is_presigned && authorization.service == "s3" => "UNSIGNED-PAYLOAD".to_owned(),
        None => hex(&Sha256::digest(body)),
    };
    let canonical = canonical_request(parts, authorization.signed_headers, &payload).ok_or(Flaw::Mismatch)?;
    let scope = format!("{}/{}/{}/aws4_request", authorization.date, authorization.region, authorization.service);
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut key = hmac(format!("AWS4{secret}").as_bytes(), authorization.date.as_bytes());
    for part in [authorization.region, authorization.service, "aws4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    if hex(&hmac(&key, to_sign.as_bytes())) == authorization.signature { Ok(()) } else { Err(Flaw::Mismatch) }
}

/// When a request with these headers was signed, as it says.
pub(super) fn signed_at(headers: &HeaderMap) -> Option<Millis> {
    read_time(headers.get("x-amz-date")?.to_str().ok()?)
}

fn read_time(text: &str) -> Option<Millis> {
    let at = DateTime::strptime("%Y%m%dT%H%M%SZ", text).and_then(|time| TimeZone::UTC.to_timestamp(time)).ok()?;
    Millis::try_from(at.as_millisecond()).ok()
}

/// The request as it was signed; `None` where a signed header is not there, or the host is not signed.
fn canonical_request(parts: &Parts, signed_headers: &str, payload: &str) -> Option<String> {
    if !signed_headers.split(';').any(|name| name == "host") {
        return None;
    }
    let mut query: Vec<String> = parts.uri.query().map_or_else(Vec::new, |query| {
        let whole = |pair: &str| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") };
        let is_signed = |pair: &&str| !pair.is_empty() && !pair.starts_with("X-Amz-Signature=");
        query.split('&').filter(is_signed).map(whole).collect()
    });
    query.sort();
    let mut headers = String::new();
    for name in signed_headers.split(';') {
        let mut values = Vec::new();
        for value in parts.headers.get_all(name) {
            let words: Vec<&str> = value.to_str().ok()?.split_ascii_whitespace().collect();
            values.push(words.join(" "));
        }
        if values.is_empty() {
            return None;
        }
        headers.extend([name, ":", &values.join(","), "\n"]);
    }
    let (method, path) = (&parts.method, parts.uri.path());
    Some(format!("{method}\n{path}\n{}\n{headers}\n{signed_headers}\n{payload}", query.join("&")))
}

/// HMAC-SHA256, RFC 2104.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let of = |key: &[u8], message: &[u8]| hex(&hmac(key, message));
        assert_eq!(
            of(b"Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            of(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn an_authorization_that_is_not_whole_is_none() {
        let whole =
            "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-west-1/sqs/aws4_request, SignedHeaders=host, Signature=00";
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            Authorization::read(&headers).map(|read| (read.access_key.to_owned(), read.region.to_owned()))
        };
        assert_eq!(read(whole), Some(("AK".to_owned(), "eu-west-1".to_owned())));
        for cut in ["", "Basic x", &whole[..40], &whole.replace("aws4_request", "x"), &whole.replace("Signature", "S")]
        {
            assert_eq!(read(cut), None, "{cut}");
        }
    }
}
