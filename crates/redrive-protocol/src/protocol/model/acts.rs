//! What can happen, and the words for it in a trace.

use std::fmt;

use super::super::Resolution;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Begin(usize),
    GiveBack,
    Receive,
    ReceiveBoth,
    LoseReceive,
    Duplicate,
    Admit { newest: bool },
    AdmitBatch,
    Judge,
    JudgeBatch,
    Send,
    Behind,
    Late,
    Lapse,
    Withdraw,
    Arrive,
    ArriveLate,
    NotTaken,
    Refuse,
    Damage,
    LoseAnswer,
    Settle,
    SettleBatch,
    Decide,
    Delete,
    RefuseHandle,
    LoseDelete { done: bool },
    NoteDelete,
    Stop,
    Kill,
    Turn,
    Resolve(usize, Resolution),
    End { released: bool },
    Expire,
    Reappear,
    Go,
    Sleep,
    Take,
    PassWindow,
}

/// A step; the message if it is about one, and whether it is the one that was there, what was parked of it, or what came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) message: usize,
    pub(super) form: &'static str,
    pub(super) act: Act,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.act {
            Act::Begin(run) => return write!(f, "a session of run {} begins", ["A", "B"][run]),
            Act::Stop => return f.write_str("the process is told to stop"),
            Act::Kill => return f.write_str("the process is killed"),
            Act::End { released: true } => return f.write_str("the session ends, and gives back what stays"),
            Act::End { released: false } => return f.write_str("the session ends, and cannot give back what stays"),
            Act::Sleep => return f.write_str("the process sleeps for longer than the visibility timeout"),
            Act::ReceiveBoth => return f.write_str("both messages are received, in their order"),
            Act::Turn => {
                return f.write_str("the source has been gone through, and what is parked is to be brought back");
            }
            Act::AdmitBatch => return f.write_str("all that was received is admitted by the journal"),
            Act::JudgeBatch => return f.write_str("all are judged"),
            Act::SettleBatch => return f.write_str("the ends of all sends go on disk"),
            Act::Resolve(run, resolution) => {
                let run = ["A", "B"][run];
                return write!(f, "somebody decides about what run {run} has in doubt: {}", resolution.code());
            }
            Act::GiveBack => "what an earlier session had received is given back",
            Act::Receive => "received",
            Act::LoseReceive => "received, and the answer is lost",
            Act::Duplicate => "delivered once more while it is in flight",
            Act::Admit { newest: true } => "admitted by the journal",
            Act::Admit { newest: false } => "admitted by the journal, with a handle that is not the newest",
            Act::Judge => "judged",
            Act::Send => "a request to send it goes out",
            Act::Behind => "stays, because the one before it stays",
            Act::Late => "not sent again, because its time for that is over",
            Act::Lapse => "not sent, because it may be somebody else's by now",
            Act::Withdraw => "withdrawn before it was sent",
            Act::Arrive => "arrives, and is acknowledged",
            Act::ArriveLate => "arrives by the request that nobody waits for any more",
            Act::NotTaken => "its entry fails, and it does not arrive",
            Act::Refuse => "the destination refuses it",
            Act::Damage => "arrives with another digest",
            Act::LoseAnswer => "the answer is lost",
            Act::Settle => "the end of the send goes on disk",
            Act::Decide => "what to do about the doubt is decided",
            Act::Delete => "deleted, says the source",
            Act::RefuseHandle => "the source will not have its handle",
            Act::LoseDelete { done: true } => "deleted, and the answer is lost",
            Act::LoseDelete { done: false } => "not deleted, and the answer is lost",
            Act::NoteDelete => "the end of the delete goes on disk",
            Act::Expire => "its visibility timeout runs out",
            Act::Reappear => "reappears after its delete",
            Act::Take => "somebody else receives, handles and deletes it",
            Act::Go => "goes from the source by itself",
            Act::PassWindow => "the deduplication window passes",
        };
        write!(f, "message {}{}: {text}", self.message + 1, self.form)
    }
}
