//! jq, as conditions and transforms use it: compiled once, pure, and bounded. The only place that knows jaq.
//!
//! A program sees the message and nothing else: no environment, no clock, no files, no further input, so that plan and apply
//! judge alike. It cannot hang or end the process: its steps and its recursion are counted, and it runs on a stack of its own
//! that is large enough to drop whatever can be nested in a message. Memory is not bounded: a job file is trusted code.

mod program;
mod value;

use std::cell::Cell;
use std::ops::Range;

use jaq_core::{DataT, Error, Filter, Lut, Vars, data::HasLut};
use jaq_json::Val;
use redrive_protocol::message::{Attributes, SystemAttributes};

use super::json::Node;

/// A compiled program.
pub(super) struct Program {
    filter: Filter<Jq>,
}

/// Why a text is no program that can be used, and which of its bytes are meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProgramError {
    pub(super) within: Option<Range<usize>>,
    pub(super) message: String,
}

/// What a program knows of a message beside its body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound<'a> {
    pub(super) attributes: &'a Attributes,
    pub(super) system: &'a SystemAttributes,
    pub(super) message_id: &'a str,
    /// The source queue's name.
    pub(super) queue: &'a str,
}

/// Why a program made no value of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It yields nothing.
    Nothing,
    /// It yields more than one value.
    Several,
    /// It failed, or yields what JSON does not have. Says what kind of thing went wrong, and nothing of the message.
    Failed(String),
    /// It took too many steps or went too deep.
    GaveUp,
}

/// What a program may take: so many steps for any message, and so many more for each byte of its body.
const STEPS: u64 = 1_000_000;
const STEPS_A_BYTE: u64 = 50;

/// The stack that a program runs on. Values that a message of 1 MiB can make a program nest fit into it when they are dropped.
const STACK: usize = 64 << 20;
/// How much of it recursion may take.
const DEEPEST: usize = STACK / 2;

/// The stack that a program is read on, which fits the deepest that [`program::MAX_LENGTH`] lets one be. None of it is taken
/// before it is needed.
const STACK_TO_READ: usize = 256 << 20;

impl Program {
    /// Reads and compiles a program; all that is wrong with it at once.
    pub(super) fn parse(code: &str) -> Result<Self, Vec<ProgramError>> {
        let whole = |message: &str| vec![ProgramError { within: None, message: message.to_owned() }];
        if code.len() > program::MAX_LENGTH {
            return Err(whole(&format!("a jq program has at most {} bytes here", program::MAX_LENGTH)));
        }
        let compiled = on_own_stack(STACK_TO_READ, || program::compile(code));
        compiled.unwrap_or_else(|_| Err(whole("this jq program cannot be read"))).map(|filter| Self { filter })
    }

    /// The one value that it makes of a body of `size` bytes, as a JSON text.
    pub(super) fn run(&self, body: &Node<'_>, size: usize, bound: Bound<'_>) -> Result<String, Trouble> {
        let steps = u64::try_from(size).unwrap_or(u64::MAX).saturating_mul(STEPS_A_BYTE).saturating_add(STEPS);
        on_own_stack(STACK, || self.evaluate(body, steps, bound)).unwrap_or_else(|gave_up| {
            Err(if gave_up { Trouble::GaveUp } else { Trouble::Failed("a defect of the jq interpreter".to_owned()) })
        })
    }

    fn evaluate(&self, body: &Node<'_>, steps: u64, bound: Bound<'_>) -> Result<String, Trouble> {
        let base = 0_u8;
        let left = Cell::new(steps);
        let meter = Meter { lut: &self.filter.lut, left: &left, base: std::ptr::from_ref(&base).addr() };
        let context = jaq_core::Ctx::<Jq>::new(meter, Vars::new(bound.values()));
        let mut values = self.filter.id.run((context, value::read(body)));
        let value = match values.next() {
            None => return Err(Trouble::Nothing),
            Some(Err(exception)) => {
                return Err(Trouble::Failed(
                    exception.get_err().map_or_else(|_| "it broke off".to_owned(), |e| kind(&e)),
                ));
            }
            Some(Ok(value)) => value,
        };
        if values.next().is_some() {
            return Err(Trouble::Several);
        }
        value::write(&value).map_err(|what| Trouble::Failed(what.to_owned()))
    }
}

impl Bound<'_> {
    /// The names, in the order of [`Self::values`].
    const NAMES: [&'static str; 4] = ["$attributes", "$system", "$message_id", "$queue"];

    fn values(&self) -> [Val; 4] {
        let attributes = self.attributes.iter().map(|(name, attribute)| (name.as_str(), value::attribute(attribute)));
        let system = self.system.0.iter().map(|(name, text)| (name.as_str(), value::system(name, text)));
        [value::object(attributes), value::object(system), value::text(self.message_id), value::text(self.queue)]
    }
}

/// What went wrong, without the values that jaq's words hold: they are the message's.
fn kind(error: &Error<Val>) -> String {
    const TYPES: [&str; 6] =
        ["integer", "number", "string", "array", "iterable (array or object)", "rangeable (array or string)"];
    let words = error.to_string();
    let words = words.trim_matches('"');
    let wanted = words.rsplit_once(" as ").map(|(_, wanted)| wanted).filter(|wanted| TYPES.contains(wanted));
    match wanted {
        Some(wanted) if words.starts_with("cannot use ") => format!("a value is not {wanted}"),
        _ if words.starts_with("cannot index ") => "a value cannot be indexed like that".to_owned(),
        _ if words.starts_with("cannot calculate ") => "values of these types cannot be calculated with".to_owned(),
        _ if words.starts_with("cannot parse ") => "a text cannot be read".to_owned(),
        _ => "an error that the program raised".to_owned(),
    }
}

/// The types that programs run with: JSON values, and a meter for every step.
struct Jq;

impl DataT for Jq {
    type V<'a> = Val;
    type Data<'a> = Meter<'a>;
}

/// Counts. jaq asks for the program at each step, and has no other hook.
#[derive(Clone, Copy)]
struct Meter<'a> {
    lut: &'a Lut<Jq>,
    left: &'a Cell<u64>,
    /// Where the stack began.
    base: usize,
}

/// Unwinds out of a program that took too much.
struct GaveUp;

impl<'a> HasLut<'a, Jq> for Meter<'a> {
    fn lut(&self) -> &'a Lut<Jq> {
        let here = 0_u8;
        let depth = self.base.abs_diff(std::ptr::from_ref(&here).addr());
        match self.left.get().checked_sub(1) {
            Some(left) if depth < DEEPEST => self.left.set(left),
            // Not a panic: no message is printed, and `on_own_stack` is where it ends.
            _ => std::panic::resume_unwind(Box::new(GaveUp)),
        }
        self.lut
    }
}

/// Calls it on a thread with a large stack. An unwinding ends there: whether it gave up is the error.
fn on_own_stack<T: Send>(size: usize, call: impl FnOnce() -> T + Send) -> Result<T, bool> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("jq".to_owned()).stack_size(size).spawn_scoped(scope, call);
        let Ok(thread) = thread else { return Err(true) };
        thread.join().map_err(|payload| payload.is::<GaveUp>())
    })
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Program")
    }
}
