//! The Query protocol, which older SDKs and command lines speak: a form comes in and XML goes out. Requests become the members of
//! the JSON protocol, and its answers become XML, so that a call means the same in both. Knows the protocol and no queue.
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-xml.html>

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// Parameters that are whole numbers.
const NUMBERS: [&str; 6] = [
    "DelaySeconds",
    "MaxNumberOfMessages",
    "MaxNumberOfMessagesPerSecond",
    "MaxResults",
    "VisibilityTimeout",
    "WaitTimeSeconds",
];

/// Lists of texts: the parameter, and the member of the JSON protocol.
const LISTS: [(&str, &str); 6] = [
    ("AWSAccountId", "AWSAccountIds"),
    ("ActionName", "Actions"),
    ("AttributeName", "AttributeNames"),
    ("MessageAttributeName", "MessageAttributeNames"),
    ("MessageSystemAttributeName", "MessageSystemAttributeNames"),
    ("TagKey", "TagKeys"),
];

/// Maps: the parameter, the member, and what an entry calls its key.
const MAPS: [(&str, &str, &str); 4] = [
    ("Attribute", "Attributes", "Name"),
    ("MessageAttribute", "MessageAttributes", "Name"),
    ("MessageSystemAttribute", "MessageSystemAttributes", "Name"),
    ("Tag", "Tags", "Key"),
];

/// The parameters of a form or of a query string, in no order: each has one value.
pub(super) fn parse(form: &[u8]) -> BTreeMap<String, String> {
    let pairs = form.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let equals = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
            (decode(&pair[..equals]), decode(pair.get(equals + 1..).unwrap_or_default()))
        })
        .collect()
}

fn decode(text: &[u8]) -> String {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (mut bytes, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high * 16 + low);
                at += 2;
            }
            (b'+', ..) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A parameter's name is a path, with full stops.
enum Node {
    Text(String),
    Parts(BTreeMap<Part, Node>),
}

/// Numbers first and in their order: they are places in lists.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Nth(u32),
    Name(String),
}

impl Node {
    fn put(&mut self, path: &[&str], value: &str) {
        let Some((first, rest)) = path.split_first() else {
            *self = Self::Text(value.to_owned());
            return;
        };
        if let Self::Text(_) = self {
            *self = Self::Parts(BTreeMap::new());
        }
        if let Self::Parts(parts) = self {
            let part = first.parse().map_or_else(|_| Part::Name((*first).to_owned()), Part::Nth);
            parts.entry(part).or_insert_with(|| Self::Parts(BTreeMap::new())).put(rest, value);
        }
    }

    /// The entries of a list; one that is not numbered is a list of itself.
    fn entries(&self) -> Vec<&Self> {
        match self {
            Self::Parts(parts) if parts.keys().any(|part| matches!(part, Part::Nth(_))) => parts.values().collect(),
            _ => vec![self],
        }
    }

    fn text(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Parts(_) => Value::from(""),
        }
    }

    fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Parts(parts) => parts.get(&Part::Name(name.to_owned())),
            Self::Text(_) => None,
        }
    }

    /// The members of the JSON protocol.
    fn members(&self) -> Map<String, Value> {
        let Self::Parts(parts) = self else { return Map::new() };
        let named = parts.iter().filter_map(|(part, node)| match part {
            Part::Name(name) => Some((name.as_str(), node)),
            Part::Nth(_) => None,
        });
        named.map(|(name, node)| member(name, node)).collect()
    }
}

fn member(name: &str, node: &Node) -> (String, Value) {
    if let Some((_, list)) = LISTS.iter().find(|(parameter, _)| *parameter == name) {
        return ((*list).to_owned(), node.entries().into_iter().map(Node::text).collect());
    }
    if let Some((_, map, key)) = MAPS.iter().find(|(parameter, ..)| *parameter == name) {
        let entries = node.entries().into_iter().filter_map(|entry| {
            let key = entry.get(key)?.text().as_str()?.to_owned();
            let value = entry.get("Value").map_or_else(
                || Value::from(""),
                |value| match value {
                    Node::Text(_) => value.text(),
                    Node::Parts(_) => Value::Object(value.members()),
                },
            );
            Some((key, value))
        });
        return ((*map).to_owned(), Value::Object(entries.collect()));
    }
    if name.ends_with("BatchRequestEntry") {
        let entries = node.entries().into_iter().map(|entry| Value::Object(entry.members()));
        return ("Entries".to_owned(), entries.collect());
    }
    let text = node.text();
    let is_list = name == "Entries" || LISTS.iter().any(|(_, member)| *member == name);
    if is_list && text == "" {
        // So an SDK writes a list of nothing.
        return (name.to_owned(), Value::Array(Vec::new()));
    }
    let number = text.as_str().filter(|_| NUMBERS.contains(&name)).and_then(|text| text.parse::<i64>().ok());
    (name.to_owned(), number.map_or(text, Value::from))
}

/// The request in the JSON protocol. `path` is where it was sent to: a queue's own, if no parameter names it.
pub(super) fn request(action: &str, parameters: &BTreeMap<String, String>, path: &str) -> Vec<u8> {
    let mut root = Node::Parts(BTreeMap::new());
    for (name, value) in parameters {
        root.put(&name.split('.').collect::<Vec<_>>(), value);
    }
    let mut members = root.members();
    if path.len() > 1 {
        members.entry("QueueUrl").or_insert_with(|| Value::from(path));
    }
    if action == "CreateQueue"
        && let Some(tags) = members.remove("Tags")
    {
        // Of all requests this one alone has it in small letters.
        members.insert("tags".to_owned(), tags);
    }
    Value::Object(members).to_string().into_bytes()
}

/// An answer of the JSON protocol as XML.
pub(super) fn response(action: &str, answer: &[u8], request_id: &str) -> String {
    let mut xml = String::from("<?xml version=\"1.0\"?>");
    // Writing to a String cannot fail.
    let _ = write!(xml, "<{action}Response xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\">");
    match serde_json::from_slice(answer) {
        Ok(Value::Object(members)) if members.is_empty() => {
            let _ = write!(xml, "<{action}Result/>");
        }
        Ok(Value::Object(members)) => {
            let _ = write!(xml, "<{action}Result>");
            children(&mut xml, action, &members);
            let _ = write!(xml, "</{action}Result>");
        }
        // An action without a result.
        _ => {}
    }
    let _ = write!(xml, "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>");
    xml
}

/// An answer of the JSON protocol as the Query protocol has it in JSON, where lists begin with a small letter.
pub(super) fn json_response(action: &str, answer: &[u8], request_id: &str) -> String {
    let mut response = json!({"ResponseMetadata": {"RequestId": request_id}});
    if let Ok(Value::Object(members)) = serde_json::from_slice(answer) {
        let result = members.into_iter().map(|(mut name, value)| {
            if value.is_array() {
                name.get_mut(..1).unwrap_or_default().make_ascii_lowercase();
            }
            (name, value)
        });
        response[format!("{action}Result")] = Value::Object(result.collect());
    }
    json!({format!("{action}Response"): response}).to_string()
}

fn children(xml: &mut String, action: &str, members: &Map<String, Value>) {
    for (name, value) in members {
        match (name.as_str(), value) {
            ("Attributes" | "MessageAttributes", Value::Object(map)) => {
                entries(xml, name.trim_end_matches('s'), "Name", map);
            }
            ("Tags", Value::Object(map)) => entries(xml, "Tag", "Key", map),
            (_, Value::Array(list)) => {
                let each = match name.as_str() {
                    "Failed" => "BatchResultErrorEntry".to_owned(),
                    "Messages" => "Message".to_owned(),
                    "Results" | "Successful" => format!("{action}ResultEntry"),
                    _ => "QueueUrl".to_owned(),
                };
                for value in list {
                    element(xml, action, &each, value);
                }
            }
            _ => element(xml, action, name, value),
        }
    }
}

fn entries(xml: &mut String, each: &str, key: &str, map: &Map<String, Value>) {
    for (name, value) in map {
        let _ = write!(xml, "<{each}><{key}>{}</{key}>", escape(name));
        element(xml, "", "Value", value);
        let _ = write!(xml, "</{each}>");
    }
}

fn element(xml: &mut String, action: &str, name: &str, value: &Value) {
    let _ = write!(xml, "<{name}>");
    match value {
        Value::Object(members) => children(xml, action, members),
        Value::String(text) => xml.push_str(&escape(text)),
        other => xml.push_str(&other.to_string()),
    }
    let _ = write!(xml, "</{name}>");
}

/// An error as XML.
pub(super) fn error(code: &str, is_sender: bool, message: &str, request_id: &str) -> String {
    let fault = if is_sender { "Sender" } else { "Receiver" };
    format!(
        "<?xml version=\"1.0\"?><ErrorResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><Error>\
         <Type>{fault}</Type><Code>{code}</Code><Message>{}</Message><Detail/></Error>\
         <RequestId>{request_id}</RequestId></ErrorResponse>",
        escape(message)
    )
}

/// A text inside XML. A carriage return would become a line feed at the reader.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#xD;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(action: &str, form: &str) -> Value {
        serde_json::from_slice(&request(action, &parse(form.as_bytes()), "/")).unwrap()
    }

    #[test]
    fn a_form_becomes_the_members_of_the_json_protocol() {
        let batch = "Action=SendMessageBatch&QueueUrl=http%3A%2F%2Fh%2F0%2Fq\
            &SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.MessageBody=x+%26%20y\
            &SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n.1\
            &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue=1\
            &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=Number\
            &SendMessageBatchRequestEntry.10.Id=z&SendMessageBatchRequestEntry.2.Id=b\
            &SendMessageBatchRequestEntry.2.DelaySeconds=3";
        assert_eq!(
            members("SendMessageBatch", batch),
            json!({
                "Action": "SendMessageBatch",
                "QueueUrl": "http://h/0/q",
                "Entries": [
                    {"Id": "a", "MessageBody": "x & y",
                     "MessageAttributes": {"n.1": {"DataType": "Number", "StringValue": "1"}}},
                    {"Id": "b", "DelaySeconds": 3},
                    {"Id": "z"},
                ],
            })
        );
        let create = "QueueName=q&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=7&Tag.1.Key=k&Tag.1.Value=v";
        assert_eq!(
            members("CreateQueue", create),
            json!({"QueueName": "q", "Attributes": {"VisibilityTimeout": "7"}, "tags": {"k": "v"}})
        );
        assert_eq!(members("SendMessageBatch", "Entries="), json!({"Entries": []}));
        let receive = "AttributeName=All&MessageAttributeName.2=b&MessageAttributeName.1=a&VisibilityTimeout=x";
        assert_eq!(
            members("ReceiveMessage", receive),
            json!({
                "AttributeNames": ["All"], "MessageAttributeNames": ["a", "b"], "VisibilityTimeout": "x"
            })
        );
    }

    #[test]
    fn a_queue_is_where_the_form_was_sent_to_unless_it_says_another() {
        let of = |form: &str| -> Value {
            serde_json::from_slice(&request("PurgeQueue", &parse(form.as_bytes()), "/000000000000/q")).unwrap()
        };
        assert_eq!(of("")["QueueUrl"], "/000000000000/q");
        assert_eq!(of("QueueUrl=other")["QueueUrl"], "other");
    }

    #[test]
    fn broken_forms_are_taken_as_they_are() {
        for form in ["", "&&", "=", "a", "%", "%4", "%zz=%", "a.1=x&a=y&a.1.b=z", "Attribute.1.Value=v", "\u{fffd}=%ff"]
        {
            members("SendMessage", form);
        }
    }

    #[test]
    fn answers_become_xml() {
        let answer = r#"{"Messages":[{"MessageId":"m","Body":"<a>&\r","Attributes":{"SenderId":"s"},
            "MessageAttributes":{"t":{"DataType":"String","StringValue":"v"}}}]}"#;
        assert_eq!(
            response("ReceiveMessage", answer.as_bytes(), "id"),
            "<?xml version=\"1.0\"?><ReceiveMessageResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\">\
             <ReceiveMessageResult><Message><MessageId>m</MessageId><Body>&lt;a&gt;&amp;&#xD;</Body>\
             <Attribute><Name>SenderId</Name><Value>s</Value></Attribute>\
             <MessageAttribute><Name>t</Name><Value><DataType>String</DataType><StringValue>v</StringValue></Value>\
             </MessageAttribute></Message></ReceiveMessageResult>\
             <ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></ReceiveMessageResponse>"
        );
        let empty = response("DeleteMessage", b"", "id");
        assert!(!empty.contains("DeleteMessageResult"), "{empty}");
        let batch = response(
            "DeleteMessageBatch",
            br#"{"Successful":[{"Id":"a"}],"Failed":[{"Id":"b","SenderFault":true}]}"#,
            "id",
        );
        assert!(batch.contains("<DeleteMessageBatchResultEntry><Id>a</Id></DeleteMessageBatchResultEntry>"), "{batch}");
        assert!(batch.contains("<BatchResultErrorEntry><Id>b</Id><SenderFault>true</SenderFault>"), "{batch}");
    }
}
