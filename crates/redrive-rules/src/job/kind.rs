//! The kinds of transform: one place that knows which key of the job file makes which. What they do is `rule`'s business.

use super::types::Transform;

/// The kinds of transform, by the keys that a [`Transform`] has exactly one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransformKind {
    /// Sets a place in the body.
    Set,
    /// Removes a place in the body.
    Remove,
    /// Moves a value in the body to another name.
    Rename,
    /// Makes a part of the body the body.
    Unwrap,
    /// Makes of the body what a jq program yields.
    Jq,
    /// Sets a message attribute.
    SetAttribute,
    /// Removes a message attribute.
    RemoveAttribute,
    /// Sends the message without its `AWSTraceHeader`.
    RemoveTraceHeader,
}

impl TransformKind {
    /// All of them, in the order of the reference.
    pub const ALL: &[Self] = &[
        Self::Set,
        Self::Remove,
        Self::Rename,
        Self::Unwrap,
        Self::Jq,
        Self::SetAttribute,
        Self::RemoveAttribute,
        Self::RemoveTraceHeader,
    ];

    /// Its key in the job file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Unwrap => "unwrap",
            Self::Jq => "jq",
            Self::SetAttribute => "set_attribute",
            Self::RemoveAttribute => "remove_attribute",
            Self::RemoveTraceHeader => "remove_trace_header",
        }
    }
}

impl Transform {
    /// The kinds that are written here, each with its path, name or program; a valid transform has one.
    pub fn kinds(&self) -> Vec<(TransformKind, &str)> {
        let subject = |kind| match kind {
            TransformKind::Set => self.set.as_deref(),
            TransformKind::Remove => self.remove.as_deref(),
            TransformKind::Rename => self.rename.as_deref(),
            TransformKind::Unwrap => self.unwrap.as_deref(),
            TransformKind::Jq => self.jq.as_deref(),
            TransformKind::SetAttribute => self.set_attribute.as_deref(),
            TransformKind::RemoveAttribute => self.remove_attribute.as_deref(),
            TransformKind::RemoveTraceHeader => self.remove_trace_header.map(|_| "AWSTraceHeader"),
        };
        TransformKind::ALL.iter().filter_map(|kind| Some((*kind, subject(*kind)?))).collect()
    }
}
