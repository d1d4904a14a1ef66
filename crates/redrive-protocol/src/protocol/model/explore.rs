//! Explores a model: every state that its steps reach, breadth first, so that the first wrong one has the shortest trace.
//! Knows nothing of what is modelled.
//!
//! Every fault of a model is counted and runs out, so in the end there are only the steps that lead on. A way round for ever,
//! or a state without a step that is no good end, is a run that does not end; but a way round on which somebody would only
//! have to wait, all the time, is none.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

use foldhash::quality::FixedState;

/// A model with more states than this is not bounded as it should be.
const MOST: usize = 1_000_000;

/// What can be explored.
pub(super) trait Model {
    /// All there is to know at one moment.
    type State: Clone + Hash;
    /// What can happen.
    type Step: Copy;

    /// Where it begins.
    fn start(&self) -> Self::State;
    /// What can happen here, and what comes of it.
    fn steps(&self, state: &Self::State) -> Vec<(Self::Step, Self::State)>;
    /// What must never be, in words.
    fn wrong(&self, state: &Self::State) -> Option<&'static str>;
    /// Whether this happens by itself, if one only waits.
    fn is_only_waiting(&self, step: Self::Step) -> bool;
    /// Why this is no end, in words; asked where nothing can happen any more.
    fn bad_end(&self, state: &Self::State) -> Option<&'static str>;
}

/// What was explored. States are known by 128 bits of digest and not kept: that two of a million have the same has a chance of
/// one in 10^26.
pub(super) struct Explored<M: Model> {
    /// By which step of which state each was first reached; the first is its own.
    parents: Vec<Option<(usize, M::Step)>>,
    /// How many steps lead from state to state.
    pub(super) transitions: usize,
    /// How many states have no step any more.
    pub(super) ends: usize,
    /// The first thing that is wrong, with the steps that lead to it.
    pub(super) finding: Option<Finding<M::Step>>,
}

/// Something wrong.
pub(super) struct Finding<S> {
    pub(super) what: &'static str,
    pub(super) trace: Vec<S>,
    /// The steps that lead from the trace's end to its end again, for ever.
    pub(super) again: Vec<S>,
}

impl<M: Model> Explored<M> {
    pub(super) fn count(&self) -> usize {
        self.parents.len()
    }

    /// The state before this one on the shortest way to it, and the step between; states are numbered by their distance.
    fn before(&self, at: usize) -> Option<(usize, M::Step)> {
        self.parents[at]
    }

    /// The shortest way to a state.
    fn trace(&self, at: usize) -> Vec<M::Step> {
        let back = std::iter::successors(self.before(at), |(before, _)| self.before(*before));
        let mut trace: Vec<M::Step> = back.map(|(_, step)| step).collect();
        trace.reverse();
        trace
    }
}

/// Explores until something is wrong or there is nothing new.
pub(super) fn explore<M: Model>(model: &M) -> Explored<M> {
    let start = model.start();
    let mut known = HashMap::from([(digest(&start), 0)]);
    let mut seen = Explored { parents: vec![None], transitions: 0, ends: 0, finding: None };
    let mut successors: Vec<Vec<(usize, M::Step)>> = Vec::new();
    let mut to_visit = VecDeque::from([start]);
    while let Some(state) = to_visit.pop_front() {
        let here = successors.len();
        let steps = model.steps(&state);
        if steps.is_empty() {
            seen.ends += 1;
        }
        let wrong = model.wrong(&state).or_else(|| if steps.is_empty() { model.bad_end(&state) } else { None });
        if let Some(what) = wrong {
            seen.finding = Some(Finding { what, trace: seen.trace(here), again: Vec::new() });
            return seen;
        }
        if here == MOST {
            let what = "there is no end of states";
            seen.finding = Some(Finding { what, trace: seen.trace(here), again: Vec::new() });
            return seen;
        }
        let mut next = Vec::with_capacity(steps.len());
        for (step, state) in steps {
            let there = *known.entry(digest(&state)).or_insert_with(|| {
                to_visit.push_back(state);
                seen.parents.push(Some((here, step)));
                seen.parents.len() - 1
            });
            next.push((there, step));
        }
        seen.transitions += next.len();
        successors.push(next);
    }
    if let Some((at, again)) = endless(model, &successors) {
        seen.finding = Some(Finding { what: "it goes round for ever", trace: seen.trace(at), again });
    }
    seen
}

fn digest(state: &impl Hash) -> (u64, u64) {
    let half = |seed| FixedState::with_seed(seed).hash_one(state);
    (half(1), half(2))
}

/// A way round for ever that patience does not end: from the first state, in the order of their distance from the start, that
/// is in a strongly connected component with such a way.
fn endless<M: Model>(model: &M, successors: &[Vec<(usize, M::Step)>]) -> Option<(usize, Vec<M::Step>)> {
    let components = components(successors);
    let within = |from: usize, to: usize| components[from] == components[to];
    // A state where waiting alone does nothing, or a step by which waiting did not lead out: round that one it may go for ever.
    let patient = |at: usize| successors[at].iter().any(|(_, step)| model.is_only_waiting(*step));
    (0..successors.len()).find_map(|at| {
        let round = successors[at]
            .iter()
            .find(|(there, step)| within(at, *there) && (!patient(at) || model.is_only_waiting(*step)))?;
        let mut again = vec![round.1];
        again.extend(way(successors, round.0, at, |there| within(at, there))?);
        Some((at, again))
    })
}

/// The shortest way between two states, through such states only.
fn way<S: Copy>(
    successors: &[Vec<(usize, S)>],
    from: usize,
    to: usize,
    through: impl Fn(usize) -> bool,
) -> Option<Vec<S>> {
    let mut parents: HashMap<usize, Option<(usize, S)>> = HashMap::from([(from, None)]);
    let mut queue = VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            let (mut steps, mut at) = (Vec::new(), at);
            while let Some((before, step)) = parents[&at] {
                steps.push(step);
                at = before;
            }
            steps.reverse();
            return Some(steps);
        }
        for &(there, step) in successors[at].iter().filter(|(there, _)| through(*there)) {
            parents.entry(there).or_insert_with(|| {
                queue.push_back(there);
                Some((at, step))
            });
        }
    }
    None
}

/// For each state the number of its strongly connected component (Tarjan's algorithm, without recursion); states without a
/// way back to themselves have one each.
fn components<S>(successors: &[Vec<(usize, S)>]) -> Vec<usize> {
    const NEW: usize = usize::MAX;
    let (mut order, mut low) = (vec![NEW; successors.len()], vec![NEW; successors.len()]);
    let (mut component, mut open, mut path, mut count) = (vec![NEW; successors.len()], Vec::new(), Vec::new(), 0);
    for root in 0..successors.len() {
        if order[root] == NEW {
            path.push((root, 0));
        }
        while let Some((at, next)) = path.pop() {
            if next == 0 {
                (order[at], low[at]) = (count, count);
                count += 1;
                open.push(at);
            }
            if let Some((there, _)) = successors[at].get(next) {
                path.push((at, next + 1));
                if order[*there] == NEW {
                    path.push((*there, 0));
                } else if component[*there] == NEW {
                    low[at] = low[at].min(order[*there]);
                }
                continue;
            }
            if low[at] == order[at] {
                while let Some(member) = open.pop() {
                    component[member] = at;
                    if member == at {
                        break;
                    }
                }
            }
            if let Some((before, _)) = path.last() {
                low[*before] = low[*before].min(low[at]);
            }
        }
    }
    component
}
