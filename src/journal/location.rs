//! Where a journal is: a file on this machine, or a `PostgreSQL` server that others reach as well.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file.
    File(PathBuf),
    /// The URL of a database.
    Server(String),
}

impl Location {
    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server(_) => None,
        }
    }
}

impl From<String> for Location {
    fn from(text: String) -> Self {
        let is_server = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        if is_server { Self::Server(text) } else { Self::File(text.into()) }
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

/// Without a password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = match self {
            Self::File(path) => return path.display().fmt(f),
            Self::Server(url) => url,
        };
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let Some((user, host)) = authority.rsplit_once('@') else { return f.write_str(url) };
        write!(f, "{scheme}://{}@{host}{rest}", user.split(':').next().unwrap_or(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_server_and_shown_without_its_password() {
        for (given, shown) in [
            ("postgres://me:secret@host:5432/db?sslmode=require", "postgres://me@host:5432/db?sslmode=require"),
            ("postgresql://me:se@cret@host/db", "postgresql://me@host/db"),
            ("postgres:///db?host=/run", "postgres:///db?host=/run"),
        ] {
            let location = Location::from(given.to_owned());
            assert_eq!((location.file(), location.to_string()), (None, shown.to_owned()));
        }
        let file = Location::from("postgres/journal.db".to_owned());
        assert_eq!(file.file(), Some(Path::new("postgres/journal.db")));
    }
}
