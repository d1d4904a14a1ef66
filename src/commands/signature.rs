//! Signatures with SSH keys, which teams have: `ssh-keygen -Y` makes them and verifies them. It asks for a passphrase itself, on
//! the terminal, and talks to the agent; no key passes through here.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::error::{Error, Result};

/// What the signatures are for: one made for something else does not count.
const NAMESPACE: &str = "redrive-plan";

/// The signature of these bytes by the key in this file (or the agent's key to this public one).
pub(super) fn sign(key: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    let output =
        ssh_keygen(&["sign".as_ref(), "-n".as_ref(), NAMESPACE.as_ref(), "-f".as_ref(), key.as_os_str()], bytes)?;
    if !output.status.success() || output.stdout.is_empty() {
        return Err(Error::failed(format!("ssh-keygen could not sign with {}: {}", key.display(), said(&output)))
            .hint("no approval was written"));
    }
    Ok(output.stdout)
}

/// Verifies that a signature is by a key that the file of allowed signers gives to this name; gives its fingerprint, or why not.
pub(super) fn verify(allowed: &Path, by: &str, bytes: &[u8], signature: &Path) -> Result<Result<String, String>> {
    let arguments = [
        "verify".as_ref(),
        "-n".as_ref(),
        NAMESPACE.as_ref(),
        "-f".as_ref(),
        allowed.as_os_str(),
        "-I".as_ref(),
        OsStr::new(by),
        "-s".as_ref(),
        signature.as_os_str(),
    ];
    let output = ssh_keygen(&arguments, bytes)?;
    if !output.status.success() {
        return Ok(Err(why_not(allowed, by, bytes, signature)?.unwrap_or_else(|| said(&output))));
    }
    // `Good "redrive-plan" signature for NAME with ED25519 key SHA256:…`: the name may hold anything, the end does not.
    Ok(fingerprint(&output).ok_or_else(|| said(&output)))
}

/// The fingerprint that ends `Good "redrive-plan" signature … with ED25519 key SHA256:…`.
fn fingerprint(output: &Output) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.trim_end().rsplit(' ').next().filter(|last| last.starts_with("SHA256:")).map(str::to_owned)
}

/// Why a signature does not hold, where that can be told: it is of something else, its key is another name's, or nobody's.
fn why_not(allowed: &Path, by: &str, bytes: &[u8], signature: &Path) -> Result<Option<String>> {
    let (namespace, file) = (NAMESPACE.as_ref(), signature.as_os_str());
    let made = ssh_keygen(&["check-novalidate".as_ref(), "-n".as_ref(), namespace, "-s".as_ref(), file], bytes)?;
    let Some(key) = fingerprint(&made).filter(|_| made.status.success()) else {
        return Ok(Some("it is not a signature of this very approval".to_owned()));
    };
    let owners =
        ssh_keygen(&["find-principals".as_ref(), "-f".as_ref(), allowed.as_os_str(), "-s".as_ref(), file], bytes)?;
    let names = String::from_utf8_lossy(&owners.stdout).lines().map(str::to_owned).collect::<Vec<_>>().join(", ");
    let allowed = allowed.display();
    Ok(match (owners.status.success(), names.is_empty()) {
        (true, true) => None,
        (true, false) if names.split(", ").any(|name| name == by) => None,
        (true, false) => Some(format!("its key {key} is {names}'s in {allowed}, not {by}'s")),
        (false, _) => Some(format!("its key {key} is nobody's in {allowed}")),
    })
}

fn ssh_keygen(arguments: &[&OsStr], input: &[u8]) -> Result<Output> {
    let failed = |error: std::io::Error| {
        Error::failed(format!("ssh-keygen cannot be run: {error}"))
            .hint("nothing was touched; signatures need OpenSSH 8.1 or later")
    };
    let mut child = Command::new("ssh-keygen")
        .arg("-Y")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may end without reading, when something else is wrong: what it says then matters more.
        let _ = stdin.write_all(input);
    }
    child.wait_with_output().map_err(failed)
}

/// Its words, the last line of them.
fn said(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stderr.lines().chain(stdout.lines()).map(str::trim).rfind(|line| !line.is_empty());
    last.unwrap_or("it says nothing").to_owned()
}
