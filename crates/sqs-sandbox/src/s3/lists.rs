//! S3's listings of a bucket.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use s3s::dto::{
    CommonPrefix, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    Object as ObjectDto,
};
use s3s::{S3Result, s3_error};

use super::listing::{self, Ask, Entry, most, written};
use super::object::{signed, strong, timestamp};
use super::objects::{Objects, bucket};

#[derive(Default)]
struct Page {
    objects: Vec<ObjectDto>,
    prefixes: Vec<CommonPrefix>,
    has_more: bool,
    last: Option<String>,
}

impl Page {
    fn len(&self) -> i32 {
        i32::try_from(self.objects.len() + self.prefixes.len()).unwrap_or(i32::MAX)
    }
}

impl Objects {
    /// A page of a bucket: objects and common prefixes, as they are written, whether there are more, and the name of the last.
    fn page(&self, name: &str, ask: Ask<'_>, encoding: Option<&EncodingType>) -> S3Result<Page> {
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, name)?;
        let from = ask.prefix.max(ask.after).to_owned();
        let (entries, has_more) = listing::page(bucket.objects.range(from..).map(|(key, _)| key.as_str()), ask);
        let mut page = Page { last: entries.last().map(|entry| entry.name().to_owned()), has_more, ..Page::default() };
        for entry in entries {
            match entry {
                Entry::Prefix(name) => page.prefixes.push(CommonPrefix { prefix: Some(written(encoding, name)) }),
                Entry::Key(key) => {
                    let object = bucket.object(key)?;
                    let class = object.head.about.storage_class.clone();
                    page.objects.push(ObjectDto {
                        e_tag: Some(strong(&object.head.etag)),
                        key: Some(written(encoding, key)),
                        last_modified: Some(timestamp(object.head.modified)),
                        size: Some(signed(object.body.len())),
                        storage_class: Some(class.unwrap_or_else(|| "STANDARD".to_owned()).into()),
                        ..ObjectDto::default()
                    });
                }
            }
        }
        Ok(page)
    }

    pub(super) fn list_objects(&self, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (prefix, delimiter, marker) = (text(&input.prefix), text(&input.delimiter), text(&input.marker));
        let ask = Ask { prefix: &prefix, delimiter: &delimiter, after: &marker, most: most(input.max_keys) };
        let encoding = input.encoding_type.as_ref();
        let page = self.page(&input.bucket, ask, encoding)?;
        let written = |name: String| written(encoding, &name);
        Ok(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(written(prefix)),
            // Without a delimiter the last key is the marker.
            next_marker: page.last.filter(|_| page.has_more && !delimiter.is_empty()).map(written),
            marker: Some(written(marker)),
            max_keys: Some(input.max_keys.unwrap_or(1_000)),
            is_truncated: Some(page.has_more),
            contents: Some(page.objects),
            common_prefixes: Some(page.prefixes),
            delimiter: input.delimiter.map(written),
            encoding_type: input.encoding_type.clone(),
            ..ListObjectsOutput::default()
        })
    }

    pub(super) fn list_objects_v2(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (prefix, delimiter) = (text(&input.prefix), text(&input.delimiter));
        let after = match &input.continuation_token {
            // Where to go on is in the token, and nobody else is to read it.
            Some(token) => from_token(token)
                .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))?,
            None => text(&input.start_after),
        };
        let ask = Ask { prefix: &prefix, delimiter: &delimiter, after: &after, most: most(input.max_keys) };
        let encoding = input.encoding_type.as_ref();
        let page = self.page(&input.bucket, ask, encoding)?;
        let written = |name: String| written(encoding, &name);
        Ok(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(written(prefix)),
            max_keys: Some(input.max_keys.unwrap_or(1_000)),
            key_count: Some(page.len()),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.has_more),
            next_continuation_token: page.last.filter(|_| page.has_more).map(|last| token(&last)),
            contents: Some(page.objects),
            common_prefixes: Some(page.prefixes),
            delimiter: input.delimiter.map(written),
            start_after: input.start_after.map(written),
            encoding_type: input.encoding_type.clone(),
            ..ListObjectsV2Output::default()
        })
    }
}

/// Where a listing goes on. Clients are not to read it.
fn token(last: &str) -> String {
    STANDARD.encode(last)
}

fn from_token(token: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(token).ok()?).ok()
}
