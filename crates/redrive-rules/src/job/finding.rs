//! Problems while they are being found, by place in the job: a [`Problem`] and what is needed to show it, or to hold it
//! back where it only follows from another.

use std::ops::Range;

use super::diagnostics::{KeyPath, Problem, Step};

/// A place in the job, to name keys and elements from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place(pub(crate) KeyPath);

impl Place {
    /// The top of the file.
    pub(crate) fn root() -> Self {
        Self::default()
    }

    /// A key of the table here.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    /// An element of the array here.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        let mut path = self.0.clone();
        path.push(step);
        Self(path)
    }
}

/// What was found at a place.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    /// The problem.
    pub(crate) problem: Problem,
    /// Whether the key is meant, not its value.
    pub(crate) on_key: bool,
    /// Another place that matters, and why.
    pub(crate) also: Option<(Place, String)>,
    /// It says nothing where this place could not be read whole: it may only follow from that.
    pub(crate) needs: Option<Place>,
}

impl From<Problem> for Finding {
    fn from(problem: Problem) -> Self {
        Self { problem, on_key: false, also: None, needs: None }
    }
}

impl Finding {
    /// A problem with the value at a place.
    pub(crate) fn new(place: &Place, message: impl Into<String>) -> Self {
        Self::from(Problem { at: place.0.clone(), within: None, message: message.into(), help: None })
    }

    /// What would be right.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.problem.help = Some(help.into());
        self
    }

    /// Only these bytes of the text value are meant.
    pub(crate) fn within(mut self, bytes: Range<usize>) -> Self {
        self.problem.within = Some(bytes);
        self
    }

    /// The same, if it is known which bytes.
    pub(crate) fn maybe_within(mut self, bytes: Option<Range<usize>>) -> Self {
        self.problem.within = bytes;
        self
    }

    /// The key is meant, not its value.
    pub(crate) fn on_key(mut self) -> Self {
        self.on_key = true;
        self
    }

    /// Shows another place too.
    pub(crate) fn also(mut self, place: Place, label: impl Into<String>) -> Self {
        self.also = Some((place, label.into()));
        self
    }

    /// Holds it back where this place could not be read whole.
    pub(crate) fn needs(mut self, place: Place) -> Self {
        self.needs = Some(place);
        self
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings(pub(crate) Vec<Finding>);

impl Findings {
    pub(crate) fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// Reports an error in words as a problem with the value at a place.
    pub(crate) fn check<T>(&mut self, result: Result<T, String>, place: &Place) -> Option<T> {
        result.map_err(|message| self.add(Finding::new(place, message))).ok()
    }
}

/// "did you mean", where a name is near enough.
pub(crate) fn did_you_mean<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    super::nearest::nearest(written, names).map(|name| format!("did you mean `{name}`?"))
}

/// Names as a list in words: `` `a`, `b` or `c` ``.
pub(crate) fn one_of<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match &names[..] {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}
