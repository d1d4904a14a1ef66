//! TOML to [`Job`]: parse, walk the shape, decode, validate. Each step goes on with what the one before could read, so that
//! all errors come at once.

use toml::de::DeTable;

use super::diagnostics::{Diagnostics, KeyPath, Located, Problem, Step};
use super::finding::{Finding, Place};
use super::schema::schema;
use super::shape::Shape;
use super::source::Source;
use super::syntax::Syntax;
use super::types::Job;
use super::validate::validate;

/// Longer than any job that a person reviews. The plan file carries the text.
const MAX_LENGTH: usize = 1024 * 1024;

/// A job that was read and found valid in itself.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The job.
    pub job: Job,
    file: String,
    text: String,
}

impl Loaded {
    /// The file's name, as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The text it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Places problems that were found later, by key path, in the text.
    pub fn diagnostics(&self, problems: Vec<Problem>) -> Diagnostics {
        let (root, _) = DeTable::parse_recoverable(&self.text);
        let findings = problems.into_iter().map(Finding::from);
        let located = locate(&Source::new(&self.text, root.get_ref(), &[]), findings);
        Diagnostics { file: self.file.clone(), text: self.text.clone(), problems: located }
    }
}

/// Reads a job file's text. `file` is only shown.
pub fn load(file: &str, text: &str) -> Result<Loaded, Diagnostics> {
    load_with(file, text, |_| Vec::new())
}

/// Reads a job file's text, and lets `more` find problems in what could be read, so that they are shown with the others.
/// Places that hold a stand-in, or of which something is said already, are not mentioned again.
pub fn load_with(file: &str, text: &str, more: impl FnOnce(&Job) -> Vec<Problem>) -> Result<Loaded, Diagnostics> {
    if text.len() > MAX_LENGTH {
        let message = format!("a job file has at most {MAX_LENGTH} bytes; this one has {}", text.len());
        return Err(Diagnostics {
            file: file.to_owned(),
            text: String::new(),
            problems: locate(
                &Source::new("", &DeTable::new(), &[]),
                [Finding::new(&Place::root(), message).help("is it a job file?")],
            ),
        });
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    let root = root.get_ref();
    let syntax = Syntax::new(text, &errors, root);
    let schema = schema().as_value();
    let (shape, value) = Shape::read(text, schema, &syntax, root);
    let mut findings = shape.findings;
    let job = match serde_json::from_value::<Job>(value) {
        Ok(job) => {
            let unread = Unread { syntax: &syntax, damaged: &shape.damaged, incomplete: &shape.incomplete };
            let own = validate(&job);
            let is_said = |problem: &Problem| own.iter().any(|finding| finding.problem.at.starts_with(&problem.at));
            let more =
                more(&job).into_iter().filter(|problem| !is_said(problem)).map(Finding::from).collect::<Vec<_>>();
            findings.extend(own.into_iter().chain(more).filter(|finding| unread.lets_through(finding)));
            Some(job)
        }
        // The schema comes from the same types, so this is the second net: no file that serde refuses is ever accepted.
        Err(error) => {
            findings.push(Finding::new(&Place::root(), format!("the job cannot be read: {error}")));
            None
        }
    };
    let mut problems = syntax.problems.clone();
    problems.extend(locate(&Source::new(text, root, &shape.aliases), findings));
    problems.sort_by_key(|located| located.span.start);
    match job {
        Some(job) if problems.is_empty() => Ok(Loaded { job, file: file.to_owned(), text: text.to_owned() }),
        _ => Err(Diagnostics { file: file.to_owned(), text: text.to_owned(), problems }),
    }
}

fn locate(source: &Source<'_>, findings: impl IntoIterator<Item = Finding>) -> Vec<Located> {
    let mut located: Vec<_> = findings.into_iter().map(|finding| source.locate(finding)).collect();
    located.sort_by_key(|located| located.span.start);
    located
}

/// What could not be read, and so cannot be held against the author a second time.
struct Unread<'a> {
    syntax: &'a Syntax,
    damaged: &'a [KeyPath],
    incomplete: &'a [KeyPath],
}

impl Unread<'_> {
    fn lets_through(&self, finding: &Finding) -> bool {
        let is_unread = |path: &[Step]| self.damaged.iter().any(|damaged| path.starts_with(damaged));
        if is_unread(&finding.problem.at) || finding.also.as_ref().is_some_and(|(place, _)| is_unread(&place.0)) {
            return false;
        }
        let Some(place) = &finding.needs else { return true };
        !self.syntax.is_broken() && !is_unread(&place.0) && !self.incomplete.contains(&place.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "version = 1\nname = \"x\"\n[source]\nqueue = \"orders-dlq\"\n[destination.orders]\nsqs = { queue = \"orders\" }\n";

    fn messages(text: &str) -> Vec<String> {
        match load("job.toml", text) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.problems.into_iter().map(|located| located.problem.message).collect(),
        }
    }

    #[test]
    fn a_good_job_is_read() {
        let rule = "[[rule]]\nname = \"r\"\nwhen = [{ body = \"$.a\", equals = 12345678901234567890123 }, \
                    { body = \"$.b\", lt = 1.10 }, { body = \"$.c\", gt = 0x10 }, { body = \"$.d\", gt = +1_000 }]\nto = \"orders\"\n";
        let job = load("job.toml", &format!("{GOOD}{rule}")).unwrap_or_else(|errors| panic!("{errors}")).job;
        assert_eq!(job.source.queue, "orders-dlq");
        let when = &job.rule[0].when;
        let numbers = [&when[0].equals, &when[1].lt, &when[2].gt, &when[3].gt];
        let digits: Vec<_> = numbers.iter().map(|value| value.as_ref().expect("a number").to_string()).collect();
        assert_eq!(digits, ["12345678901234567890123", "1.10", "16", "1000"]);
    }

    #[test]
    fn one_mistake_is_mentioned_once() {
        for (text, expected) in [
            // A misspelt key that is needed is not missing as well, and its value is judged.
            ("version = 1\nname = \"x\"\n[source]\nquene = \"a b\"\n", 2),
            ("version = 1\nname = \"x\"\n[sorce]\nqueue = \"a\"\n", 1),
            // What a value of the wrong type stands for is not judged.
            (&format!("{GOOD}[retry]\nattribute = 3\nmax = 3\nexhausted = \"keep\"\n"), 1),
            (&format!("{GOOD}[[rule]]\nname = \"r\"\nwhen = \"x\"\nto = \"orders\"\n"), 1),
            (&format!("{GOOD}[[rule]]\nname = 1\nwhen = [{{ body = 2, equals = [3] }}]\nto = 4\n"), 4),
            (
                &format!("{GOOD}[[rule]]\nname = \"r\"\nwhen = [{{ body = \"$.a\", matches = 1 }}]\nto = \"orders\"\n"),
                1,
            ),
            // Destinations that were not read are not unknown; those that were, are known though damaged.
            ("version = 1\nname = \"x\"\ndestination = 3\n[source]\nqueue = \"a\"\n[unmatched]\nto = \"orders\"\n", 1),
            (&format!("{GOOD}[destination.b]\nsqs = {{ queue = 3 }}\n[unmatched]\nto = \"b\"\n"), 1),
            (&format!("{GOOD}[destination.b]\nsqs = {{ queue = 3 }}\n[unmatched]\nto = \"c\"\n"), 2),
            // Nor does a syntax error hide, or make up, what is elsewhere.
            ("version = 1\nname = \"x\n[source]\nqueue = \"a\"\nregoin = \"b\"\n[unmatched]\nto = \"orders\"\n", 2),
        ] {
            assert_eq!(messages(text).len(), expected, "{text}\n{:#?}", messages(text));
        }
    }

    #[test]
    fn a_misspelt_keys_value_is_shown_where_it_is() {
        let errors = load("job.toml", "version = 1\nname = \"x\"\n[sorce]\nquene = \"a b\"\n").expect_err("bad");
        let underlined: Vec<_> = errors.problems.iter().map(|located| &errors.text[located.span.clone()]).collect();
        assert_eq!(underlined, ["sorce", "quene", "\"a b\""]);
        assert_eq!(
            errors.problems.iter().map(|located| errors.position(located)).collect::<Vec<_>>(),
            [(3, 2), (4, 1), (4, 9)]
        );
    }

    #[test]
    fn problems_found_elsewhere_join_and_are_not_said_twice() {
        let problem = |path: &[&str], within| Problem {
            at: path.iter().map(|key| Step::Key((*key).to_owned())).collect(),
            within,
            message: "from elsewhere".to_owned(),
            help: None,
        };
        let more = |_: &Job| {
            vec![problem(&["source", "queue"], Some(0..2)), problem(&["name"], None), problem(&["retry", "max"], None)]
        };
        let text = "version = 1\nname = \"x y\"\n[source]\nqueue = \"orders\"\n[retry]\nattribute = \"n\"\nmax = \"3\"\nexhausted = \"keep\"\n";
        let errors = load_with("job.toml", text, more).expect_err("bad");
        let found: Vec<_> = errors
            .problems
            .iter()
            .map(|located| (&errors.text[located.span.clone()], located.problem.message == "from elsewhere"))
            .collect();
        assert_eq!(found, [("\"x y\"", false), ("or", true), ("\"3\"", false)]);

        let loaded = load("job.toml", GOOD).unwrap_or_else(|errors| panic!("{errors}"));
        let errors = loaded.diagnostics(vec![problem(&["source", "queue"], Some(7..10))]);
        assert!(errors.to_string().contains("job.toml:4:17"), "{errors}");
        assert!(load_with("job.toml", GOOD, |_| vec![problem(&["name"], None)]).is_err());
    }

    #[test]
    fn nesting_and_length_have_an_end() {
        let nested = |depth: usize| {
            format!(
                "{GOOD}[[rule]]\nname = \"r\"\nto = \"orders\"\nwhen = [{}{{ body = \"$.a\", exists = true }}{}]\n",
                "{ not = ".repeat(depth),
                " }".repeat(depth)
            )
        };
        assert_eq!(messages(&nested(30)), [""; 0]);
        assert_eq!(messages(&nested(60)), ["nested too deep"]);
        assert!(!messages(&nested(100_000)).is_empty());
        let dotted =
            format!("{GOOD}[[rule]]\nname = \"r\"\nto = \"orders\"\nwhen = [{{ {}body = 1 }}]\n", "not.".repeat(70));
        assert_eq!(messages(&dotted), ["nested too deep"]);
        let value = format!(
            "{GOOD}[[rule]]\nname = \"r\"\nto = \"orders\"\nwhen = [{{ body = \"$.a\", exists = true }}]\ntransform = [{{ set = \"$.a\", value = {}1{} }}]\n",
            "[".repeat(70),
            "]".repeat(70)
        );
        assert_eq!(messages(&value), ["nested too deep"]);
        assert_eq!(messages(&format!("{GOOD}# {}", "x".repeat(MAX_LENGTH))).len(), 1);
    }

    #[test]
    fn line_ends_and_a_byte_order_mark_are_read() {
        assert_eq!(messages(&format!("\u{feff}{}", GOOD.replace('\n', "\r\n"))), [""; 0]);
        let errors =
            load("job.toml", &GOOD.replace('\n', "\r\n").replace("orders-dlq", "orders dlq")).expect_err("bad");
        let shown = errors.to_string();
        assert!(shown.contains("job.toml:4:9") && !shown.contains('\r') && !shown.contains('\u{fffd}'), "{shown}");
    }
}
