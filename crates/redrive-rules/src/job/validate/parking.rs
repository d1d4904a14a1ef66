//! The parking queue of `[unmatched] park`: only for what is kept, none that the job uses otherwise, and no FIFO queue.

use redrive_protocol::target::KEEP;

use crate::job::finding::{Finding, Findings, Place};
use crate::job::queue_ref::QueueRef;
use crate::job::types::{Destination, Job};

use super::queue;

pub(super) fn check(job: &Job, findings: &mut Findings) {
    let Some(park) = &job.unmatched.park else { return };
    let place = Place::root().key("unmatched").key("park");
    let to = Place::root().key("unmatched").key("to");
    if job.unmatched.to != KEEP {
        let message = "only messages that are kept can be parked, and these go elsewhere";
        let finding = Finding::new(&place, message).help("leave `park` out, or say `to = \"keep\"`");
        findings.add(finding.also(to, "where they go"));
    }
    let access = park.access();
    let Some(parking) = queue::check(&park.queue, &access, &place, findings) else { return };
    let at = place.key("queue");
    let source = Place::root().key("source").key("queue");
    let sqs = job.destination.iter().filter_map(|(name, destination)| match destination {
        Destination::Sqs(sqs) => {
            Some((&sqs.queue, sqs.access(), Place::root().key("destination").key(name).key("sqs").key("queue")))
        }
        Destination::S3(_) | Destination::File(_) => None,
    });
    let used = std::iter::once((&job.source.queue, job.source.access(), source.clone())).chain(sqs);
    for (queue, its_access, used) in used {
        if queue.parse::<QueueRef>().is_ok_and(|queue| queue::same((&parking, &access), (&queue, &its_access))) {
            let message = "the parking queue must be one that the job does not use otherwise";
            findings.add(Finding::new(&at, message).also(used, "used here"));
        }
    }
    let is_fifo = job.source.queue.parse::<QueueRef>().is_ok_and(|queue| queue.is_fifo());
    if is_fifo || parking.is_fifo() {
        let message = "messages of a FIFO queue cannot be parked: they would come back behind those that were sent to their \
                       message group meanwhile";
        let help =
            "leave `park` out: of a FIFO queue only the first message of each group that stays is held in flight";
        let finding = Finding::new(&at, message).help(help);
        findings.add(if is_fifo { finding.also(source, "a FIFO queue") } else { finding });
    }
}

#[cfg(test)]
mod tests {
    fn problems(source: &str, unmatched: &str) -> String {
        let text = format!(
            "version = 1\nname = \"x\"\n[source]\nqueue = \"{source}\"\n[destination.out]\nsqs = {{ queue = \"out\" }}\n\
             [unmatched]\n{unmatched}\n"
        );
        crate::job::load("job.toml", &text).err().map(|errors| errors.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_parking_queue_is_for_what_is_kept_and_for_nothing_else() {
        for (source, unmatched, expected) in [
            ("dlq", "park = { queue = \"parking\" }", ""),
            ("dlq", "to = \"keep\"\npark = { queue = \"parking\", region = \"eu-west-1\" }", ""),
            ("dlq", "to = \"out\"\npark = { queue = \"parking\" }", "only messages that are kept can be parked"),
            ("dlq", "park = { queue = \"dlq\" }", "one that the job does not use otherwise"),
            ("dlq", "park = { queue = \"out\" }", "one that the job does not use otherwise"),
            ("dlq", "park = { queue = \"parking.fifo\" }", "messages of a FIFO queue cannot be parked"),
            ("dlq.fifo", "park = { queue = \"parking\" }", "messages of a FIFO queue cannot be parked"),
            ("dlq", "park = {}", "`unmatched.park` has no `queue`"),
        ] {
            let problems = problems(source, unmatched);
            assert!(
                problems.contains(expected) && problems.is_empty() == expected.is_empty(),
                "{unmatched}: {problems}"
            );
        }
    }
}
