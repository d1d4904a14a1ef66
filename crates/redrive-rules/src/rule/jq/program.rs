//! From a program's text to what runs: jaq's definitions without what looks outside, a few in place of jaq's, and errors that
//! point at the bytes they are about.

use std::ops::Range;

use jaq_core::compile::Undefined;
use jaq_core::load::parse::Def;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::native::{Fun, bome, run, v};
use jaq_core::{Compiler, Cv, Error, Filter, ValXs};
use jaq_json::Val;
use jaq_std::ValT;

use super::super::json;
use super::{Bound, Jq, ProgramError, value};

/// Longer programs belong into a program. It also bounds how deep one can be nested.
pub(super) const MAX_LENGTH: usize = 8 * 1024;

/// What jq has and a job has not: it looks outside the message, prints, or ends the process.
const LEFT_OUT: [&str; 17] = [
    "$ENV",
    "$__loc__",
    "$__prog_args",
    "debug",
    "debug_empty",
    "env",
    "get_search_list",
    "halt",
    "halt_error",
    "input",
    "input_filename",
    "input_line_number",
    "inputs",
    "localtime",
    "now",
    "stderr",
    "stderr_empty",
];

/// Also left out; in the first place for their arguments' count, in the second because the name says more than it does.
const REPLACED: [&str; 2] = ["range", "fromjson"];

/// Before jaq's definitions. jaq's own range makes numbers without a step that could be counted.
const BEFORE: &str = "
def range($from; $to; $by): $from
  | if $by > 0 then def rec: if . < $to then ., (. + $by | rec) else {}[] end; rec
    elif $by < 0 then def rec: if . > $to then ., (. + $by | rec) else {}[] end; rec
    else def rec: if . != $to then ., (. + $by | rec) else {}[] end; rec
    end;
";

/// After them. jaq's own del puts the last key in the place of the one that goes.
const AFTER: &str = "
def delpaths($paths): reduce ($paths | sort | reverse[]) as $path (.;
  if ($path | length) == 0 then null
  elif getpath($path[:-1]) == null then .
  elif $path[-1] | isstring then getpath($path[:-1]) |= with_entries(select(.key != $path[-1]))
  else getpath($path) |= empty
  end);
def del(f): delpaths([path(f)]);
";

pub(super) fn compile(code: &str) -> Result<Filter<Jq>, Vec<ProgramError>> {
    let arena = Arena::default();
    let modules = Loader::new(definitions()).load(&arena, File { code, path: () });
    let modules =
        modules.map_err(|errors| errors.into_iter().flat_map(|(_, error)| unread(code, error)).collect::<Vec<_>>())?;
    let compiler = Compiler::default().with_global_vars(Bound::NAMES).with_funs(functions());
    compiler.compile(modules).map_err(|errors| {
        errors.into_iter().flat_map(|(_, errors)| errors).map(|(name, what)| undefined(code, name, &what)).collect()
    })
}

fn definitions() -> impl Iterator<Item = Def<&'static str>> {
    let own = |code| load::parse(code, |parser| parser.defs()).unwrap_or_default();
    let theirs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let theirs = theirs.filter(|definition| !LEFT_OUT.contains(&definition.name));
    own(BEFORE).into_iter().chain(theirs).chain(own(AFTER))
}

fn functions() -> impl Iterator<Item = Fun<Jq>> {
    let theirs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let is_kept = |name: &str| !LEFT_OUT.contains(&name) && !REPLACED.contains(&name) && name != "strflocaltime";
    theirs.filter(move |(name, ..)| is_kept(name)).chain([run::<Jq>(("fromjson", v(0), from_json))])
}

/// In place of jaq's own, which goes as deep as the text is nested, and takes more than JSON.
fn from_json(context_and_value: Cv<'_, Jq>) -> ValXs<'_, Val> {
    let (_, value) = context_and_value;
    let text = value.as_utf8_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
    let parsed = text.and_then(json::parse).map(|parsed| value::read(&parsed));
    bome(parsed.ok_or_else(|| Error::str("cannot parse this as JSON")))
}

/// Where a part of the code is. jaq hands out parts of what it was given; anything else is not in the code.
fn within(code: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(code.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    code.get(start..end)?;
    if part.is_empty() {
        // What is missing at the end is shown at the last character.
        let last = code.char_indices().next_back().map_or(0, |(last, _)| last);
        return Some(if start == code.len() { last..code.len() } else { start..start });
    }
    Some(start..end)
}

fn unread(code: &str, error: load::Error<&str>) -> Vec<ProgramError> {
    let found = |part: &str| match part.chars().next() {
        None => "the program ends here".to_owned(),
        Some(_) if part.len() > 20 => format!("found {:?}…", part.chars().take(16).collect::<String>()),
        Some(_) => format!("found {part:?}"),
    };
    let at = |part: &str, expected: &str| ProgramError {
        within: within(code, part),
        message: format!("not a jq program: expected {expected}, {}", found(part)),
    };
    match error {
        load::Error::Io(imports) => imports
            .into_iter()
            .map(|(part, _)| ProgramError {
                within: within(code, part),
                message: "a jq program here imports nothing".to_owned(),
            })
            .collect(),
        load::Error::Lex(errors) => errors.into_iter().map(|(expected, part)| at(part, expected.as_str())).collect(),
        load::Error::Parse(errors) => errors.into_iter().map(|(expected, part)| at(part, expected.as_str())).collect(),
    }
}

fn undefined(code: &str, name: &str, what: &Undefined) -> ProgramError {
    let message = if LEFT_OUT.contains(&name) {
        format!("`{name}` is left out here: a program sees the message and nothing else, so that plan and apply agree")
    } else {
        match what {
            Undefined::Filter(arity) => format!("jq has no filter `{name}` with {arity} arguments"),
            Undefined::Var => {
                format!("there is no variable `{name}`; redrive gives {}", Bound::NAMES.join(", "))
            }
            other => format!("there is no {} `{name}`", other.as_str()),
        }
    };
    ProgramError { within: within(code, name), message }
}
