//! The cap: how often one message may be redriven, counted in a message attribute that travels with it.

use redrive_protocol::message::{Attribute, AttributeValue, Attributes};
use redrive_protocol::target::Reason;

use super::number::Decimal;
use super::{Blocked, Route};

/// `[retry]`, compiled.
#[derive(Debug)]
pub(super) struct Cap {
    pub(super) attribute: String,
    pub(super) max: u32,
    pub(super) exhausted: Route,
}

/// What the cap says about a message that is bound for a queue.
pub(super) enum Count {
    /// It has been redriven often enough.
    Exhausted,
    /// It may go once more, with this counter.
    Next(Attribute),
}

impl Cap {
    /// Reads the counter: absent is zero. What is there must be a whole number of type `Number`; a text would change its type
    /// under the consumer's feet if it were raised.
    pub(super) fn count(&self, attributes: &Attributes) -> Result<Count, Blocked> {
        let Some(counter) = attributes.get(&self.attribute) else {
            return Ok(self.after(0, "Number".to_owned()));
        };
        if !counter.is_number() {
            let detail = format!("attribute {} is a {}, a Number was expected", self.attribute, counter.data_type);
            return Err(Blocked::new(Reason::CounterUnreadable, detail));
        }
        let count = counter.text().and_then(Decimal::parse).and_then(|number| number.whole());
        let count =
            count.ok_or_else(|| Blocked::new(Reason::CounterUnreadable, format!("attribute {}", self.attribute)))?;
        Ok(self.after(count, counter.data_type.clone()))
    }

    fn after(&self, count: u64, data_type: String) -> Count {
        if count >= u64::from(self.max) {
            return Count::Exhausted;
        }
        Count::Next(Attribute { data_type, value: AttributeValue::Text((count + 1).to_string()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(data_type: &str, value: &str, max: u32) -> String {
        let cap = Cap { attribute: "retryCount".to_owned(), max, exhausted: Route::Keep };
        let counter = Attribute { data_type: data_type.to_owned(), value: AttributeValue::Text(value.to_owned()) };
        match cap.count(&Attributes::from([("retryCount".to_owned(), counter)])) {
            Ok(Count::Exhausted) => "exhausted".to_owned(),
            Ok(Count::Next(next)) => format!("{} {}", next.data_type, next.text().unwrap_or_default()),
            Err(blocked) => blocked.reason.code().to_owned(),
        }
    }

    #[test]
    fn counts_up_to_max_and_not_beyond() {
        for (data_type, value, expected) in [
            ("Number", "0", "Number 1"),
            ("Number", "2", "Number 3"),
            ("Number", "3", "exhausted"),
            ("Number", "4", "exhausted"),
            ("Number.int", "1", "Number.int 2"),
            ("Number", "1.0", "Number 2"),
            ("Number", "99999999999999999999999999", "exhausted"),
            ("Number", "1e999999999", "exhausted"),
            ("Number", "-1", "counter_unreadable"),
            ("Number", "1.5", "counter_unreadable"),
            ("Number", "", "counter_unreadable"),
            ("Number", "one", "counter_unreadable"),
            ("String", "1", "counter_unreadable"),
            ("Numbers", "1", "counter_unreadable"),
        ] {
            assert_eq!(count(data_type, value, 3), expected, "{data_type} {value:?}");
        }
    }

    #[test]
    fn absent_is_zero_and_a_cap_of_zero_lets_nothing_go() {
        let cap = |max| Cap { attribute: "n".to_owned(), max, exhausted: Route::Keep };
        let next = cap(1).count(&Attributes::new());
        assert!(matches!(next, Ok(Count::Next(next)) if next == Attribute::number(1)));
        assert!(matches!(cap(0).count(&Attributes::new()), Ok(Count::Exhausted)));
    }
}
