//! `redrive approve`, and the approvals beside a plan that `apply` counts and `show` lists.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{read_bytes, read_plan, signature};
use crate::cli::{ApproveArgs, Format};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::plan::{self, Approval, Approver, MAX_APPROVAL_BYTES, Plan};
use crate::view::output;

pub(super) fn approve(args: &ApproveArgs) -> Result<Exit> {
    let plan = read_plan(&args.plan)?;
    let now = jiff::Timestamp::now();
    plan::check_time(&plan, now)?;
    let approval = Approval::new(&plan, &args.by, args.comment.as_deref(), now)?;
    let text = approval.to_text()?;
    let file = plan::approval_file(&args.plan, approval.by());
    let earlier = earlier(&file, &plan);
    // Before anything is written: an approval without the signature that was asked for is none.
    let signed = args.sign.as_ref().map(|key| signature::sign(key, text.as_bytes())).transpose()?;
    // An approval that is made anew does not fit an older signature.
    let signature = signature_file(&file);
    plan::check_approval(&file)?;
    plan::check_signature(&signature)?;
    if let Err(error) = std::fs::remove_file(&signature)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(Error::failed(format!("{} cannot be replaced: {error}", signature.display())));
    }
    plan::write_approval(&file, text.as_bytes())?;
    if let Some(signed) = &signed {
        plan::write_approval(&signature, signed)?;
    }
    if let Some(earlier) = earlier {
        output::note(&replaced(&earlier));
    }
    if plan.is_author(approval.by()) {
        let by = approval.by();
        output::note(&format!("{by} made the plan: this approval is kept, and --require-approvals does not count it"));
    }
    if let Some(allowed) = &args.allowed_signers
        && let Err(why) = look(&file, &plan, Some(allowed))?
    {
        output::note(&format!("with --allowed-signers {} this approval does not count: {why}", allowed.display()));
    }
    match args.format {
        Format::Json => output::json_line(&approval)?,
        Format::Text => {
            let how = if signed.is_some() { ", signed" } else { "" };
            let (plan, by) = (plan.id(), approval.by());
            output::line(&format!("Plan {plan} is approved by {by}{how}: {}", file.display()))?;
        }
    }
    Ok(Exit::Done)
}

/// The approval of this plan that is about to be replaced: one person has one.
fn earlier(file: &Path, plan: &Plan) -> Option<Approver> {
    let bytes = std::fs::read(file).ok()?;
    Approval::parse(&bytes, plan).ok().map(Approval::approver)
}

fn replaced(earlier: &Approver) -> String {
    let comment = match &earlier.comment {
        Some(comment) => format!("the comment {comment:?}"),
        None => "no comment".to_owned(),
    };
    format!("this replaces the approval that {} gave at {}, with {comment}", earlier.by, earlier.at)
}

/// Who approved a plan, by the files beside it, and why others of these files do not count.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) approvers: Vec<Approver>,
    pub(super) others: Vec<String>,
}

/// Looks for approvals beside a plan. With a file of allowed signers, only those count whose signatures it vouches for.
pub(super) fn found(file: &Path, plan: &Plan, allowed_signers: Option<&Path>) -> Result<Found> {
    if let Some(allowed) = allowed_signers {
        // Else each approval would be said to be at fault.
        read_bytes(allowed)?;
    }
    let mut found = Found::default();
    for path in files(file) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match look(&path, plan, allowed_signers)? {
            Ok(approver) => found.approvers.push(approver),
            Err(why) => found.others.push(format!("{name}: {why}")),
        }
    }
    Ok(found)
}

/// The files beside the plan that are named as its approvals, in the order of their names.
pub(super) fn files(plan: &Path) -> Vec<PathBuf> {
    let (Some(name), Some(parent)) = (plan.file_name().and_then(|name| name.to_str()), plan.parent()) else {
        return Vec::new();
    };
    let directory = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    // A plan that came through a pipe has nothing beside it.
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let is_approval = |path: &PathBuf| {
        let found = path.file_name().and_then(|name| name.to_str());
        found.is_some_and(|found| plan::is_approval_file(found, name))
    };
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| parent.join(entry.file_name())).filter(is_approval).collect();
    files.sort();
    files
}

fn look(path: &Path, plan: &Plan, allowed_signers: Option<&Path>) -> Result<Result<Approver, String>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_APPROVAL_BYTES).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Ok(Err(format!("it cannot be read: {error}")));
    }
    let approval = match Approval::parse(&bytes, plan) {
        Ok(approval) => approval,
        Err(why) => return Ok(Err(why)),
    };
    let signature = signature_file(path);
    let signed = signature.exists();
    let key = match allowed_signers {
        None => None,
        Some(_) if !signed => return Ok(Err("it is not signed".to_owned())),
        Some(allowed) => match signature::verify(allowed, approval.by(), &bytes, &signature)? {
            Ok(key) => Some(key),
            Err(why) => return Ok(Err(format!("its signature does not hold: {why}"))),
        },
    };
    Ok(Ok(Approver { key, signed, ..approval.approver() }))
}

fn signature_file(approval: &Path) -> PathBuf {
    let mut name = approval.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}
