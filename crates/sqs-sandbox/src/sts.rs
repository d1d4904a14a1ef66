//! What clients ask of STS before they use SQS: who they are, and a role to be. Everybody may assume every role; where keys are
//! known, those of a session are known from then on.
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::keys::{Keys, Session};
use super::query::escape;
use super::sqs::failure::Failure;
use super::sqs::message::Millis;

/// What is answered here.
const ACTIONS: [&str; 2] = ["AssumeRole", "GetCallerIdentity"];

/// Whether this is an action of STS.
pub(super) fn knows(action: &str) -> bool {
    ACTIONS.contains(&action)
}

fn answer(action: &str, result: &str, request_id: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
    )
}

/// A unique ID as IAM's: four letters that say of what, and sixteen.
fn unique(kind: &str) -> String {
    let id = Uuid::new_v4().simple().to_string().to_ascii_uppercase();
    format!("{kind}{}", &id[..16])
}

/// Carries out an action; `caller` is the access key of the request.
pub(super) fn execute(
    keys: &Keys,
    action: &str,
    parameters: &BTreeMap<String, String>,
    caller: Option<&str>,
    account: &str,
    now: Millis,
    request_id: &str,
) -> Result<String, Failure> {
    if action == "AssumeRole" {
        return assume(keys, parameters, now, request_id);
    }
    let session = caller.and_then(|key| keys.session(key));
    let (arn, id) = session.map_or_else(
        || (format!("arn:aws:iam::{account}:user/sandbox"), "AIDASANDBOXSANDBOXSAN".to_owned()),
        |session| (session.arn, session.role_id),
    );
    let account = arn.split(':').nth(4).unwrap_or(account);
    let result = format!("<Arn>{}</Arn><UserId>{}</UserId><Account>{account}</Account>", escape(&arn), escape(&id));
    Ok(answer(action, &result, request_id))
}

fn assume(
    keys: &Keys,
    parameters: &BTreeMap<String, String>,
    now: Millis,
    request_id: &str,
) -> Result<String, Failure> {
    let text = |name: &str| parameters.get(name).map_or("", String::as_str);
    let (role, name) = (text("RoleArn"), text("RoleSessionName"));
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    let (["arn", partition, "iam", "", account, path], true) = (&parts[..], role.len() >= 20) else {
        return Err(Failure::validation(format!("{role} is invalid")));
    };
    let Some(path) = path.strip_prefix("role/").filter(|path| !path.is_empty()) else {
        return Err(Failure::validation(format!("{role} is invalid")));
    };
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&name.len()) || !name.chars().all(is_fine) {
        return Err(Failure::validation(format!(
            "1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: [\\w+=,.@-]* and have a length between 2 and 64"
        )));
    }
    let seconds = match text("DurationSeconds") {
        "" => 3_600,
        given => given.parse::<u64>().ok().filter(|seconds| (900..=43_200).contains(seconds)).ok_or_else(|| {
            Failure::validation(format!(
                "1 validation error detected: Value '{given}' at 'durationSeconds' failed to satisfy constraint: Member \
                 must have value between 900 and 43200"
            ))
        })?,
    };
    let role_name = path.rsplit('/').next().unwrap_or(path);
    let until = now + seconds * 1_000;
    let session = Session {
        secret_key: format!("{}{}", Uuid::new_v4().simple(), &unique("")[..8]),
        arn: format!("arn:{partition}:sts::{account}:assumed-role/{role_name}/{name}"),
        role_id: format!("{}:{name}", unique("AROA")),
        until,
    };
    let access_key = unique("ASIA");
    let expiration = Timestamp::from_millisecond(i64::try_from(until).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
    let result = format!(
        "<Credentials><AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>{}</AssumedRoleId><Arn>{}</Arn></AssumedRoleUser>",
        session.secret_key,
        Uuid::new_v4().simple(),
        expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        session.role_id,
        escape(&session.arn),
    );
    keys.begin(access_key, session);
    Ok(answer("AssumeRole", &result, request_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_session_are_known_until_it_ends() {
        let keys = Keys::new(Vec::new());
        let parameters = [
            ("RoleArn", "arn:aws:iam::123456789012:role/mover"),
            ("RoleSessionName", "night"),
            ("DurationSeconds", "900"),
        ];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let answer = execute(&keys, "AssumeRole", &parameters, None, "000000000000", 1_000, "id").unwrap();
        let within = |tag: &str| {
            let rest = answer.split_once(&format!("<{tag}>")).unwrap().1;
            rest.split_once("</").unwrap().0
        };
        assert_eq!(within("Expiration"), "1970-01-01T00:15:01Z");
        let (key, secret) = (within("AccessKeyId"), within("SecretAccessKey"));
        assert_eq!((key.len(), secret.len()), (20, 40));
        assert_eq!(keys.secret(key, 900_999).as_deref(), Some(secret));
        assert_eq!(keys.secret(key, 901_000), None);
        assert_eq!(keys.secret("ASIANOBODY", 1_000), None);
    }
}
