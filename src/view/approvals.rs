//! Who approved a plan, for the plan itself and for the report of its run. Pure.

use super::document::{Block, Column, Line, Row, heading, ours, plain, row, theirs};
use super::units;
use crate::plan::Approver;

/// The approvals as a part of a document; nothing where there are none.
pub(super) fn blocks(approvers: &[Approver]) -> Vec<Block> {
    if approvers.is_empty() {
        return Vec::new();
    }
    let columns = vec![Column::text("who"), Column::text("when"), Column::text("signature"), Column::text("comment")];
    let approval = |approver: &Approver| -> Row {
        let comment = approver.comment.as_ref().map_or_else(|| ours("-"), theirs);
        row(vec![theirs(&approver.by), plain(units::time(approver.at)), signature(approver), comment])
    };
    vec![heading("Approvals"), Block::Table(columns, approvers.iter().map(approval).collect())]
}

fn signature(approver: &Approver) -> Line {
    match (&approver.key, approver.signed) {
        (Some(key), _) => ours("verified, ").theirs(key),
        (None, true) => ours("not verified"),
        (None, false) => ours("none"),
    }
}
