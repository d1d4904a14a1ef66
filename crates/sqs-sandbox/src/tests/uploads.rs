//! Objects in parts, copies, parts of objects, and listings in pages.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, MetadataDirective, ObjectIdentifier};

use super::Stage;

const PART: usize = 5 * 1024 * 1024;

impl Stage {
    async fn begin(&self, key: &str) -> String {
        let begun = self.s3.create_multipart_upload().bucket("archive").key(key).content_type("text/x");
        begun.send().await.unwrap().upload_id.unwrap()
    }

    async fn part(&self, key: &str, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
        let upload = self.s3.upload_part().bucket("archive").key(key).upload_id(id).part_number(number);
        let etag = upload.body(body.into()).send().await.unwrap().e_tag;
        CompletedPart::builder().part_number(number).set_e_tag(etag).build()
    }

    /// Completes an upload with these parts; answers the error's code, or the object's entity tag.
    async fn complete(&self, key: &str, id: &str, parts: &[CompletedPart]) -> Result<String, String> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build();
        let complete = self.s3.complete_multipart_upload().bucket("archive").key(key).upload_id(id);
        match complete.multipart_upload(parts).send().await {
            Ok(done) => Ok(done.e_tag.unwrap()),
            Err(error) => Err(error.code().unwrap_or_default().to_owned()),
        }
    }

    async fn put(&self, key: &str, body: &'static str) {
        let put = self.s3.put_object().bucket("archive").key(key).metadata("run", "r-1").content_type("text/x");
        put.body(ByteStream::from_static(body.as_bytes())).send().await.unwrap();
    }
}

#[tokio::test]
async fn an_upload_is_completed_with_the_parts_that_are_there_and_no_others() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    let id = stage.begin("k").await;
    let first = stage.part("k", &id, 1, vec![1; PART]).await;
    let second = stage.part("k", &id, 2, vec![2; 10]).await;
    let third = stage.part("k", &id, 3, vec![3; 10]).await;
    let other = CompletedPart::builder().part_number(2).e_tag("\"0123456789abcdef0123456789abcdef\"").build();
    let missing = CompletedPart::builder().part_number(4).set_e_tag(second.e_tag.clone()).build();
    let untagged = CompletedPart::builder().part_number(2).build();
    for (parts, code) in [
        (vec![second.clone(), first.clone()], "InvalidPartOrder"),
        (vec![first.clone(), first.clone()], "InvalidPartOrder"),
        (vec![first.clone(), other], "InvalidPart"),
        (vec![first.clone(), missing], "InvalidPart"),
        (vec![first.clone(), untagged], "InvalidPart"),
        (vec![first.clone(), second.clone(), third.clone()], "EntityTooSmall"),
        (vec![], "MalformedXML"),
    ] {
        assert_eq!(stage.complete("k", &id, &parts).await, Err(code.to_owned()));
    }
    assert_eq!(stage.complete("other", &id, std::slice::from_ref(&first)).await, Err("NoSuchUpload".to_owned()));
    assert!(stage.sandbox.objects("archive").unwrap().is_empty(), "nothing was made of it");
    let etag = stage.complete("k", &id, &[first.clone(), third]).await.unwrap();
    assert!(etag.ends_with("-2\""), "{etag}");
    let head = stage.s3.head_object().bucket("archive").key("k").send().await.unwrap();
    assert_eq!((head.e_tag.as_deref(), head.content_type.as_deref()), (Some(etag.as_str()), Some("text/x")));
    assert_eq!(stage.sandbox.objects("archive").unwrap()["k"], [vec![1; PART], vec![3; 10]].concat());
    assert_eq!(stage.complete("k", &id, &[first]).await, Err("NoSuchUpload".to_owned()), "once only");
}

#[tokio::test]
async fn an_upload_is_listed_until_it_ends() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    let id = stage.begin("k").await;
    for number in [1, 2, 3] {
        stage.part("k", &id, number, vec![0; 7]).await;
    }
    let parts = stage.s3.list_parts().bucket("archive").key("k").upload_id(&id);
    let page = parts.clone().max_parts(2).send().await.unwrap();
    assert_eq!((page.parts().len(), page.is_truncated, page.parts()[1].size), (2, Some(true), Some(7)));
    let rest = parts.set_part_number_marker(page.next_part_number_marker).send().await.unwrap();
    assert_eq!(rest.parts().iter().filter_map(|part| part.part_number).collect::<Vec<_>>(), [3]);
    let uploads = || async { stage.s3.list_multipart_uploads().bucket("archive").send().await.unwrap() };
    assert_eq!(uploads().await.uploads()[0].upload_id.as_deref(), Some(id.as_str()));
    stage.s3.abort_multipart_upload().bucket("archive").key("k").upload_id(&id).send().await.unwrap();
    assert!(uploads().await.uploads().is_empty());
    let again = stage.s3.abort_multipart_upload().bucket("archive").key("k").upload_id(&id).send().await;
    assert_eq!(again.unwrap_err().code(), Some("NoSuchUpload"));
}

#[tokio::test]
async fn a_listing_comes_in_pages_with_common_prefixes() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    for key in ["a/1", "a/2", "b", "c/3", "c/4", "d"] {
        stage.put(key, "x").await;
    }
    let expected = ["a/", "b", "c/", "d"];
    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let list = stage.s3.list_objects_v2().bucket("archive").delimiter("/").max_keys(1);
        let page = list.set_continuation_token(token).send().await.unwrap();
        assert_eq!(page.key_count, Some(1));
        found.extend(page.common_prefixes().iter().filter_map(|one| one.prefix().map(str::to_owned)));
        found.extend(page.contents().iter().filter_map(|one| one.key().map(str::to_owned)));
        token = page.next_continuation_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(found, expected);
    let (mut found, mut marker) = (Vec::new(), None);
    loop {
        let list = stage.s3.list_objects().bucket("archive").delimiter("/").max_keys(3);
        let page = list.set_marker(marker).send().await.unwrap();
        found.extend(page.common_prefixes().iter().filter_map(|one| one.prefix().map(str::to_owned)));
        found.extend(page.contents().iter().filter_map(|one| one.key().map(str::to_owned)));
        marker = page.next_marker;
        if marker.is_none() {
            break;
        }
    }
    found.sort_unstable();
    assert_eq!(found, expected);
    let after = stage.s3.list_objects_v2().bucket("archive").start_after("c/3").send().await.unwrap();
    assert_eq!(after.contents().iter().filter_map(|one| one.key()).collect::<Vec<_>>(), ["c/4", "d"]);
    let bad = stage.s3.list_objects_v2().bucket("archive").continuation_token("?").send().await;
    assert_eq!(bad.unwrap_err().code(), Some("InvalidArgument"));
}

#[tokio::test]
async fn a_copy_takes_the_metadata_along_or_has_its_own() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    stage.put("k", "hello").await;
    let copy = |to: &str| stage.s3.copy_object().bucket("archive").key(to).copy_source("archive/k");
    copy("same").send().await.unwrap();
    let head = stage.s3.head_object().bucket("archive").key("same").send().await.unwrap();
    assert_eq!((head.metadata.unwrap()["run"].as_str(), head.content_type.as_deref()), ("r-1", Some("text/x")));
    copy("other").metadata_directive(MetadataDirective::Replace).metadata("run", "r-2").send().await.unwrap();
    let head = stage.s3.head_object().bucket("archive").key("other").send().await.unwrap();
    assert_eq!(head.metadata.unwrap()["run"].as_str(), "r-2");
    assert_eq!(copy("k").send().await.unwrap_err().code(), Some("InvalidRequest"));
    let unmet = copy("third").copy_source_if_match("\"0\"").send().await;
    assert_eq!(unmet.unwrap_err().code(), Some("PreconditionFailed"));
    let missing = stage.s3.copy_object().bucket("archive").key("x").copy_source("archive/nothing").send().await;
    assert_eq!(missing.unwrap_err().code(), Some("NoSuchKey"));
}

#[tokio::test]
async fn ranges_and_conditions() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    stage.put("k", "hello").await;
    let get = || stage.s3.get_object().bucket("archive").key("k");
    for (range, content, announced) in [
        ("bytes=1-3", "ell", "bytes 1-3/5"),
        ("bytes=3-", "lo", "bytes 3-4/5"),
        ("bytes=-2", "lo", "bytes 3-4/5"),
        ("bytes=1-99", "ello", "bytes 1-4/5"),
    ] {
        let got = get().range(range).send().await.unwrap();
        assert_eq!(got.content_range.as_deref(), Some(announced));
        assert_eq!(got.body.collect().await.unwrap().to_vec(), content.as_bytes());
    }
    assert_eq!(get().range("bytes=5-9").send().await.unwrap_err().code(), Some("InvalidRange"));
    assert_eq!(get().if_match("\"0\"").send().await.unwrap_err().code(), Some("PreconditionFailed"));
    let put = |etag: &str| stage.s3.put_object().bucket("archive").key("k").if_match(etag).body(Vec::new().into());
    assert_eq!(put("\"0\"").send().await.unwrap_err().code(), Some("PreconditionFailed"));
    let etag = get().send().await.unwrap().e_tag.unwrap();
    put(&etag).send().await.unwrap();
    assert_eq!(put(&etag).send().await.unwrap_err().code(), Some("PreconditionFailed"), "it is another now");
}

#[tokio::test]
async fn of_many_deletes_those_of_other_versions_fail() {
    let stage = Stage::new().await;
    stage.sandbox.create_bucket("archive").unwrap();
    for key in ["a", "b"] {
        stage.put(key, "x").await;
    }
    let named = |key: &str, version: Option<&str>| {
        ObjectIdentifier::builder().key(key).set_version_id(version.map(str::to_owned)).build().unwrap()
    };
    let objects = vec![named("a", None), named("b", Some("other")), named("never", None)];
    let delete = Delete::builder().set_objects(Some(objects)).build().unwrap();
    let done = stage.s3.delete_objects().bucket("archive").delete(delete).send().await.unwrap();
    assert_eq!(done.deleted().iter().filter_map(|one| one.key()).collect::<Vec<_>>(), ["a", "never"]);
    assert_eq!(done.errors()[0].code(), Some("NoSuchVersion"));
    assert_eq!(stage.sandbox.objects("archive").unwrap().into_keys().collect::<Vec<_>>(), ["b"]);
}
