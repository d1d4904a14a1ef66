//! IAM policies as JSON documents, as Terraform, and as Markdown with reasons. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::document::{Block, Column, Document, Line, heading, ours, prose, row, theirs};
use super::wire;
use crate::policy::{Owner, Policy, Statement};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DocumentObject<'p> {
    version: &'static str,
    statement: Vec<StatementObject<'p>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StatementObject<'p> {
    sid: &'static str,
    effect: &'static str,
    action: &'static [&'static str],
    resource: &'p BTreeSet<String>,
}

/// The policy document of one identity.
pub fn json(policy: &Policy) -> String {
    let statement = |statement: &'_ Statement| (statement.purpose.sid(), statement.purpose.actions());
    let statements = policy.statements.iter().map(|one| {
        let (sid, action) = statement(one);
        StatementObject { sid, effect: "Allow", action, resource: &one.resources }
    });
    let document = DocumentObject { version: "2012-10-17", statement: statements.collect() };
    // Plain data with text keys always has a JSON form.
    wire::escape(&serde_json::to_string_pretty(&document).unwrap_or_default())
}

/// A data source for each policy, and one for each queue whose owner has to allow it too.
pub fn terraform(job: &str, policies: &[Policy], notes: &[String]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for note in notes {
        let _ = writeln!(text, "# {}", super::text::neutral(note));
    }
    for policy in policies {
        let name = match policies {
            [_] => identifier(job),
            _ => identifier(&format!("{job}_{}", policy.identity.name())),
        };
        let whose = policy.identity.to_string();
        let _ = writeln!(text, "# For {}.", super::text::neutral(&whose));
        let _ = writeln!(text, "data \"aws_iam_policy_document\" \"redrive_{name}\" {{");
        for Statement { purpose, resources } in &policy.statements {
            let _ = writeln!(text, "  # {}", purpose.reason());
            let _ = writeln!(text, "  statement {{\n    sid       = \"{}\"", purpose.sid());
            let _ = writeln!(text, "    actions   = [{}]", list(purpose.actions().iter().copied()));
            let _ = writeln!(text, "    resources = [{}]\n  }}", list(resources.iter().map(String::as_str)));
        }
        text.push_str("}\n");
        for Owner { arn, principal, actions } in &policy.owners {
            let queue = identifier(arn.rsplit(':').next().unwrap_or(arn));
            let _ = writeln!(text, "# For the policy of the queue itself, in the account that owns it.");
            let _ = writeln!(text, "data \"aws_iam_policy_document\" \"redrive_{name}_queue_{queue}\" {{");
            let _ = writeln!(text, "  statement {{\n    sid       = \"Redrive\"");
            let _ = writeln!(text, "    actions   = [{}]", list(actions.iter().copied()));
            let _ = writeln!(text, "    resources = [{}]", quoted(arn));
            let _ = writeln!(text, "    principals {{\n      type        = \"AWS\"");
            let _ = writeln!(text, "      identifiers = [{}]\n    }}\n  }}\n}}", quoted(principal));
        }
    }
    text
}

fn identifier(text: &str) -> String {
    let fine = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    text.chars().map(fine).collect()
}

fn list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts.map(quoted).collect::<Vec<_>>().join(", ")
}

/// A string of HCL, in which `${` and `%{` would begin a template.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${").replace("%{", "%%{");
    format!("\"{}\"", super::text::neutral(&text))
}

/// Tables with reasons.
pub fn document(job: &str, policies: &[Policy], notes: &[String]) -> Document {
    let mut blocks = vec![Block::Title(ours("IAM permissions of the job ").theirs(job))];
    for policy in policies {
        blocks.push(Block::Heading(ours("For ").prose(policy.identity.to_string())));
        let columns = ["statement", "actions", "resources", "why"].map(Column::text).into();
        let rows = policy.statements.iter().map(|Statement { purpose, resources }| {
            row(vec![
                ours(purpose.sid()),
                joined(purpose.actions().iter().copied()),
                joined(resources.iter().map(String::as_str)),
                ours(purpose.reason()),
            ])
        });
        blocks.push(Block::Table(columns, rows.collect()));
        if !policy.owners.is_empty() {
            blocks.push(heading("For the policies of queues in other accounts"));
            let columns = ["queue", "principal", "actions"].map(Column::text).into();
            let rows = policy.owners.iter().map(|Owner { arn, principal, actions }| {
                row(vec![theirs(arn), theirs(principal), joined(actions.iter().copied())])
            });
            blocks.push(Block::Table(columns, rows.collect()));
        }
    }
    if !notes.is_empty() {
        blocks.extend([heading("What to know"), Block::List(notes.iter().map(prose).collect())]);
    }
    Document::new(blocks)
}

fn joined<'t>(texts: impl Iterator<Item = &'t str>) -> Line {
    let mut line = Line::default();
    for (position, text) in texts.enumerate() {
        line = if position > 0 { line.ours(", ") } else { line }.theirs(text);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Identity, Purpose};

    fn policy() -> Policy {
        let bucket = "arn:aws:s3:::a\"${b}\u{202e}/*".to_owned();
        Policy {
            identity: Identity::default(),
            statements: vec![Statement { purpose: Purpose::ArchiveMessages, resources: [bucket].into() }],
            owners: vec![Owner {
                arn: "arn:aws:sqs:eu-west-1:222222222222:theirs".to_owned(),
                principal: "arn:aws:iam::111111111111:root".to_owned(),
                actions: ["sqs:SendMessage"].into(),
            }],
        }
    }

    #[test]
    fn what_comes_from_a_job_stays_a_string() {
        let json: serde_json::Value = serde_json::from_str(&json(&policy())).expect("JSON");
        assert_eq!(json["Statement"][0]["Resource"][0], "arn:aws:s3:::a\"${b}\u{202e}/*");
        insta::assert_snapshot!(terraform("orders-dlq", &[policy()], &["a note\nof two lines".to_owned()]), @r#"
        # a note\nof two lines
        # For the default credentials.
        data "aws_iam_policy_document" "redrive_orders_dlq" {
          # to write one object a message, only if there is none yet
          statement {
            sid       = "ArchiveMessages"
            actions   = ["s3:PutObject"]
            resources = ["arn:aws:s3:::a\"$${b}\u{202e}/*"]
          }
        }
        # For the policy of the queue itself, in the account that owns it.
        data "aws_iam_policy_document" "redrive_orders_dlq_queue_theirs" {
          statement {
            sid       = "Redrive"
            actions   = ["sqs:SendMessage"]
            resources = ["arn:aws:sqs:eu-west-1:222222222222:theirs"]
            principals {
              type        = "AWS"
              identifiers = ["arn:aws:iam::111111111111:root"]
            }
          }
        }
        "#);
        let markdown = document("orders-dlq", &[policy()], &[]).markdown();
        assert!(markdown.contains("arn:aws:iam::111111111111:root") && !markdown.contains('\u{202e}'), "{markdown}");
    }
}
