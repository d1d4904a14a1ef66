//! What `jsonpath-rust` read becomes the tree that `query` walks: regular expressions compiled, and what the RFC calls not
//! well-typed refused.

use jsonpath_rust::parser::model::{
    Comparable, Comparison, Filter, FilterAtom, FnArg, Literal, Segment, Selector as Read, SingularQuery,
    SingularQuerySegment, Test as ReadTest, TestFunction,
};
use regex::{Regex, RegexBuilder};

use super::super::json::Node;
use super::{MAX_REGEX, PathError};

#[derive(Debug)]
pub(in crate::rule) struct Step {
    /// Whether it applies to the node and all below it, not to the node alone.
    pub(in crate::rule) descendants: bool,
    pub(in crate::rule) selectors: Vec<Selector>,
}

#[derive(Debug)]
pub(in crate::rule) enum Selector {
    Name(String),
    Index(i64),
    Wildcard,
    Slice { start: Option<i64>, end: Option<i64>, step: i64 },
    Filter(Test),
}

#[derive(Debug)]
pub(in crate::rule) enum Test {
    Any(Vec<Test>),
    All(Vec<Test>),
    Not(Box<Test>),
    Exists(Query),
    Compare { left: Operand, op: Op, right: Operand },
    Matches(Operand, Regex),
}

/// A path inside a filter: from the root, or from the node under test.
#[derive(Debug)]
pub(in crate::rule) struct Query {
    pub(in crate::rule) absolute: bool,
    pub(in crate::rule) steps: Vec<Step>,
}

#[derive(Debug)]
pub(in crate::rule) enum Operand {
    Literal(Node<'static>),
    /// A query of at most one node.
    Single(Query),
    Length(Box<Operand>),
    Count(Query),
    /// The value of a query's only node.
    Only(Query),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rule) enum Op {
    Eq,
    Ne,
    Lt,
    Lte,
    Gt,
    Gte,
}

pub(super) fn steps(segments: &[Segment]) -> Result<Vec<Step>, PathError> {
    segments.iter().map(|segment| step(segment, false)).collect()
}

fn step(segment: &Segment, descendants: bool) -> Result<Step, PathError> {
    let selectors = match segment {
        Segment::Descendant(inner) => return step(inner, true),
        Segment::Selector(one) => vec![selector(one)?],
        Segment::Selectors(several) => several.iter().map(selector).collect::<Result<_, _>>()?,
    };
    Ok(Step { descendants, selectors })
}

fn selector(read: &Read) -> Result<Selector, PathError> {
    Ok(match read {
        Read::Name(name) => Selector::Name(name.clone()),
        Read::Wildcard => Selector::Wildcard,
        Read::Index(index) => Selector::Index(*index),
        Read::Slice(start, end, step) => Selector::Slice { start: *start, end: *end, step: step.unwrap_or(1) },
        Read::Filter(filter) => Selector::Filter(test(filter)?),
    })
}

fn test(filter: &Filter) -> Result<Test, PathError> {
    Ok(match filter {
        Filter::Or(filters) => Test::Any(filters.iter().map(test).collect::<Result<_, _>>()?),
        Filter::And(filters) => Test::All(filters.iter().map(test).collect::<Result<_, _>>()?),
        Filter::Atom(FilterAtom::Filter { expr, not }) => negated(test(expr)?, *not),
        Filter::Atom(FilterAtom::Test { expr, not }) => negated(single_test(expr)?, *not),
        Filter::Atom(FilterAtom::Comparison(comparison)) => {
            let op = match **comparison {
                Comparison::Eq(..) => Op::Eq,
                Comparison::Ne(..) => Op::Ne,
                Comparison::Gt(..) => Op::Gt,
                Comparison::Gte(..) => Op::Gte,
                Comparison::Lt(..) => Op::Lt,
                Comparison::Lte(..) => Op::Lte,
            };
            let (left, right) = comparison.vals();
            Test::Compare { left: comparable(left)?, op, right: comparable(right)? }
        }
    })
}

fn negated(test: Test, not: bool) -> Test {
    if not { Test::Not(Box::new(test)) } else { test }
}

fn single_test(read: &ReadTest) -> Result<Test, PathError> {
    match read {
        ReadTest::RelQuery(_) | ReadTest::AbsQuery(_) => query(read).map(Test::Exists),
        ReadTest::Function(function) => match &**function {
            TestFunction::Match(subject, pattern) => matches(subject, pattern, false),
            TestFunction::Search(subject, pattern) => matches(subject, pattern, true),
            TestFunction::Custom(name, _) => Err(unknown_function(name)),
            TestFunction::Length(_) | TestFunction::Count(_) | TestFunction::Value(_) => Err(PathError::whole(
                format!("{function} is a value: compare it with something, such as {function} > 1"),
            )),
        },
    }
}

fn unknown_function(name: &str) -> PathError {
    PathError::whole(format!("{name}() is no function of RFC 9535; there are length, count, match, search and value"))
}

fn query(read: &ReadTest) -> Result<Query, PathError> {
    match read {
        ReadTest::RelQuery(segments) => Ok(Query { absolute: false, steps: steps(segments)? }),
        ReadTest::AbsQuery(path) => Ok(Query { absolute: true, steps: steps(&path.segments)? }),
        ReadTest::Function(function) => Err(PathError::whole(format!("expected a path here, found {function}"))),
    }
}

fn comparable(read: &Comparable) -> Result<Operand, PathError> {
    match read {
        Comparable::Literal(value) => literal(value),
        Comparable::Function(function) => value_of(function),
        Comparable::SingularQuery(query) => {
            let (absolute, segments) = match query {
                SingularQuery::Current(segments) => (false, segments),
                SingularQuery::Root(segments) => (true, segments),
            };
            let steps = segments.iter().map(|segment| Step {
                descendants: false,
                selectors: vec![match segment {
                    SingularQuerySegment::Index(index) => Selector::Index(*index),
                    SingularQuerySegment::Name(name) => Selector::Name(name.clone()),
                }],
            });
            Ok(Operand::Single(Query { absolute, steps: steps.collect() }))
        }
    }
}

fn literal(read: &Literal) -> Result<Operand, PathError> {
    Ok(Operand::Literal(match read {
        Literal::Int(number) => Node::Number(number.to_string().into()),
        Literal::Float(number) => serde_json::Number::from_f64(*number)
            .map(|number| Node::Number(number.to_string().into()))
            .ok_or_else(|| PathError::whole("a number in the path is too large to compare with"))?,
        Literal::String(text) => Node::Text(text.clone().into()),
        Literal::Bool(value) => Node::Bool(*value),
        Literal::Null => Node::Null,
    }))
}

fn value_of(function: &TestFunction) -> Result<Operand, PathError> {
    match function {
        TestFunction::Length(argument) => Ok(Operand::Length(Box::new(value_argument(argument)?))),
        TestFunction::Count(argument) => nodes_argument(argument, "count").map(Operand::Count),
        TestFunction::Value(argument) => nodes_argument(argument, "value").map(Operand::Only),
        TestFunction::Match(..) | TestFunction::Search(..) => {
            Err(PathError::whole(format!("{function} is true or false, and no value to compare or measure")))
        }
        TestFunction::Custom(name, _) => Err(unknown_function(name)),
    }
}

fn nodes_argument(argument: &FnArg, function: &str) -> Result<Query, PathError> {
    match argument {
        FnArg::Test(read) => query(read),
        FnArg::Literal(_) | FnArg::Filter(_) => Err(PathError::whole(format!("{function}() takes a path"))),
    }
}

fn value_argument(argument: &FnArg) -> Result<Operand, PathError> {
    match argument {
        FnArg::Literal(value) => literal(value),
        FnArg::Test(read) => match &**read {
            ReadTest::Function(function) => value_of(function),
            path => {
                let query = query(path)?;
                let single = |step: &Step| {
                    !step.descendants && matches!(step.selectors[..], [Selector::Name(_) | Selector::Index(_)])
                };
                if query.steps.iter().all(single) {
                    Ok(Operand::Single(query))
                } else {
                    Err(PathError::whole("a function that takes one value was given a path that may yield several"))
                }
            }
        },
        FnArg::Filter(_) => Err(PathError::whole("a function that takes a value was given a condition")),
    }
}

fn matches(subject: &FnArg, pattern: &FnArg, anywhere: bool) -> Result<Test, PathError> {
    let FnArg::Literal(Literal::String(pattern)) = pattern else {
        return Err(PathError::whole("the pattern of match() and search() must be a literal text"));
    };
    let pattern = if anywhere { dots(pattern) } else { format!("^(?:{})$", dots(pattern)) };
    let regex = RegexBuilder::new(&pattern).size_limit(MAX_REGEX).build();
    let regex = regex.map_err(|error| PathError::whole(format!("the pattern in the path is not usable: {error}")))?;
    Ok(Test::Matches(value_argument(subject)?, regex))
}

/// I-Regexp's `.` (RFC 9485) does not match a carriage return; the regex crate's does.
fn dots(pattern: &str) -> String {
    let mut translated = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut chars = pattern.chars();
    while let Some(found) = chars.next() {
        match found {
            '.' if !in_class => translated.push_str(r"[^\n\r]"),
            _ => translated.push(found),
        }
        match found {
            '\\' => translated.extend(chars.next()),
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
    }
    translated
}
