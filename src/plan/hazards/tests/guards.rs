//! What a plan says of guards.

use super::*;

fn guarded(guard: &str) -> World {
    let mut world = World::new();
    world.job = job(&format!("{JOB}[guard]\n{guard}\n"));
    world
}

fn text(world: &World, code: HazardCode) -> Option<String> {
    hazards(&world.facts()).into_iter().find(|hazard| hazard.code == code).map(|hazard| hazard.text)
}

#[test]
fn the_wait_of_a_canary_is_in_the_plan_and_so_is_what_it_cannot_see() {
    let mut world = guarded("canary = { messages = 50 }\nmax_bounced = \"2%\"\nmax_backlog = 5_000");
    let blind = text(&world, HazardCode::NothingComesBack).expect("a queue without a redrive policy");
    assert!(blind.contains("what fails in orders:"), "{blind}");
    world.queue().redrive_policy = redrives_to("elsewhere");
    world.queue().visibility_timeout_seconds = 30;
    assert_eq!(text(&world, HazardCode::NothingComesBack), None);
    let words = text(&world, HazardCode::Guarded).expect("guards");
    for part in [
        "a canary of 50 messages goes first (50 of \"all\"), and the others wait 2m 30s",
        "a minute; more than 2% that come back halt the run; sending slows while a destination holds more than 5,000.",
    ] {
        assert!(words.contains(part), "{part} in {words}");
    }
    assert_eq!(text(&World::new(), HazardCode::Guarded), None);
}

#[test]
fn a_job_that_aws_can_do_by_itself_says_so() {
    const PLAIN: &str = "version = 1\nname = \"j\"\nsource = { queue = \"orders-dlq\" }\n[destination.orders]\n\
                         sqs = { queue = \"orders\" }\n[unmatched]\nto = \"orders\"\n";
    let mut world = World::new();
    world.queue().redrive_policy = redrives_to("orders-dlq");
    assert_eq!(text(&world, HazardCode::AwsCould), None, "it has a rule and a cap");
    world.job = job(PLAIN);
    world.sample.population = 1_800_000;
    let words = text(&world, HazardCode::AwsCould).expect("a plain move");
    assert!(words.contains("in 1h at the least"), "{words}");
    world.job.limits.max_messages = Some(10);
    assert_eq!(text(&world, HazardCode::AwsCould), None);
    world.job = job(PLAIN);
    world.queue().redrive_policy = redrives_to("elsewhere");
    assert_eq!(text(&world, HazardCode::AwsCould), None, "it moves messages back, and nowhere else without a word");
}

#[test]
fn a_program_of_the_job_is_said_before_it_is_run() {
    let world = guarded("command = [\"./healthy\", \"--strict\"]");
    let words = text(&world, HazardCode::RunsCommand).expect("a caution");
    assert!(words.ends_with(": ./healthy --strict"), "{words}");
    assert!(reach(&world.job).iter().any(|hazard| hazard.code == HazardCode::RunsCommand), "a plan cannot hide it");
    let facts = Facts { command_missing: Some("./healthy: no such file"), ..world.facts() };
    assert!(hazards(&facts).iter().any(|hazard| hazard.code == HazardCode::CommandMissing));
}

#[test]
fn awss_own_redrive_that_is_at_work_is_a_danger_and_one_that_cannot_be_seen_is_said() {
    let mut world = World::new();
    world.move_task = Ok(Some(MoveTask { moved: 4_812, to_move: Some(10_000) }));
    let words = text(&world, HazardCode::MoveTaskAtWork).expect("it is at work");
    assert!(words.contains("out of orders-dlq: about 4,812 of 10,000 messages moved so far"), "{words}");
    world.move_task = Err("denied".to_owned());
    let words = text(&world, HazardCode::MoveTaskUnseen).expect("it cannot be seen");
    assert!(words.contains("on orders-dlq could not be seen (denied)"), "{words}");
    assert_eq!(text(&world, HazardCode::MoveTaskAtWork), None);
}
