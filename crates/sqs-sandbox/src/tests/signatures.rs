//! Signatures, as the SDKs make them.

use std::time::Duration;

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;

use super::raw::{exchange, http};
use super::{Stage, entry};
use crate::{Credentials, Options, Sandbox};

async fn stage(access_key: &str, secret_key: &str) -> Stage {
    let known = Credentials { access_key: "AKIAKNOWN".to_owned(), secret_key: "s/e+c".to_owned() };
    let sandbox = Sandbox::start(Options { credentials: vec![known], ..Options::default() }).await.unwrap();
    sandbox.create_queue("orders", &[], None).unwrap();
    sandbox.create_bucket("archive").unwrap();
    Stage::of(sandbox, access_key, secret_key)
}

#[tokio::test]
async fn what_the_sdks_sign_is_accepted() {
    let stage = stage("AKIAKNOWN", "s/e+c").await;
    let url = stage.sqs.get_queue_url().queue_name("orders").send().await.unwrap().queue_url.unwrap();
    stage.sqs.send_message_batch().queue_url(&url).entries(entry("a", "äöü")).send().await.unwrap();
    assert_eq!(stage.receive(&url).await.len(), 1);
    let key = "a b/ü+&=(1)~_-.json";
    let put = stage.s3.put_object().bucket("archive").key(key).metadata("run", "two  words");
    put.body(ByteStream::from_static(b"x")).send().await.unwrap();
    stage.s3.get_object().bucket("archive").key(key).send().await.unwrap();
    let list = stage.s3.list_objects_v2().bucket("archive").prefix("a b/ü+").max_keys(5).send().await.unwrap();
    assert_eq!(list.contents()[0].key(), Some(key));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![b'x'; 100_000]).unwrap();
    let streamed = ByteStream::from_path(file.path()).await.unwrap();
    stage.s3.put_object().bucket("archive").key("streamed").body(streamed).send().await.unwrap();
    assert!(stage.sandbox.environment()["AWS_SECRET_ACCESS_KEY"] == "s/e+c");
}

#[tokio::test]
async fn what_is_signed_wrongly_is_refused_without_effect() {
    for (access_key, secret_key, sqs, s3) in [
        ("AKIAKNOWN", "wrong", "SignatureDoesNotMatch", "SignatureDoesNotMatch"),
        ("AKIAOTHER", "s/e+c", "InvalidClientTokenId", "InvalidAccessKeyId"),
    ] {
        let stage = stage(access_key, secret_key).await;
        let url = format!("{}/000000000000/orders", stage.sandbox.endpoint_url());
        let send = stage.sqs.send_message().queue_url(url).message_body("x").send().await.unwrap_err();
        assert_eq!(send.code(), Some(sqs));
        let put = stage.s3.put_object().bucket("archive").key("k").body(ByteStream::from_static(b"x")).send().await;
        assert_eq!(put.unwrap_err().code(), Some(s3));
        assert!(stage.sandbox.queue("orders").unwrap().messages.is_empty());
        assert!(stage.sandbox.objects("archive").unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_signature_of_another_time_is_refused() {
    let stage = stage("AKIAKNOWN", "s/e+c").await;
    stage.sandbox.advance(Duration::from_mins(10));
    let get = stage.sqs.get_queue_url().queue_name("orders").send().await.unwrap_err();
    assert_eq!(get.code(), Some("SignatureDoesNotMatch"));
    let head = stage.s3.get_object().bucket("archive").key("k").send().await.unwrap_err();
    assert_eq!(head.code(), Some("RequestTimeTooSkewed"));
}

#[tokio::test]
async fn a_presigned_url_is_good_for_its_time_and_its_request() {
    let stage = stage("AKIAKNOWN", "s/e+c").await;
    let lasts = PresigningConfig::expires_in(Duration::from_mins(10)).unwrap();
    let put = stage.s3.put_object().bucket("archive").key("a b").presigned(lasts.clone()).await.unwrap();
    let get = stage.s3.get_object().bucket("archive").key("a b").presigned(lasts).await.unwrap();
    let host = stage.sandbox.endpoint_url().replace("http://", "");
    let ask = async |method: &str, url: &str, body: &str| {
        let path = url.split_once(&host).unwrap().1;
        let request = String::from_utf8(http(method, path, "", body)).unwrap();
        exchange(&stage.sandbox, request.replacen("Host: localhost", &format!("Host: {host}"), 1).as_bytes()).await
    };
    assert!(ask("PUT", put.uri(), "x").await.starts_with("HTTP/1.1 200"));
    assert!(ask("GET", get.uri(), "").await.ends_with("\r\n\r\nx"));
    let other = get.uri().replace("a%20b", "other");
    assert!(ask("GET", &other, "").await.contains("SignatureDoesNotMatch"));
    stage.wait(601);
    assert!(ask("GET", get.uri(), "").await.starts_with("HTTP/1.1 403"));
}
