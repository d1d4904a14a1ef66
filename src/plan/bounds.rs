//! The bounds that apply keeps within, and what to do with a plan that has none: its sample does not speak for the queue, so
//! somebody must say what may leave, or look at more.

use super::document::Plan;
use crate::error::{Error, Result};
use crate::sqs::MAX_IN_FLIGHT;
use crate::words::{count, quoted, thousands};

impl Plan {
    /// Whether some rule may move any number of messages.
    fn is_unbounded(&self) -> bool {
        self.rules.iter().any(|rule| rule.bound.is_none())
    }
}

/// Refuses a plan that bounds nothing, unless the job does or somebody accepts it. `file` is what `apply` was given.
pub fn require_bounds(plan: &Plan, max_messages: Option<u64>, allow_drift: bool, file: &str) -> Result<()> {
    if allow_drift || max_messages.is_some() || !plan.is_unbounded() {
        return Ok(());
    }
    let (job, population) = (quoted(&plan.job.file), plan.sample.population);
    let look = if population <= MAX_IN_FLIGHT {
        format!("look at every message first: `redrive plan {job} --sample all --out FILE`; or cap the run: ")
    } else {
        "cap the run: ".to_owned()
    };
    Err(Error::plan_refused(format!(
        "the plan looked at {} of about {}, which does not show what the others are: nothing bounds what may leave",
        thousands(plan.sample.messages),
        count(population, "message")
    ))
    .hint(format!(
        "nothing was moved; {look}[limits] max_messages in {job}; or accept whatever is there: `redrive apply {} \
         --allow-drift`",
        quoted(file)
    )))
}

#[cfg(test)]
mod tests {
    use super::super::evenness::{Basis, Unevenness};
    use super::super::fake::plan;
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_plan_without_bounds_is_refused_with_the_commands_that_go_on() {
        assert!(require_bounds(&plan(), None, false, "p.json").is_ok());
        let mut unbounded = plan();
        unbounded.sample.basis = Basis::Uneven(Unevenness::ByAge);
        unbounded.rules[0].bound = None;
        let hint = |plan: &Plan| {
            let error = require_bounds(plan, None, false, "p q.json").expect_err("refused");
            assert_eq!(error.exit(), Exit::Refused);
            error.hint_text().expect("what to do").to_owned()
        };
        assert_eq!(
            hint(&unbounded),
            "nothing was moved; look at every message first: `redrive plan jobs/orders-dlq.toml --sample all --out FILE`; or cap \
             the run: [limits] max_messages in jobs/orders-dlq.toml; or accept whatever is there: `redrive apply 'p q.json' \
             --allow-drift`"
        );
        assert!(require_bounds(&unbounded, Some(5), false, "p.json").is_ok());
        assert!(require_bounds(&unbounded, None, true, "p.json").is_ok());
        unbounded.sample.population = 1_000_000;
        assert!(!hint(&unbounded).contains("--sample all"));
    }
}
