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
        let findings = problems.into_iter().map(|problem| {
            let finding = Finding::new(&Place(problem.at.clone()), "");
            Finding { problem, ..finding }
        });
        let located = locate(&Source::new(&self.text, root.get_ref(), &[]), findings);
        Diagnostics { file: self.file.clone(), text: self.text.clone(), problems: located }
    }
}

/// Reads a job file's text. `file` is only shown.
pub fn load(file: &str, text: &str) -> Result<Loaded, Diagnostics> {
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
    let schema = schema().to_value();
    let (shape, value) = Shape::read(text, &schema, &syntax, root);
    let mut findings = shape.findings;
    let job = match serde_json::from_value::<Job>(value) {
        Ok(job) => {
            let unread = Unread { syntax: &syntax, damaged: &shape.damaged, incomplete: &shape.incomplete };
            findings.extend(validate(&job).into_iter().filter(|finding| unread.lets_through(finding)));
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
