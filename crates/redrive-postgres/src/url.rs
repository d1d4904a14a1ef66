//! Where the server is and who asks, from a URL and, for what that does not say, from the environment and the password file that
//! every `PostgreSQL` client knows.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::{Error, Result};

/// How to connect, from a URL `postgres://user@host:5432/database`. A password is better in `PGPASSWORD` or in the password file
/// (`PGPASSFILE`, `~/.pgpass`) than there.
pub fn config(url: &str) -> Result<Config> {
    let (url, schema) = schema(url)?;
    let mut config: Config = url.parse()?;
    if let Some(schema) = schema {
        let others = config.get_options().unwrap_or_default().to_owned();
        config.options(format!("{others} -csearch_path={schema}").trim_start());
    }
    let is_encrypted_by = url.split_once('?').is_some_and(|(_, options)| options.contains("sslmode="));
    if config.get_user().is_none() {
        config.user(env::var("PGUSER").or_else(|_| env::var("USER")).map_err(|_| Error::new("it names no user"))?);
    }
    if config.get_dbname().is_none() {
        let user = config.get_user().unwrap_or_default().to_owned();
        config.dbname(env::var("PGDATABASE").unwrap_or(user));
    }
    if config.get_hosts().is_empty() {
        return Err(Error::new("it names no host"));
    }
    let is_near = |host: &Host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
        Host::Unix(_) => true,
    };
    let is_plain = config.get_ssl_mode() == SslMode::Disable;
    if !is_plain && is_encrypted_by {
        return Err(Error::new(
            "sslmode: this redrive cannot encrypt the connection yet; sslmode=disable accepts that, on a \
                               network that you trust or through a tunnel",
        ));
    }
    if !is_plain && !config.get_hosts().iter().all(is_near) {
        return Err(Error::new(
            "the connection would not be encrypted: use a server on this machine or a tunnel to it, or say \
                               sslmode=disable if you trust the network",
        ));
    }
    config.ssl_mode(SslMode::Disable);
    if config.get_password().is_none()
        && let Some(password) = env::var("PGPASSWORD").ok().or_else(|| from_file(&config))
    {
        config.password(password);
    }
    config.application_name("redrive").connect_timeout(Duration::from_secs(10));
    // A server that is cut off is noticed while it is still known what it was asked.
    config.keepalives_idle(Duration::from_secs(15)).tcp_user_timeout(Duration::from_secs(30));
    Ok(config)
}

/// The URL without the schema that it names, and that: other clients do not know it.
fn schema(url: &str) -> Result<(String, Option<&str>)> {
    let Some((place, options)) = url.split_once('?') else { return Ok((url.to_owned(), None)) };
    let (named, others): (Vec<&str>, Vec<&str>) = options.split('&').partition(|option| option.starts_with("schema="));
    let schema = named.first().and_then(|option| option.strip_prefix("schema="));
    // As it can stand in SQL without quotes.
    let is_plain = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    if named.len() > 1 || schema.is_some_and(|name| !is_plain(name)) {
        return Err(Error::new("schema: one name of small letters, digits and underscores is taken"));
    }
    Ok((format!("{place}?{}", others.join("&")), schema))
}

/// The password in the password file. One that others can read is not used, as by every client.
fn from_file(config: &Config) -> Option<String> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".pgpass"));
    let path = env::var_os("PGPASSFILE").map(PathBuf::from).or_else(home)?;
    if fs::metadata(&path).ok()?.mode() & 0o077 != 0 {
        return None;
    }
    let host = match config.get_hosts().first()? {
        Host::Tcp(name) => name.clone(),
        Host::Unix(_) => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
    let asked = [&host, &port, config.get_dbname()?, config.get_user()?];
    password(&fs::read_to_string(path).ok()?, asked)
}

/// The password of the first line that is about this host, port, database and user.
fn password(file: &str, asked: [&str; 4]) -> Option<String> {
    file.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let is_about = |(field, asked): (&String, &str)| field == "*" || field == asked;
        (fields.len() == 5 && fields.iter().zip(asked).all(is_about)).then(|| fields[4].clone())
    })
}

/// The fields of a line, between colons; a backslash takes what follows as it is.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field) = (Vec::new(), String::new());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ':' if fields.len() < 4 => fields.push(std::mem::take(&mut field)),
            '\\' => field.extend(characters.next()),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_of_the_first_line_that_fits() {
        let file = "# host:port:database:user:password\nh:5432:db:other:no\nh:*:db:me:se\\:cr\\\\et:more\n*:*:*:*:last";
        assert_eq!(password(file, ["h", "5432", "db", "me"]).as_deref(), Some("se:cr\\et:more"));
        assert_eq!(password(file, ["h", "5433", "x", "me"]).as_deref(), Some("last"));
        assert_eq!(password("h:1:d:u", ["h", "1", "d", "u"]), None);
    }

    #[test]
    fn the_schema_that_a_url_names_is_where_tables_are_looked_for() {
        let options = |url: &str| config(url).map(|config| config.get_options().map(str::to_owned));
        let url = "postgres://me@localhost/db?schema=team_1&sslmode=disable";
        assert_eq!(options(url).expect("taken").as_deref(), Some("-csearch_path=team_1"));
        assert_eq!(options("postgres://me@localhost/db?sslmode=disable").expect("taken"), None);
        for refused in ["schema=", "schema=a;b", "schema=A", "schema=1a", "schema=a&schema=b"] {
            options(&format!("postgres://me@localhost/db?{refused}")).expect_err(refused);
        }
    }

    #[test]
    fn what_would_not_be_encrypted_beyond_this_machine_has_to_be_said() {
        for near in ["postgres://me@127.0.0.1/db", "postgres://me@localhost:6000/db", "postgres://me@%2Frun%2Fpg/db"] {
            assert_eq!(config(near).expect(near).get_ssl_mode(), SslMode::Disable);
        }
        config("postgres://me@db.example/db?sslmode=disable").expect("accepted");
        for refused in
            ["postgres://me@db.example/db", "postgres://me@127.0.0.1/db?sslmode=require", "postgres://me@/db"]
        {
            config(refused).expect_err(refused);
        }
    }
}
