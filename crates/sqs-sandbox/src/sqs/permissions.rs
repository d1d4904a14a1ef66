//! A queue's policy as `AddPermission` and `RemovePermission` write it: a statement a label. It is kept and shown; it permits and
//! forbids nothing here. <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_AddPermission.html>

use serde_json::{Value, json};

use super::Outcome;
use super::account::Account;
use super::call::{ACTIONS, AddPermission, RemovePermission};
use super::failure::Failure;

/// The most actions in one statement.
const MAX_ACTIONS: usize = 7;

/// What only the account that owns a queue may do, whatever its policy says.
const OWNERS: [&str; 12] = [
    "AddPermission",
    "CancelMessageMoveTask",
    "CreateQueue",
    "DeleteQueue",
    "ListMessageMoveTasks",
    "ListQueueTags",
    "ListQueues",
    "RemovePermission",
    "SetQueueAttributes",
    "StartMessageMoveTask",
    "TagQueue",
    "UntagQueue",
];

/// One value is itself, several are a list.
fn one_or_all(mut values: Vec<String>) -> Value {
    if values.len() == 1 { Value::from(values.remove(0)) } else { Value::from(values) }
}

fn statements(policy: &mut Value) -> Option<&mut Vec<Value>> {
    policy.get_mut("Statement")?.as_array_mut()
}

/// Whether an action can be permitted to others.
fn check_action(action: &str) -> Result<(), Failure> {
    let refuse = |reason: &str| {
        Err(Failure::invalid_value(format!("Value SQS:{action} for parameter ActionName is invalid. Reason: {reason}")))
    };
    match action {
        "*" => Ok(()),
        _ if OWNERS.contains(&action) => refuse("Only the queue owner is allowed to invoke this action."),
        _ if ACTIONS.contains(&action) => Ok(()),
        _ => refuse("Please refer to the appropriate WSDL for a list of valid actions."),
    }
}

/// What a permission can say, apart from its label.
fn check(request: &AddPermission) -> Result<(), Failure> {
    for (parameter, is_missing) in [("Label", request.label.is_empty()), ("Actions", request.actions.is_empty())] {
        if is_missing {
            return Err(Failure::missing(format!("The request must contain the parameter {parameter}.")));
        }
    }
    if request.accounts.is_empty() {
        return Err(Failure::invalid_value("Value [] for parameter PrincipalId is invalid. Reason: Unable to verify."));
    }
    let count = request.actions.len();
    if count > MAX_ACTIONS {
        return Err(Failure::over_limit(format!("{count} Actions were found, maximum allowed is {MAX_ACTIONS}.")));
    }
    request.actions.iter().try_for_each(|action| check_action(action))
}

impl Account {
    pub(super) fn add_permission(&self, request: &AddPermission) -> Result<Outcome, Failure> {
        let cell = self.by_url(&request.queue_url)?;
        check(request)?;
        let mut queue = cell.lock();
        let given = queue.settings.policy.as_deref().and_then(|policy| serde_json::from_str(policy).ok());
        let mut policy: Value = given.unwrap_or_else(
            || json!({"Version": "2008-10-17", "Id": format!("{}/SQSDefaultPolicy", cell.arn), "Statement": []}),
        );
        let statements = statements(&mut policy)
            .ok_or_else(|| Failure::invalid_value("The queue's policy has no list of statements to add to."))?;
        if statements.iter().any(|statement| statement["Sid"] == request.label) {
            return Err(Failure::invalid_value(format!(
                "Value {} for parameter Label is invalid. Reason: Already exists.",
                request.label
            )));
        }
        let principals = request.accounts.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
        let actions = request.actions.iter().map(|action| format!("SQS:{action}")).collect();
        statements.push(json!({
            "Sid": request.label,
            "Effect": "Allow",
            "Principal": {"AWS": one_or_all(principals)},
            "Action": one_or_all(actions),
            "Resource": *cell.arn,
        }));
        queue.settings.policy = Some(policy.to_string());
        Ok(Outcome::empty())
    }

    pub(super) fn remove_permission(&self, request: &RemovePermission) -> Result<Outcome, Failure> {
        let cell = self.by_url(&request.queue_url)?;
        let mut queue = cell.lock();
        let unknown = || {
            Failure::invalid_value(format!(
                "Value {} for parameter Label is invalid. Reason: can't find label.",
                request.label
            ))
        };
        let given = queue.settings.policy.as_deref().and_then(|policy| serde_json::from_str(policy).ok());
        let mut policy: Value = given.ok_or_else(unknown)?;
        let statements = statements(&mut policy).ok_or_else(unknown)?;
        let before = statements.len();
        statements.retain(|statement| statement["Sid"] != request.label);
        if statements.len() == before {
            return Err(unknown());
        }
        let is_empty = statements.is_empty();
        queue.settings.policy = (!is_empty).then(|| policy.to_string());
        Ok(Outcome::empty())
    }
}
