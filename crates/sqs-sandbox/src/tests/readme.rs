//! What the README tells people to type, typed. Its Rust is a documentation test.

use tokio::process::Command;

use super::{Stage, bodies};

const README: &str = include_str!("../../README.md");

#[tokio::test]
async fn the_commands_of_the_readme_work() {
    let stage = Stage::new().await;
    let url = stage.queue("orders", &[]).await;
    stage.send(&url, "x").await;
    let script = README.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-euc", script]).env("AWS_ENDPOINT_URL", stage.sandbox.endpoint_url()).env("NO_PROXY", "127.0.0.1");
    let output = shell.output().await.unwrap();
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");
    for words in ["\"action\":\"SendMessage\"", "\"body\"", "\"now_ms\""] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(stage.sandbox.faults().list().len(), 1);
    assert_eq!(bodies(&stage.receive(&url).await), ["x"]);
}
