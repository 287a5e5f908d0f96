//! Where does a sequence go on so that it gives no key that is in use?

/// What `pg_sequence` says of a sequence, and the column that it feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first value of a sequence that gave none yet.
    pub start: i64,
    /// The smallest value that it gives.
    pub least: i64,
    /// The greatest one.
    pub most: i64,
    /// What is added each time; below zero where it counts down. Never 0.
    pub increment: i64,
    /// It begins anew at its other end instead of failing.
    pub cycles: bool,
    /// The smallest and the greatest value that its column can hold.
    pub holds: (i64, i64),
}

impl Bounds {
    /// What `nextval()` gives after a last value; `None` where it fails.
    #[must_use]
    pub fn after(&self, last: i64, is_called: bool) -> Option<i64> {
        if !is_called {
            return Some(last);
        }
        let past = last.checked_add(self.increment).filter(|next| (self.least..=self.most).contains(next));
        past.or_else(|| self.cycles.then_some(if self.increment > 0 { self.least } else { self.most }))
    }

    /// Whether it comes back to keys in use when it has been through all of its values.
    #[must_use]
    pub fn begins_anew(&self, used: &Used) -> bool {
        self.cycles && used.range.is_some_and(|(least, most)| least <= self.most && most >= self.least)
    }
}

/// The smallest and the greatest key in use; `None` where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Both of them.
    pub range: Option<(i64, i64)>,
}

impl Used {
    /// One key more.
    pub fn add(&mut self, key: i64) {
        let (least, most) = self.range.unwrap_or((key, key));
        self.range = Some((least.min(key), most.max(key)));
    }

    /// All of these too.
    pub fn extend(&mut self, other: Used) {
        if let Some((least, most)) = other.range {
            self.add(least);
            self.add(most);
        }
    }
}

/// The state to give to a sequence, in the terms of `setval()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The last value, or the first one.
    pub value: i64,
    /// Whether `value` counts as given.
    pub is_called: bool,
    /// What `nextval()` gives then; `None` where it fails.
    pub next: Option<i64>,
    /// What comes of it sooner or later, if it is not what anybody wants.
    pub end: Option<End>,
}

/// How a sequence comes to no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// There is no value past the keys: `nextval()` fails, begins anew where keys may be in use, or gives
    /// what the column cannot hold.
    Exhausted,
    /// There are values past the keys, but after the last one it begins anew at its other end (CYCLE), where
    /// keys are in use.
    BeginsAnew,
}

/// The position right after the keys in use: after the greatest where the sequence counts up, before the
/// smallest where it counts down. Where all keys are on the side that it never comes to, it begins at its
/// start.
#[must_use]
pub fn position(bounds: &Bounds, used: &Used) -> Position {
    let Bounds { start, least, most, increment, holds, .. } = *bounds;
    let is_held = |key: i64| (holds.0..=holds.1).contains(&key);
    let counts_up = increment > 0;
    let is_reached = |key: i64| if counts_up { key >= least } else { key <= most };
    let extreme = used.range.map(|(smallest, greatest)| if counts_up { greatest } else { smallest });
    let Some(key) = extreme.filter(|key| is_reached(*key)) else {
        let end = (!is_held(start)).then_some(End::Exhausted);
        return Position { value: start, is_called: false, next: Some(start), end };
    };
    // A key beyond the end counts as the end: setval() takes nothing else.
    let value = key.clamp(least, most);
    let past = value.checked_add(increment).filter(|next| (least..=most).contains(next));
    let end = if past.is_none_or(|next| !is_held(next)) {
        Some(End::Exhausted)
    } else {
        bounds.begins_anew(used).then_some(End::BeginsAnew)
    };
    Position { value, is_called: true, next: bounds.after(value, true), end }
}

/// The smallest and the greatest value of an integer type of so many bytes.
#[must_use]
pub fn type_range(bytes: u32) -> (i64, i64) {
    match bytes {
        2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `nextval()` of sequence.c: the value, or `None` at the end; the flag says that it began anew.
    fn draw(bounds: &Bounds, value: &mut i64, is_called: &mut bool) -> Option<(i64, bool)> {
        if !*is_called {
            *is_called = true;
            return Some((*value, false));
        }
        match value.checked_add(bounds.increment).filter(|n| (bounds.least..=bounds.most).contains(n)) {
            Some(next) => {
                *value = next;
                Some((next, false))
            }
            None if bounds.cycles => {
                *value = if bounds.increment > 0 { bounds.least } else { bounds.most };
                Some((*value, true))
            }
            None => None,
        }
    }

    fn numbers() -> impl Strategy<Value = i64> {
        prop_oneof![-20..20i64, Just(i64::MAX), Just(i64::MIN), Just(i64::from(i32::MAX)), any::<i64>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn no_key_in_use_is_given_before_the_end(
            ends in (numbers(), numbers(), numbers()),
            increment in prop_oneof![-3..0i64, 1..4i64, any::<i64>().prop_filter("no sequence has it", |n| *n != 0)],
            cycles in any::<bool>(),
            keys in prop::collection::vec(numbers(), 0..5),
            bytes in prop::sample::select(vec![2u32, 4, 8]),
        ) {
            let mut ends = [ends.0, ends.1, ends.2];
            ends.sort_unstable();
            let [least, start, most] = ends;
            let holds = type_range(bytes);
            let bounds = Bounds { start, least, most, increment, cycles, holds };
            let mut used = Used::default();
            keys.iter().for_each(|key| used.add(*key));
            let place = position(&bounds, &used);
            prop_assert!((least..=most).contains(&place.value), "setval() refuses {place:?}");
            let (mut value, mut is_called) = (place.value, place.is_called);
            for count in 0..50 {
                let drawn = draw(&bounds, &mut value, &mut is_called);
                if count == 0 {
                    prop_assert_eq!(drawn.map(|(n, _)| n), place.next);
                    let is_held = |key: i64| (holds.0..=holds.1).contains(&key);
                    let is_good = drawn.is_some_and(|(n, is_anew)| !is_anew && is_held(n));
                    prop_assert_eq!(!is_good, place.end == Some(End::Exhausted));
                }
                if drawn.is_some_and(|(next, is_anew)| is_anew && keys.contains(&next)) {
                    prop_assert!(place.end.is_some(), "a key is given again in silence, {place:?}");
                }
                // A sequence that begins anew has given every value that it could.
                let Some((next, false)) = drawn else { break };
                prop_assert!(!keys.contains(&next), "{next} is given, {place:?}");
            }
        }
    }

    #[test]
    fn the_next_key_follows_the_greatest() {
        let bounds =
            Bounds { start: 1, least: 1, most: 100, increment: 1, cycles: false, holds: type_range(8) };
        let next = |keys: &[i64]| {
            let mut used = Used::default();
            keys.iter().for_each(|key| used.add(*key));
            position(&bounds, &used).next
        };
        assert_eq!(next(&[]), Some(1));
        assert_eq!(next(&[-5]), Some(1));
        assert_eq!(next(&[7, 3]), Some(8));
        assert_eq!(next(&[100]), None);
        assert_eq!(next(&[7, 3_000_000_000]), None);
    }
}
