//! Settings from the AWS default chain. A test cannot change its own environment while others run, so each case runs in a
//! process of its own: this test binary again, with one ignored test and the case's environment.

use std::fs;
use std::process::Command;

use redrive::aws::{Access, Aws};

use crate::support::admin::Admin;
use crate::support::judges::Judge;

const REFERENCE: &str = "TEST_QUEUE";
const ROLE: &str = "TEST_ROLE";
const PROFILE: &str = "TEST_PROFILE";

/// Not a test by itself: the other process. Prints what it found, or the error and its hint.
#[tokio::test]
#[ignore = "started by the tests of this module, with an environment"]
#[expect(clippy::print_stdout, reason = "its output is its result")]
async fn child() {
    let reference = std::env::var(REFERENCE).unwrap();
    let (role_arn, profile) = (std::env::var(ROLE).ok(), std::env::var(PROFILE).ok());
    let access = Access { role_arn, profile, ..Access::default() };
    let aws = Aws::new();
    let found = async {
        let queue = aws.queue(&reference, &access).await?;
        Ok::<_, redrive::error::Error>(queue.attributes().await?.arn)
    };
    match found.await {
        Ok(arn) => println!("FOUND {arn}"),
        Err(error) => println!("ERROR {} HINT {}", error.message(), error.hint_text().unwrap_or_default()),
    }
}

struct Case<'a> {
    reference: &'a str,
    environment: &'a [(&'a str, &'a str)],
    /// The shared configuration file.
    config: &'a str,
}

impl Case<'_> {
    fn run(&self) -> String {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("config");
        fs::write(&config, self.config).unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "environment::child", "--ignored", "--nocapture"])
            .env_clear()
            .env("HOME", home.path())
            .env("AWS_CONFIG_FILE", &config)
            .env("AWS_SHARED_CREDENTIALS_FILE", home.path().join("none"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env(REFERENCE, self.reference)
            .envs(self.environment.iter().copied())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let start = text.find("FOUND ").or_else(|| text.find("ERROR ")).unwrap_or_else(|| panic!("{text}"));
        text[start..].lines().next().unwrap_or_default().to_owned()
    }
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];

#[tokio::test]
async fn endpoints_come_from_the_environment_and_the_profile() {
    let Some(endpoint) = Judge::Ministack.endpoint() else { return };
    let url = Admin::at(endpoint).queue("environment", &[]).await;
    let dead = "http://127.0.0.1:9";
    let of_profile = format!(
        "[profile p]\nregion = us-east-1\naws_access_key_id = test\naws_secret_access_key = test\nservices = s\n\
         [services s]\nsqs =\n  endpoint_url = {endpoint}\n"
    );
    let in_profile = format!("[default]\nregion = us-east-1\nendpoint_url = {endpoint}\n");
    let keys = |more: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        KEYS.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    for (what, reference, environment, config) in [
        ("for all services", "environment", keys(&[("AWS_ENDPOINT_URL", endpoint)]), ""),
        (
            "for SQS, which wins",
            "environment",
            keys(&[("AWS_ENDPOINT_URL", dead), ("AWS_ENDPOINT_URL_SQS", endpoint)]),
            "",
        ),
        ("of the profile", "environment", keys(&[]), in_profile.as_str()),
        ("of the profile's services", "environment", vec![("AWS_PROFILE", "p".to_owned())], of_profile.as_str()),
        ("of the queue's own URL", url.as_str(), keys(&[]), ""),
    ] {
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let found = Case { reference, environment: &environment, config }.run();
        assert_eq!(found, "FOUND arn:aws:sqs:us-east-1:000000000000:environment", "endpoint {what}");
    }
}

#[tokio::test]
async fn a_role_is_assumed_and_one_that_cannot_be_is_a_matter_of_credentials() {
    let Some(endpoint) = Judge::Ministack.endpoint() else { return };
    Admin::at(endpoint).queue("environment-role", &[]).await;
    let role = (ROLE, "arn:aws:iam::000000000000:role/redrive");
    let mut environment = vec![KEYS[0], KEYS[1], role, ("AWS_REGION", "us-east-1"), ("AWS_ENDPOINT_URL", endpoint)];
    let case = |environment: &[(&str, &str)]| Case { reference: "environment-role", environment, config: "" }.run();
    assert_eq!(case(&environment), "FOUND arn:aws:sqs:us-east-1:000000000000:environment-role");
    // Only STS is out of reach: the queue itself would answer.
    environment.push(("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9"));
    let said = case(&environment);
    assert!(said.contains("could not load AWS credentials") && said.contains("refused"), "{said}");
}

#[test]
fn without_a_region_the_error_says_where_to_set_one() {
    let said = Case { reference: "orders", environment: &KEYS, config: "" }.run();
    assert!(said.starts_with("ERROR no AWS region is set") && said.contains("AWS_REGION"), "{said}");
}

#[test]
fn without_credentials_the_error_says_so() {
    let environment = [("AWS_REGION", "eu-west-1")];
    let said = Case { reference: "orders", environment: &environment, config: "" }.run();
    assert!(said.contains("could not load AWS credentials") && said.contains("AWS_PROFILE"), "{said}");
}

#[test]
fn a_profile_that_does_not_exist_is_named() {
    let environment = [("AWS_REGION", "eu-west-1"), ("AWS_PROFILE", "nobody")];
    let said = Case { reference: "orders", environment: &environment, config: "[default]\nregion = x\n" }.run();
    assert!(said.contains("nobody"), "{said}");
}

#[test]
fn a_profile_that_does_not_exist_is_named_with_who_names_it_and_where_it_was_looked_for() {
    let config = "[profile somebody]\nregion = eu-west-1\n";
    for (variable, by) in [("AWS_PROFILE", "AWS_PROFILE"), (PROFILE, "the job")] {
        // Credentials in the environment do not make up for it.
        let environment = [KEYS[0], KEYS[1], ("AWS_REGION", "eu-west-1"), (variable, "nobody")];
        for config in ["", config] {
            let said = Case { reference: "orders", environment: &environment, config }.run();
            assert!(said.starts_with(&format!("ERROR there is no AWS profile \"nobody\", which {by} names")), "{said}");
            assert!(said.contains("/config and /") && said.contains("/none;"), "the files: {said}");
        }
    }
}

#[test]
fn a_dead_endpoint_is_named() {
    let environment = [KEYS[0], KEYS[1], ("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:9")];
    let said = Case { reference: "orders", environment: &environment, config: "" }.run();
    assert!(said.contains("no connection to http://127.0.0.1:9") && said.contains("refused"), "{said}");
}

#[test]
fn what_is_no_region_or_endpoint_is_refused_before_any_call() {
    let environment = [KEYS[0], KEYS[1], ("AWS_REGION", "eu west 1")];
    let said = Case { reference: "orders", environment: &environment, config: "" }.run();
    assert!(said.contains("is no AWS region"), "{said}");
    let environment = [KEYS[0], KEYS[1], ("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL", "localhost:4566")];
    let said = Case { reference: "orders", environment: &environment, config: "" }.run();
    assert!(said.contains("is no endpoint URL"), "{said}");
}
