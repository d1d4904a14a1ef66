//! Walks a compiled [`Path`] over a body. Nothing is collected or copied: each node goes to the caller as it is found, and the
//! walk ends when the caller has seen enough.

use std::cmp::Ordering;
use std::ops::ControlFlow::{self, Break, Continue};

use super::json::{Node, equal};
use super::number::Decimal;
use super::path::{Op, Operand, Path, Query, Selector, Step, Test};

type Seen<'f, 'v> = &'f mut dyn FnMut(&'v Node<'v>) -> ControlFlow<()>;

impl Path {
    /// Whether some node holds.
    pub(super) fn any(&self, root: &Node<'_>, mut holds: impl FnMut(&Node<'_>) -> bool) -> bool {
        let mut visit = |node: &Node<'_>| if holds(node) { Break(()) } else { Continue(()) };
        walk(&self.steps, root, root, &mut visit).is_break()
    }

    /// Calls `found` with every node.
    pub(super) fn each<'v>(&self, root: &'v Node<'v>, mut found: impl FnMut(&'v Node<'v>)) {
        let mut visit = |node| {
            found(node);
            Continue(())
        };
        // Nobody breaks off.
        let _ = walk(&self.steps, root, root, &mut visit);
    }
}

fn walk<'v>(steps: &[Step], root: &'v Node<'v>, node: &'v Node<'v>, found: Seen<'_, 'v>) -> ControlFlow<()> {
    let Some((step, rest)) = steps.split_first() else {
        return found(node);
    };
    for selector in &step.selectors {
        select(selector, root, node, &mut |child| walk(rest, root, child, found))?;
    }
    if step.descendants {
        // The depth of a body is bounded by its parser.
        children(node, &mut |child| walk(steps, root, child, found))?;
    }
    Continue(())
}

fn children<'v>(node: &'v Node<'v>, found: Seen<'_, 'v>) -> ControlFlow<()> {
    match node {
        Node::Array(elements) => elements.iter().try_for_each(found),
        Node::Object(members) => members.iter().map(|(_, member)| member).try_for_each(found),
        _ => Continue(()),
    }
}

fn select<'v>(selector: &Selector, root: &'v Node<'v>, node: &'v Node<'v>, found: Seen<'_, 'v>) -> ControlFlow<()> {
    match (selector, node) {
        (Selector::Name(name), Node::Object(_)) => node.get(name).map_or(Continue(()), found),
        (Selector::Index(index), Node::Array(elements)) => {
            position(*index, elements.len()).map_or(Continue(()), |at| found(&elements[at]))
        }
        (Selector::Wildcard, _) => children(node, found),
        (Selector::Filter(test), _) => {
            children(node, &mut |child| if holds(test, root, child) { found(child) } else { Continue(()) })
        }
        (Selector::Slice { start, end, step }, Node::Array(elements)) => {
            slice(*start, *end, *step, elements.len()).try_for_each(|at| found(&elements[at]))
        }
        _ => Continue(()),
    }
}

/// The position that an index denotes, where there is one.
pub(super) fn position(index: i64, length: usize) -> Option<usize> {
    let at = if index < 0 {
        length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
    } else {
        usize::try_from(index).ok()?
    };
    (at < length).then_some(at)
}

/// Positions of a slice, as RFC 9535, section 2.3.4, computes them.
fn slice(start: Option<i64>, end: Option<i64>, step: i64, length: usize) -> impl Iterator<Item = usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let forward = step > 0;
    let (first, beyond) = if forward { (0, length) } else { (-1, length - 1) };
    let bound = |at: i64| if at < 0 { length.saturating_add(at) } else { at }.clamp(first, beyond);
    let (start, end) = if forward {
        (start.map_or(0, bound), end.map_or(length, bound))
    } else {
        (start.map_or(length - 1, bound), end.map_or(-1, bound))
    };
    std::iter::successors((step != 0).then_some(start), move |at| at.checked_add(step))
        .take_while(move |at| if forward { *at < end } else { *at > end })
        .filter_map(|at| usize::try_from(at).ok())
}

fn holds(test: &Test, root: &Node<'_>, node: &Node<'_>) -> bool {
    match test {
        Test::Any(tests) => tests.iter().any(|test| holds(test, root, node)),
        Test::All(tests) => tests.iter().all(|test| holds(test, root, node)),
        Test::Not(test) => !holds(test, root, node),
        Test::Exists(query) => walk_query(query, root, node, &mut |_| Break(())).is_break(),
        Test::Compare { left, op, right } => compare(&value(left, root, node), *op, &value(right, root, node)),
        Test::Matches(subject, regex) => {
            value(subject, root, node).get().and_then(Node::text).is_some_and(|text| regex.is_match(text))
        }
    }
}

fn walk_query<'v>(query: &Query, root: &'v Node<'v>, node: &'v Node<'v>, found: Seen<'_, 'v>) -> ControlFlow<()> {
    walk(&query.steps, root, if query.absolute { root } else { node }, found)
}

/// What an operand stands for: nothing, a node of the body or a literal, or a computed number.
enum Found<'v> {
    Nothing,
    Node(&'v Node<'v>),
    Computed(Node<'static>),
}

impl<'v> Found<'v> {
    fn get(&self) -> Option<&Node<'v>> {
        match self {
            Self::Nothing => None,
            Self::Node(value) => Some(value),
            Self::Computed(value) => Some(value),
        }
    }
}

fn number(number: usize) -> Found<'static> {
    Found::Computed(Node::Number(number.to_string().into()))
}

fn value<'v>(operand: &'v Operand, root: &'v Node<'v>, node: &'v Node<'v>) -> Found<'v> {
    match operand {
        Operand::Literal(value) => Found::Node(value),
        Operand::Single(query) | Operand::Only(query) => {
            let (mut first, mut nodes) = (Found::Nothing, 0);
            let _ = walk_query(query, root, node, &mut |node| {
                first = Found::Node(node);
                nodes += 1;
                if nodes > 1 { Break(()) } else { Continue(()) }
            });
            if nodes == 1 { first } else { Found::Nothing }
        }
        Operand::Length(operand) => match value(operand, root, node).get() {
            Some(Node::Text(text)) => number(text.chars().count()),
            Some(Node::Array(elements)) => number(elements.len()),
            Some(Node::Object(members)) => number(members.len()),
            _ => Found::Nothing,
        },
        Operand::Count(query) => {
            let mut nodes = 0;
            let _ = walk_query(query, root, node, &mut |_| {
                nodes += 1;
                Continue(())
            });
            number(nodes)
        }
    }
}

fn compare(left: &Found<'_>, op: Op, right: &Found<'_>) -> bool {
    let same = || match (left.get(), right.get()) {
        (Some(left), Some(right)) => equal(left, right),
        (None, None) => true,
        _ => false,
    };
    let order = || match (left.get()?, right.get()?) {
        (Node::Number(left), Node::Number(right)) => Some(Decimal::parse(left)?.compare(&Decimal::parse(right)?)),
        (Node::Text(left), Node::Text(right)) => Some(left.cmp(right)),
        _ => None,
    };
    match op {
        Op::Eq => same(),
        Op::Ne => !same(),
        Op::Lt => order() == Some(Ordering::Less),
        Op::Gt => order() == Some(Ordering::Greater),
        Op::Lte => order() == Some(Ordering::Less) || same(),
        Op::Gte => order() == Some(Ordering::Greater) || same(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::parse;
    use super::*;

    fn nodes(path: &str, body: &str) -> String {
        let path = Path::parse(path).unwrap_or_else(|error| panic!("{path}: {}", error.message));
        let body = parse(body).expect("is JSON");
        let mut found = Vec::new();
        path.each(&body, |node| found.push(node.to_string()));
        assert_eq!(path.any(&body, |_| true), !found.is_empty());
        found.join(" ")
    }

    #[test]
    fn selectors() {
        let body = r#"{"a":[1,2,{"a":3}],"b":{"a":null},"c":"x"}"#;
        for (path, expected) in [
            ("$", r#"{"a":[1,2,{"a":3}],"b":{"a":null},"c":"x"}"#),
            ("$.a[0]", "1"),
            ("$.a[-1].a", "3"),
            ("$.a[3]", ""),
            ("$.a[-4]", ""),
            ("$.a.b", ""),
            ("$.c[0]", ""),
            ("$['c','a'][0]", "1"),
            ("$.a[*]", r#"1 2 {"a":3}"#),
            ("$.b.*", "null"),
            ("$.c.*", ""),
            ("$..a", r#"[1,2,{"a":3}] 3 null"#),
            ("$.a..a", "3"),
            ("$..[1]", "2"),
            ("$['']", ""),
        ] {
            assert_eq!(nodes(path, body), expected, "{path}");
        }
        assert_eq!(nodes("$..*", r#"{"a":{"b":[1]}}"#), r#"{"b":[1]} [1] 1"#);
    }

    #[test]
    fn slices() {
        let body = "[0,1,2,3,4]";
        for (path, expected) in [
            ("$[1:3]", "1 2"),
            ("$[:]", "0 1 2 3 4"),
            ("$[-2:]", "3 4"),
            ("$[:-3]", "0 1"),
            ("$[::2]", "0 2 4"),
            ("$[::-1]", "4 3 2 1 0"),
            ("$[3:0:-2]", "3 1"),
            ("$[10:0:-1]", "4 3 2 1"),
            ("$[-100:100]", "0 1 2 3 4"),
            ("$[::0]", ""),
            ("$[2:1]", ""),
            ("$[::9007199254740991]", "0"),
            ("$[9007199254740991:-9007199254740991:-9007199254740991]", "4"),
        ] {
            assert_eq!(nodes(path, body), expected, "{path}");
        }
        assert_eq!(nodes("$[::-1]", "[]"), "");
    }

    #[test]
    fn filters() {
        let body = r#"{"want":2,"list":[{"n":1,"t":"abc"},{"n":2.0,"t":"xabcx"},{"n":"2"},{"n":null,"l":[1,2]},{}]}"#;
        for (path, expected) in [
            ("$.list[?@.n == 2].t", r#""xabcx""#),
            ("$.list[?@.n == $.want].t", r#""xabcx""#),
            ("$.list[?@.n == '2']", r#"{"n":"2"}"#),
            ("$.list[?@.n == null].l", "[1,2]"),
            ("$.list[?!@.n]", "{}"),
            ("$.list[?@.n == @.missing]", "{}"),
            ("$.list[?@.n < 2].n", "1"),
            ("$.list[?@.n >= 1 && @.n <= 2].n", "1 2.0"),
            ("$.list[?@.t > 'abd'].n", "2.0"),
            ("$.list[?@.n == 1 || @.l].n", "1 null"),
            ("$.list[?!(@.n == 1 || @.l || @.t)]", r#"{"n":"2"} {}"#),
            ("$.list[?match(@.t, 'a.c')].n", "1"),
            ("$.list[?search(@.t, 'b')].n", "1 2.0"),
            ("$.list[?match(@.n, '2')].n", r#""2""#),
            ("$.list[?length(@.t) == 5].n", "2.0"),
            ("$.list[?length(@.l) == 2].n", "null"),
            ("$.list[?length(@) == 0]", "{}"),
            ("$.list[?count(@.*) == 2].n", "1 2.0 null"),
            ("$.list[?value(@..[1]) == 2].n", "null"),
            ("$.list[?value(@.l[*]) == 1].n", ""),
            ("$.list[?@[?@ == 1]].n", "1"),
            ("$[?@[?@.l[?@ > 1]]][0].n", "1"),
        ] {
            assert_eq!(nodes(path, body), expected, "{path}");
        }
    }

    #[test]
    fn a_filter_tests_the_children_and_not_the_object_itself() {
        assert_eq!(nodes("$[?@.type == 'x']", r#"{"type":"x"}"#), "");
        assert_eq!(nodes("$[?@ == 'x']", r#"{"type":"x"}"#), r#""x""#);
    }

    #[test]
    fn long_numbers_are_not_rounded_in_filters() {
        let body = r#"{"id":12345678901234567890,"list":[{"id":12345678901234567891},{"id":12345678901234567890}]}"#;
        assert_eq!(nodes("$.list[?@.id == $.id].id", body), "12345678901234567890");
        assert_eq!(nodes("$.list[?@.id > $.id].id", body), "12345678901234567891");
    }

    #[test]
    fn a_dot_in_a_pattern_is_no_carriage_return() {
        let body = r#"["a\rb","axb","a.b"]"#;
        assert_eq!(nodes(r"$[?match(@, 'a.b')]", body), r#""axb" "a.b""#);
        assert_eq!(nodes(r"$[?match(@, 'a[.]b')]", body), r#""a.b""#);
        assert_eq!(nodes(r"$[?match(@, 'a\\.b')]", body), r#""a.b""#);
    }
}
