//! The directory that buckets can be kept in: a folder a bucket, and in it each object as a file under its key. What a file cannot
//! hold (its type, its metadata) is beside it under `.objects`; and there is the object itself if its key can be no path: one
//! that has empty parts or dots alone, that is also the beginning of another, or that is too long.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::object::{Head, Object};
use crate::sqs::message::hex;

/// Beside the buckets, whose names never begin so.
const OBJECTS: &str = ".objects";

/// See the module.
pub(super) struct Disk {
    root: PathBuf,
}

/// What is kept beside an object.
#[derive(Serialize, Deserialize)]
struct Beside {
    bucket: String,
    key: String,
    head: Head,
}

/// What a directory holds: by bucket and key.
pub(super) type Contents = BTreeMap<String, BTreeMap<String, Object>>;

impl Disk {
    /// A directory, which is made if it is not there.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root.join(OBJECTS))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Everything that is there.
    pub(super) fn read(&self) -> io::Result<Contents> {
        let mut contents = Contents::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().filter(|name| !name.starts_with('.'));
            let Some(bucket) = name.filter(|_| entry.path().is_dir()) else { continue };
            let objects = contents.entry(bucket).or_default();
            read_files(&entry.path(), "", objects)?;
        }
        for entry in fs::read_dir(self.root.join(OBJECTS))? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let Beside { bucket, key, head } = serde_json::from_slice(&fs::read(&path)?)?;
            let Some(objects) = contents.get_mut(&bucket) else { continue };
            if let Some(object) = objects.get_mut(&key) {
                // A file that somebody has changed since is another object.
                if head.etag == object.head.etag || head.etag.contains('-') {
                    object.head = head;
                }
            } else if let Ok(body) = fs::read(path.with_extension("body")) {
                objects.insert(key, Object { body: body.into(), head });
            }
        }
        Ok(contents)
    }

    pub(super) fn create_bucket(&self, bucket: &str) -> io::Result<()> {
        fs::create_dir_all(self.root.join(bucket))
    }

    pub(super) fn delete_bucket(&self, bucket: &str) -> io::Result<()> {
        fs::remove_dir_all(self.root.join(bucket))
    }

    /// Keeps an object, in place of the one under its key.
    pub(super) fn put(&self, bucket: &str, key: &str, object: &Object) -> io::Result<()> {
        let beside = self.beside(bucket, key);
        let apart = beside.with_extension("body");
        if let Some(path) = self.path(bucket, key) {
            self.write(&path, &object.body)?;
            remove(&apart)?;
        } else {
            self.write(&apart, &object.body)?;
        }
        let text = Beside { bucket: bucket.to_owned(), key: key.to_owned(), head: object.head.clone() };
        self.write(&beside, &serde_json::to_vec(&text)?)
    }

    pub(super) fn delete(&self, bucket: &str, key: &str) -> io::Result<()> {
        let beside = self.beside(bucket, key);
        remove(&beside)?;
        remove(&beside.with_extension("body"))?;
        let Some(path) = self.path(bucket, key) else { return Ok(()) };
        remove(&path)?;
        // Folders are there for their files only.
        let bucket = self.root.join(bucket);
        for folder in path.ancestors().skip(1).take_while(|folder| *folder != bucket) {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// The file for a key, if it can be one.
    fn path(&self, bucket: &str, key: &str) -> Option<PathBuf> {
        let is_plain =
            |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255 && !part.contains(['\\', '\0', ':']);
        let bucket = self.root.join(bucket);
        let path = bucket.join(key);
        let is_path = key.split('/').all(is_plain)
            && !path.is_dir()
            && !path.ancestors().skip(1).take_while(|folder| *folder != bucket).any(Path::is_file);
        is_path.then_some(path)
    }

    fn beside(&self, bucket: &str, key: &str) -> PathBuf {
        let name = hex(&Sha256::digest(format!("{bucket}/{key}")));
        self.root.join(OBJECTS).join(name).with_extension("json")
    }

    /// Writes a file whole or not at all.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = tempfile::NamedTempFile::new_in(self.root.join(OBJECTS))?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// Removes a file, which need not be there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound && error.kind() != io::ErrorKind::NotADirectory => {
            Err(error)
        }
        _ => Ok(()),
    }
}

fn read_files(folder: &Path, prefix: &str, objects: &mut BTreeMap<String, Object>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (path, key) = (entry.path(), format!("{prefix}{name}"));
        if path.is_dir() {
            read_files(&path, &format!("{key}/"), objects)?;
            continue;
        }
        let body = fs::read(&path)?;
        let modified = entry.metadata()?.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let head = Head {
            etag: hex(&Md5::digest(&body)),
            modified: modified.as_millis().try_into().unwrap_or_default(),
            ..Head::default()
        };
        objects.insert(key, Object { body: body.into(), head });
    }
    Ok(())
}
