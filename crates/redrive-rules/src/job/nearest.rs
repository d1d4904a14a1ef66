//! The nearest valid name to one that is not, for "did you mean". Knows nothing of jobs.

/// The nearest of `names` to what was written, where one is near enough to be meant.
pub fn nearest<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let wanted = plain(written);
    if wanted.is_empty() {
        return None;
    }
    let distance = |name: &str| strsim::damerau_levenshtein(&wanted, &plain(name));
    let (name, distance) =
        names.into_iter().map(|name| (name, distance(name))).min_by_key(|(_, distance)| *distance)?;
    // A third of the letters may be wrong: more would name things that have nothing to do with each other.
    let length = wanted.chars().count().max(plain(name).chars().count());
    (distance * 3 <= length).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["queue", "region", "profile", "endpoint_url", "role_arn"];
        assert_eq!(nearest("quene", names), Some("queue"));
        assert_eq!(nearest("Queue", names), Some("queue"));
        assert_eq!(nearest("endpoint-url", names), Some("endpoint_url"));
        assert_eq!(nearest("rolearn", names), Some("role_arn"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest("x", names), None);
        assert_eq!(nearest("queue", []), None);
    }
}
