//! Objects: what an archive needs of S3.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, EncodingType, ObjectStorageClass};

use super::{Options, Stage};

#[tokio::test]
async fn an_object_is_put_once_and_comes_back_with_its_metadata() {
    let stage = Stage::new().await;
    stage.s3.create_bucket().bucket("archive").send().await.unwrap();
    let put = |content: &'static str| {
        let put = stage.s3.put_object().bucket("archive").key("2026/11/one two+ä.json").if_none_match("*");
        let put = put.metadata("run", "r-1").content_type("application/json");
        put.checksum_algorithm(ChecksumAlgorithm::Crc32).body(ByteStream::from_static(content.as_bytes())).send()
    };
    put("first").await.unwrap();
    let error = put("second").await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 412);
    assert_eq!(error.code(), Some("PreconditionFailed"));
    let got = stage.s3.get_object().bucket("archive").key("2026/11/one two+ä.json").send().await.unwrap();
    assert_eq!(got.metadata.as_ref().unwrap()["run"], "r-1");
    assert_eq!(got.content_type.as_deref(), Some("application/json"));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"first");
    assert_eq!(stage.sandbox.objects("archive").unwrap()["2026/11/one two+ä.json"], b"first");
}

#[tokio::test]
async fn of_many_conditional_puts_at_once_one_wins() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    for round in 0..10 {
        let puts = (0..8).map(|number| {
            let put = stage.s3.put_object().bucket("archive").key(format!("k{round}")).if_none_match("*");
            tokio::spawn(put.body(ByteStream::from(number.to_string().into_bytes())).send())
        });
        let mut created = 0;
        for put in puts.collect::<Vec<_>>() {
            created += usize::from(put.await.unwrap().is_ok());
        }
        assert_eq!(created, 1);
    }
}

#[tokio::test]
async fn a_streamed_body_with_a_trailing_checksum_is_decoded() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    std::fs::write(file.path(), &content).unwrap();
    let body = ByteStream::from_path(file.path()).await.unwrap();
    let put = stage.s3.put_object().bucket("archive").key("big").body(body);
    put.checksum_algorithm(ChecksumAlgorithm::Crc32).send().await.unwrap();
    let got = stage.s3.get_object().bucket("archive").key("big").send().await.unwrap();
    assert!(got.content_encoding.unwrap_or_default().is_empty());
    assert_eq!(got.body.collect().await.unwrap().to_vec(), content);
}

#[tokio::test]
async fn a_wrong_digest_is_refused_and_nothing_is_written() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    let put = |crc32: &'static str| {
        let put = stage.s3.put_object().bucket("archive").key("k").checksum_crc32(crc32);
        put.body(ByteStream::new(SdkBody::from("hello"))).send()
    };
    let error = put("AAAAAA==").await.unwrap_err();
    assert_eq!(error.code(), Some("BadDigest"));
    assert!(stage.sandbox.objects("archive").unwrap().is_empty());
    // The CRC-32 of "hello" is 3610a686.
    put("NhCmhg==").await.unwrap();
}

#[tokio::test]
async fn what_is_missing_is_said() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    let put = stage.s3.put_object().bucket("nowhere").key("k").body(ByteStream::from_static(b"x")).send().await;
    assert_eq!(put.unwrap_err().code(), Some("NoSuchBucket"));
    assert!(stage.sandbox.objects("nowhere").is_none(), "a put makes no bucket");
    let get = stage.s3.get_object().bucket("nowhere").key("k").send().await.unwrap_err();
    assert_eq!(get.code(), Some("NoSuchBucket"));
    let get = stage.s3.get_object().bucket("archive").key("k").send().await.unwrap_err();
    assert!(get.into_service_error().is_no_such_key());
    let head = stage.s3.head_bucket().bucket("nowhere").send().await.unwrap_err();
    assert!(head.into_service_error().is_not_found());
    stage.s3.head_bucket().bucket("archive").send().await.unwrap();
    let again = stage.s3.create_bucket().bucket("archive").send().await.unwrap_err();
    assert!(again.into_service_error().is_bucket_already_owned_by_you());
}

#[tokio::test]
async fn objects_are_listed_and_deleted_and_a_full_bucket_stays() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    for key in ["a/1", "a/2", "b/1"] {
        stage.s3.put_object().bucket("archive").key(key).body(ByteStream::from_static(b"x")).send().await.unwrap();
    }
    let list = stage.s3.list_objects_v2().bucket("archive").prefix("a/").send().await.unwrap();
    let keys: Vec<_> = list.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(keys, ["a/1", "a/2"]);
    let delete = stage.s3.delete_bucket().bucket("archive").send().await.unwrap_err();
    assert_eq!(delete.code(), Some("BucketNotEmpty"));
    for key in ["a/1", "a/2", "b/1"] {
        stage.s3.delete_object().bucket("archive").key(key).send().await.unwrap();
    }
    stage.s3.delete_bucket().bucket("archive").send().await.unwrap();
}

#[tokio::test]
async fn an_unchanged_object_is_not_sent_again() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    let put =
        stage.s3.put_object().bucket("archive").key("k").body(ByteStream::from_static(b"x")).send().await.unwrap();
    let etag = put.e_tag.unwrap();
    let get = stage
        .s3
        .get_object()
        .bucket("archive")
        .key("k")
        .if_none_match(etag)
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap_err();
    let answer = get.raw_response().unwrap();
    assert_eq!(answer.status().as_u16(), 304);
    assert!(answer.headers().iter().all(|(name, _)| !name.starts_with("x-amz-checksum")), "there is no body to check");
    stage.s3.get_object().bucket("archive").key("k").if_none_match("\"other\"").send().await.unwrap();
}

/// Keys that could not all be the paths of files beside each other.
const AWKWARD: [&str; 8] = ["a", "a/b", "a/b/c", "a//b", "../outside", "./a", "folder/", "a\\b"];

#[tokio::test]
async fn any_text_is_a_key() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    let long = "x".repeat(1_000);
    let mut keys = [&AWKWARD[..], &[long.as_str()]].concat();
    for key in &keys {
        let put = stage.s3.put_object().bucket("archive").key(*key).body(key.as_bytes().to_vec().into());
        put.send().await.unwrap_or_else(|error| panic!("{key}: {error:?}"));
    }
    for key in &keys {
        let got = stage.s3.get_object().bucket("archive").key(*key).send().await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().to_vec(), key.as_bytes(), "{key}");
    }
    let listed = stage.s3.list_objects_v2().bucket("archive").send().await.unwrap();
    keys.sort_unstable();
    assert_eq!(listed.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), keys);
}

#[tokio::test]
async fn a_directory_keeps_buckets_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("kept");
    let options = || Options { s3_root: Some(root.clone()), ..Options::default() };
    let stage = Stage::with(options()).await;
    assert!(stage.sandbox.welcome(None)[0].ends_with(root.to_str().unwrap()));
    stage.sandbox.create_bucket("archive").unwrap();
    stage.sandbox.create_bucket("empty").unwrap();
    for key in AWKWARD.iter().chain(&["2026/gone", "2026/11/one ä"]) {
        let put = stage.s3.put_object().bucket("archive").key(*key).metadata("run", "r-1").content_type("text/x");
        put.body(key.as_bytes().to_vec().into()).send().await.unwrap();
    }
    stage.s3.delete_object().bucket("archive").key("2026/gone").send().await.unwrap();
    let before = stage.sandbox.objects("archive").unwrap();
    stage.sandbox.stop().await;
    // It can be read as files, and nothing is outside.
    assert_eq!(std::fs::read_to_string(root.join("archive/2026/11/one ä")).unwrap(), "2026/11/one ä");
    assert!(!root.join("archive/2026/gone").exists());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    std::fs::write(root.join("archive/by-hand"), "x").unwrap();

    let stage = Stage::with(options()).await;
    let mut after = stage.sandbox.objects("archive").unwrap();
    assert_eq!(after.remove("by-hand").as_deref(), Some(&b"x"[..]));
    assert_eq!(after, before);
    assert!(stage.sandbox.objects("empty").unwrap().is_empty());
    for key in AWKWARD {
        let head = stage.s3.head_object().bucket("archive").key(key).send().await.unwrap();
        assert_eq!((head.metadata.unwrap()["run"].as_str(), head.content_type.unwrap().as_str()), ("r-1", "text/x"));
    }
    for key in AWKWARD.iter().chain(&["2026/11/one ä", "by-hand"]) {
        stage.s3.delete_object().bucket("archive").key(*key).send().await.unwrap();
    }
    stage.s3.delete_bucket().bucket("archive").send().await.unwrap();
    stage.sandbox.stop().await;
    let stage = Stage::with(options()).await;
    assert!(stage.sandbox.objects("archive").is_none() && stage.sandbox.objects("empty").is_some());
}

#[tokio::test]
async fn a_listing_tells_keys_apart_and_says_what_each_object_is() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    for key in ["x/a+b", "x/a b", "x/a%20b", "x/a&b"] {
        stage.s3.put_object().bucket("archive").key(key).body(ByteStream::from_static(b"x")).send().await.unwrap();
    }
    let list = || stage.s3.list_objects_v2().bucket("archive").prefix("x/");
    let plain = list().send().await.unwrap();
    let mut keys: Vec<_> = plain.contents().iter().filter_map(|object| object.key()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["x/a b", "x/a%20b", "x/a&b", "x/a+b"]);
    let encoded = list().encoding_type(EncodingType::Url).send().await.unwrap();
    let mut keys: Vec<_> = encoded.contents().iter().filter_map(|object| object.key()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["x/a%20b", "x/a%2520b", "x/a%26b", "x/a%2Bb"]);
    let head = stage.s3.head_object().bucket("archive").key("x/a+b").send().await.unwrap();
    for object in encoded.contents() {
        assert_eq!(object.e_tag(), head.e_tag());
        assert_eq!(object.storage_class(), Some(&ObjectStorageClass::Standard));
    }
}

#[tokio::test]
async fn another_version_is_not_deleted_and_settings_are_not_there() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    stage.s3.put_object().bucket("archive").key("k").body(ByteStream::from_static(b"x")).send().await.unwrap();
    let delete = |version: &str| stage.s3.delete_object().bucket("archive").key("k").version_id(version).send();
    assert_eq!(delete("other").await.unwrap_err().code(), Some("InvalidArgument"));
    let got = stage.s3.get_object().bucket("archive").key("k").version_id("other").send().await;
    assert_eq!(got.unwrap_err().code(), Some("NoSuchVersion"));
    stage.s3.head_object().bucket("archive").key("k").send().await.expect("it is still there");
    delete("null").await.unwrap();
    assert!(stage.s3.head_object().bucket("archive").key("k").send().await.is_err());
    let versioning = aws_sdk_s3::types::VersioningConfiguration::builder().build();
    let put = stage.s3.put_bucket_versioning().bucket("archive").versioning_configuration(versioning).send().await;
    assert_eq!(put.unwrap_err().code(), Some("NotImplemented"));
    let get = stage.s3.get_object_tagging().bucket("archive").key("k").send().await;
    assert_eq!(get.unwrap_err().code(), Some("NotImplemented"));
}
