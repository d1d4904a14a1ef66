//! Sentences that are one sentence with other names and numbers in it: templates, as in log template mining. Numbers, IDs and
//! quoted parts are masked already (`mask`); here words that vary are found by comparing sentences.
//!
//! Drain and its like take one line after the other, and so their templates depend on the order. Here all sentences are there
//! at once, as hashes: words that are rare at their place are masked, then places at which many words stand among the same
//! others, and what is left is joined from the most frequent sentence down.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::mask::{WILD, is_plain};

/// So many different words at one place, with the same others around them, are names and not words.
const MANY: usize = 4;

/// Sentences that are compared, the most frequent ones, and templates.
const MOST_SENTENCES: usize = 20_000;
const MOST_TEMPLATES: usize = 512;

/// The template of each sentence, by number; none for a sentence whose template fewer than `floor` sentences have.
pub(crate) fn templates(sentences: &[&[u32]], floor: usize) -> Vec<Option<u32>> {
    let mut forms: Vec<Vec<u32>> = sentences.iter().map(|sentence| sentence.to_vec()).collect();
    mask_rare(&mut forms, floor);
    let mut counts: BTreeMap<&[u32], usize> = BTreeMap::new();
    for form in &forms {
        *counts.entry(form).or_default() += 1;
    }
    // From each form to what became of it.
    let varied = mask_varying(counts.keys().copied());
    let mut by_form: BTreeMap<&[u32], usize> = BTreeMap::new();
    for (form, count) in &counts {
        *by_form.entry(&varied[form]).or_default() += count;
    }
    let joined = join(&by_form);
    let mut support: HashMap<u32, usize> = HashMap::new();
    for (form, count) in &by_form {
        if let Some(template) = joined.get(form) {
            *support.entry(*template).or_default() += count;
        }
    }
    let template = |form: &Vec<u32>| {
        let template = *joined.get(varied[form.as_slice()].as_slice())?;
        (support[&template] >= floor).then_some(template)
    };
    forms.iter().map(template).collect()
}

/// Masks words that are rare at their place among the sentences of the same length. One place after the other, since of words
/// that are ever new there are millions over all places.
fn mask_rare(forms: &mut [Vec<u32>], floor: usize) {
    let mut by_length: BTreeMap<usize, Vec<&mut Vec<u32>>> = BTreeMap::new();
    for form in forms {
        by_length.entry(form.len()).or_default().push(form);
    }
    for (length, forms) in &mut by_length {
        for place in 0..*length {
            let mut support: HashMap<u32, usize> = HashMap::new();
            for form in forms.iter() {
                *support.entry(form[place]).or_default() += 1;
            }
            for form in forms.iter_mut() {
                if support[&form[place]] < floor {
                    form[place] = WILD;
                }
            }
        }
        for form in forms {
            collapse(form);
        }
    }
}

/// Masked words that follow each other are one.
fn collapse(form: &mut Vec<u32>) {
    form.dedup_by(|next, before| *next == WILD && *before == WILD);
}

/// Masks places at which many words stand among the same others.
fn mask_varying<'f>(forms: impl Iterator<Item = &'f [u32]>) -> BTreeMap<&'f [u32], Vec<u32>> {
    let mut varied: BTreeMap<&[u32], Vec<u32>> = forms.map(|form| (form, form.to_vec())).collect();
    let longest = varied.keys().map(|form| form.len()).max().unwrap_or(0);
    for place in 0..longest {
        let mut seen: HashMap<Vec<u32>, BTreeSet<u32>> = HashMap::new();
        let without = |form: &Vec<u32>| {
            let mut others = form.clone();
            others[place] = WILD;
            others
        };
        for form in varied.values().filter(|form| form.len() > place && form.len() > 1) {
            let words = seen.entry(without(form)).or_default();
            if words.len() < MANY {
                words.insert(form[place]);
            }
        }
        for form in varied.values_mut().filter(|form| form.len() > place && form.len() > 1) {
            let others = without(form);
            // Of a sentence of which nothing else is known, the word is all there is.
            let has_others = others.iter().any(|word| *word != WILD);
            if has_others && seen.get(&others).is_some_and(|words| words.len() >= MANY) {
                *form = others;
            }
        }
    }
    varied.values_mut().for_each(collapse);
    varied
}

/// Joins forms that differ in names alone, from the most frequent one down.
fn join<'f>(by_form: &BTreeMap<&'f [u32], usize>) -> HashMap<&'f [u32], u32> {
    let mut forms: Vec<(&[u32], usize)> = by_form.iter().map(|(form, count)| (*form, *count)).collect();
    forms.sort_by(|(form, count), (other, others)| others.cmp(count).then_with(|| form.cmp(other)));
    let mut templates: Vec<Vec<u32>> = Vec::new();
    let mut joined = HashMap::new();
    for (form, _) in forms.into_iter().take(MOST_SENTENCES) {
        let fit = templates.iter().enumerate().find_map(|(number, template)| Some((number, common(template, form)?)));
        let number = match fit {
            Some((number, common)) => {
                templates[number] = common;
                number
            }
            None if templates.len() < MOST_TEMPLATES => {
                templates.push(form.to_vec());
                templates.len() - 1
            }
            None => continue,
        };
        joined.insert(form, u32::try_from(number).unwrap_or(u32::MAX));
    }
    // Names of one word and of two make templates that are the same in the end.
    let mut same: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
    let ends: Vec<u32> = templates
        .into_iter()
        .zip(0..)
        .map(|(mut template, number)| {
            collapse(&mut template);
            *same.entry(template).or_insert(number)
        })
        .collect();
    for number in joined.values_mut() {
        *number = ends[*number as usize];
    }
    joined
}

/// What two forms have in common that say the same about other names: no plain word differs, and not too much else.
fn common(one: &[u32], other: &[u32]) -> Option<Vec<u32>> {
    if one.len() != other.len() {
        return around_a_name(one, other);
    }
    let (mut same, mut different) = (0, 0);
    for (word, with) in one.iter().zip(other) {
        if word == with {
            same += usize::from(*word != WILD);
        } else if *word != WILD && *with != WILD && is_plain(*word) && is_plain(*with) {
            return None;
        } else {
            different += 1;
        }
    }
    let is_common = same > 0 && different * 5 <= one.len() * 2;
    is_common.then(|| one.iter().zip(other).map(|(word, with)| if word == with { *word } else { WILD }).collect())
}

/// The same where a name is of more words in one than in the other, and is masked in one of them.
fn around_a_name(one: &[u32], other: &[u32]) -> Option<Vec<u32>> {
    let before = one.iter().zip(other).take_while(|(word, with)| word == with).count();
    let most = one.len().min(other.len()) - before;
    let behind = one.iter().rev().zip(other.iter().rev()).take(most).take_while(|(word, with)| word == with).count();
    let name = |form: &[u32]| -> Option<bool> {
        let words = &form[before..form.len() - behind];
        let is_name = (1..=3).contains(&words.len()) && !words.iter().any(|word| *word != WILD && is_plain(*word));
        is_name.then(|| words.contains(&WILD))
    };
    // More is said around it than in it.
    let is_one = (name(one)? | name(other)?) && 2 * (before + behind) > one.len().max(other.len());
    is_one.then(|| [&one[..before], &[WILD], &one[one.len() - behind..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::words;

    fn hashes(text: &str) -> Vec<u32> {
        words(text).into_iter().map(|word| word.hash).collect()
    }

    fn numbers(texts: &[String], floor: usize) -> Vec<Option<u32>> {
        let sentences: Vec<Vec<u32>> = texts.iter().map(|text| hashes(text)).collect();
        templates(&sentences.iter().map(Vec::as_slice).collect::<Vec<_>>(), floor)
    }

    #[test]
    fn names_vary_and_verbs_tell_apart() {
        let names = ["Anna", "Bob", "Carla", "Dilek", "Anna Maria", "Eve", "Jean Luc"];
        let verbs = ["charge", "refund"];
        let texts: Vec<String> = (0..140)
            .map(|n| format!("could not {} the card of {} for order {n}", verbs[n % 2], names[n % names.len()]))
            .collect();
        let found = numbers(&texts, 3);
        assert!(found.iter().all(Option::is_some), "{found:?}");
        let distinct: BTreeSet<_> = found.iter().collect();
        assert_eq!(distinct.len(), 2, "{found:?}");
        assert_eq!(found[0], found[2]);
        assert_ne!(found[0], found[1]);
    }

    #[test]
    fn the_order_changes_nothing() {
        let texts: Vec<String> = (0..200)
            .map(|n| {
                format!(
                    "{} {} of {} failed",
                    ["Load", "Save"][n % 2],
                    ["blue", "red", "green"][n % 3],
                    ["A", "B", "C", "D", "E"][n % 5]
                )
            })
            .collect();
        let forwards = numbers(&texts, 2);
        let backwards: Vec<String> = texts.iter().rev().cloned().collect();
        let mut found = numbers(&backwards, 2);
        found.reverse();
        assert_eq!(forwards, found);
    }
}
