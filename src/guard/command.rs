//! Asks a program whether the run may go on. It is run without a shell, with nothing on its stdin, and ended if it takes too long.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// Bytes of its stderr that are read.
const MOST_WORDS: u64 = 300;

/// What the program is told.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// `REDRIVE_RUN`: the run's identity.
    pub run: &'a str,
    /// `REDRIVE_MOVED`: messages that have left the source.
    pub moved: u64,
    /// `REDRIVE_BOUNCED`: messages that came back.
    pub bounced: u64,
}

/// What it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Go,
    /// Pause, with the first line of its stderr.
    Pause(String),
    /// Halt, with the first line of its stderr.
    Halt(String),
    /// Nothing, and why.
    Nothing(String),
}

/// Why the program could not be run here, if it could not: it is not looked for as a shell would, but as the system does.
pub fn missing(words: &[String]) -> Option<String> {
    let program = words.first()?;
    let is_program =
        |path: &Path| path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    if program.contains('/') {
        let found = is_program(Path::new(program));
        return (!found).then(|| format!("{program} is not a program that can be run"));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| is_program(&directory.join(program)));
    (!found).then(|| format!("no {program} is in the PATH"))
}

/// Runs the program and takes its answer.
pub async fn ask(words: &[String], most: Duration, asked: Asked<'_>) -> Answer {
    let Some((program, arguments)) = words.split_first() else { return Answer::Go };
    let child = Command::new(program)
        .args(arguments)
        .env("REDRIVE_RUN", asked.run)
        .env("REDRIVE_MOVED", asked.moved.to_string())
        .env("REDRIVE_BOUNCED", asked.bounced.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Answer::Nothing(format!("it cannot be started: {error}")),
    };
    let stderr = child.stderr.take();
    let answered = async {
        let mut said = Vec::new();
        if let Some(mut stderr) = stderr {
            // What it says beyond that is read and thrown away, so that it is not held up.
            let read = (&mut stderr).take(MOST_WORDS).read_to_end(&mut said).await;
            if read.is_ok() {
                let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            }
        }
        child.wait().await.map(|status| (status, first_line(&said)))
    };
    match timeout(most, answered).await {
        Err(_) => Answer::Nothing(format!("it takes longer than {} s", most.as_secs())),
        Ok(Err(error)) => Answer::Nothing(format!("its end cannot be waited for: {error}")),
        Ok(Ok((status, said))) => match status.code() {
            Some(0) => Answer::Go,
            Some(1) => Answer::Pause(said),
            Some(2) => Answer::Halt(said),
            Some(code) => Answer::Nothing(format!("it exited with {code}{}", behind(&said))),
            None => Answer::Nothing(format!("it was ended by a signal{}", behind(&said))),
        },
    }
}

fn first_line(said: &[u8]) -> String {
    String::from_utf8_lossy(said).lines().next().unwrap_or_default().trim().to_owned()
}

fn behind(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(script: &str) -> Answer {
        let words = ["/bin/sh", "-c", script].map(str::to_owned);
        ask(&words, Duration::from_secs(30), Asked { run: "r", moved: 7, bounced: 3 }).await
    }

    #[tokio::test]
    async fn its_exit_code_is_the_answer_and_its_first_words_the_reason() {
        assert_eq!(answer("exit 0").await, Answer::Go);
        assert_eq!(answer("echo busy >&2; echo more >&2; exit 1").await, Answer::Pause("busy".to_owned()));
        let told = "echo $REDRIVE_RUN $REDRIVE_MOVED $REDRIVE_BOUNCED >&2; exit 2";
        assert_eq!(answer(told).await, Answer::Halt("r 7 3".to_owned()));
        let much = "i=0; while [ $i -lt 5000 ]; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx >&2; i=$((i+1)); done; exit 2";
        assert_eq!(answer(much).await, Answer::Halt("x".repeat(32)), "it is not held up by what nobody reads");
    }

    #[test]
    fn a_program_that_cannot_be_run_is_known_without_running_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let text = directory.path().join("text");
        std::fs::write(&text, "#!/bin/sh\n").expect("written");
        std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        let missing = |program: &str| missing(&[program.to_owned()]);
        assert_eq!((missing("/bin/sh"), missing("sh")), (None, None));
        assert!(missing(&text.display().to_string()).is_some_and(|why| why.contains("not a program that can be run")));
        assert!(missing("/nowhere/healthy").is_some() && missing("no-such-program-anywhere").is_some());
    }

    #[tokio::test]
    async fn no_answer_is_none_of_the_three() {
        for (script, why) in [("exit 3", "exited with 3"), ("kill -9 $$", "signal")] {
            assert!(matches!(answer(script).await, Answer::Nothing(said) if said.contains(why)), "{script}");
        }
        let asked = Asked { run: "r", moved: 0, bounced: 0 };
        let missing = ask(&["/nowhere/healthy".to_owned()], Duration::from_secs(30), asked).await;
        assert!(matches!(missing, Answer::Nothing(why) if why.contains("cannot be started")));
        let slow = ask(&["/bin/sleep".to_owned(), "600".to_owned()], Duration::from_millis(50), asked).await;
        assert!(matches!(slow, Answer::Nothing(why) if why.contains("longer than")));
    }
}
