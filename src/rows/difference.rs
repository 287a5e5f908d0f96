//! Which rows differ between two sides that are too large to be kept?
//!
//! Both sides add the hashes of their rows to a fixed number of sums, chosen by the hash of the row's key;
//! one side counts as negative. Sums that are not zero at the end say where the two differ, so a second look
//! has to keep only the rows that belong to those. What is kept of a row is its hash and where it is; the
//! caller reads it there.
//!
//! Where a table has no key, the hash of the whole row takes the place of the key's.

use std::collections::HashMap;

/// Sums: enough that a few differing rows among millions draw only some hundreds of equal ones along; 2 MB.
const SUMS: usize = 1 << 16;

/// Rows that are kept at most: with the map around them some 34 MB. A table that differs in more is looked at
/// in part.
const KEPT: u64 = 7 * (1 << 19) / 8;

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    difference: u128,
    rows: u32,
}

/// The first look: all rows of both sides, in sums.
#[derive(Clone, Debug)]
pub struct Sums(Vec<Sum>);

/// The sum that a key belongs to.
#[inline]
fn sum_index(key: u128) -> usize {
    (key >> 112) as usize
}

impl Default for Sums {
    fn default() -> Self {
        Sums(vec![Sum::default(); SUMS])
    }
}

impl Sums {
    /// Adds a row of the source, by the hash of its key.
    #[inline]
    pub fn add(&mut self, key: u128, row: u128) {
        self.count(key, row);
    }

    /// Adds a row of the target, by the hash of its key.
    #[inline]
    pub fn subtract(&mut self, key: u128, row: u128) {
        self.count(key, row.wrapping_neg());
    }

    #[inline]
    fn count(&mut self, key: u128, difference: u128) {
        if let Some(sum) = self.0.get_mut(sum_index(key)) {
            sum.difference = sum.difference.wrapping_add(difference);
            sum.rows = sum.rows.saturating_add(1);
        }
    }

    /// Prepares the second look; `None` where the two sides are equal.
    #[must_use]
    pub fn differing<P: Copy + Ord>(&self) -> Option<Suspects<P>> {
        self.differing_of(KEPT)
    }

    fn differing_of<P: Copy + Ord>(&self, kept: u64) -> Option<Suspects<P>> {
        let mut is_suspect = vec![false; SUMS];
        let (mut rows, mut is_complete) = (0u64, true);
        for (sum, is_suspect) in self.0.iter().zip(&mut is_suspect).filter(|(s, _)| s.difference != 0) {
            // One is looked at in any case, and the smaller ones after a large one, too.
            if rows > 0 && rows + u64::from(sum.rows) > kept {
                is_complete = false;
                continue;
            }
            rows += u64::from(sum.rows);
            *is_suspect = true;
        }
        let capacity = usize::try_from(rows.min(kept)).unwrap_or(0);
        (rows > 0).then(|| Suspects { is_suspect, is_complete, rows: HashMap::with_capacity(capacity) })
    }
}

/// The second look: the rows whose sums differ, by their keys. `P` says where a row of the target is.
#[derive(Clone, Debug)]
pub struct Suspects<P> {
    is_suspect: Vec<bool>,
    is_complete: bool,
    rows: HashMap<u128, Suspect<P>>,
}

/// All rows of one key.
#[derive(Clone, Copy, Debug)]
struct Suspect<P> {
    difference: u128,
    /// Number of the first one in the scan of the source.
    number: u64,
    /// The first one of the target.
    place: Option<P>,
    source_rows: u32,
    target_rows: u32,
}

impl<P: Copy + Ord> Suspects<P> {
    /// Whether a row with this key has to be looked at again.
    #[inline]
    #[must_use]
    pub fn has(&self, key: u128) -> bool {
        self.is_suspect.get(sum_index(key)).copied().unwrap_or(false)
    }

    /// Adds a row of the source, the `number`-th of the scan. Rows that [`Suspects::has`] does not name are
    /// ignored.
    pub fn add(&mut self, key: u128, row: u128, number: u64) {
        if self.has(key) {
            let suspect = self.rows.entry(key).or_insert_with(|| Suspect::new(number, None));
            suspect.difference = suspect.difference.wrapping_add(row);
            suspect.source_rows = suspect.source_rows.saturating_add(1);
        }
    }

    /// Adds a row of the target. All rows of the source must have been added before.
    pub fn subtract(&mut self, key: u128, row: u128, place: P) {
        if self.has(key) {
            let suspect = self.rows.entry(key).or_insert_with(|| Suspect::new(u64::MAX, Some(place)));
            suspect.difference = suspect.difference.wrapping_sub(row);
            suspect.target_rows = suspect.target_rows.saturating_add(1);
            suspect.place.get_or_insert(place);
        }
    }

    /// What differs, up to `shown` rows of each kind with their places. Without keys, equal rows that are not
    /// there equally often are missing or extra, not changed. `excused` has differences that are none, by
    /// key: the hash that was added for the row, less the hash that it may have in the target instead.
    #[must_use]
    pub fn differences(self, has_keys: bool, shown: usize, excused: &HashMap<u128, u128>) -> Differences<P> {
        let mut found = Differences { is_complete: self.is_complete, ..Differences::default() };
        for (key, suspect) in self.rows {
            if suspect.difference == 0 && suspect.source_rows == suspect.target_rows {
                continue;
            }
            if suspect.target_rows == 1 && excused.get(&key) == Some(&suspect.difference) {
                continue;
            }
            match (suspect.source_rows, suspect.target_rows, suspect.place) {
                (source, 0, _) => {
                    found.missing += u64::from(source);
                    found.missing_at.push(suspect.number);
                }
                (0, target, Some(place)) => {
                    found.extra += u64::from(target);
                    found.extra_at.push(place);
                }
                (source, target, Some(place)) if !has_keys => {
                    found.missing += u64::from(source.saturating_sub(target));
                    found.extra += u64::from(target.saturating_sub(source));
                    if source > target {
                        found.missing_at.push(suspect.number);
                    } else {
                        found.extra_at.push(place);
                    }
                }
                (source, target, Some(place)) => {
                    found.changed += 1;
                    found.changed_at.push(Changed { number: suspect.number, place, source, target });
                }
                (_, _, None) => {}
            }
        }
        found.missing_at.sort_unstable();
        found.missing_at.truncate(shown);
        found.extra_at.sort_unstable();
        found.extra_at.truncate(shown);
        found.changed_at.sort_unstable_by_key(|c| c.number);
        found.changed_at.truncate(shown);
        found
    }
}

impl<P> Suspect<P> {
    fn new(number: u64, place: Option<P>) -> Self {
        Suspect { difference: 0, number, place, source_rows: 0, target_rows: 0 }
    }
}

/// What differs between the two sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differences<P> {
    /// Rows of the source whose key the target does not have.
    pub missing: u64,
    /// Rows of the target whose key the source does not have.
    pub extra: u64,
    /// Keys that both have, with other values, or not equally often.
    pub changed: u64,
    /// False where there are more, which were not looked at.
    pub is_complete: bool,
    /// Where the first missing rows are in the scan of the source, ascending.
    pub missing_at: Vec<u64>,
    /// Where the first extra rows are in the target, ascending.
    pub extra_at: Vec<P>,
    /// Where the first changed rows are, in the order of the source.
    pub changed_at: Vec<Changed<P>>,
}

impl<P> Default for Differences<P> {
    fn default() -> Self {
        Differences {
            missing: 0,
            extra: 0,
            changed: 0,
            is_complete: true,
            missing_at: Vec::new(),
            extra_at: Vec::new(),
            changed_at: Vec::new(),
        }
    }
}

impl<P> Differences<P> {
    /// Nothing differs.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.missing == 0 && self.extra == 0 && self.changed == 0 && self.is_complete
    }
}

/// A key that both sides have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed<P> {
    /// Number of its first row in the scan of the source.
    pub number: u64,
    /// Its first row in the target.
    pub place: P,
    /// Rows that have it in the source.
    pub source: u32,
    /// Rows that have it in the target.
    pub target: u32,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_128;

    use super::*;

    fn hash(key: u16, value: u8) -> (u128, u128) {
        (xxh3_128(&key.to_le_bytes()), xxh3_128(&[key as u8, (key >> 8) as u8, value]))
    }

    fn look(source: &[(u16, u8)], target: &[(u16, u8)], kept: u64) -> Differences<usize> {
        let mut sums = Sums::default();
        for &(key, value) in source {
            let (key, row) = hash(key, value);
            sums.add(key, row);
        }
        for &(key, value) in target {
            let (key, row) = hash(key, value);
            sums.subtract(key, row);
        }
        let Some(mut suspects) = sums.differing_of(kept) else { return Differences::default() };
        for (number, &(key, value)) in source.iter().enumerate() {
            let (key, row) = hash(key, value);
            suspects.add(key, row, number as u64);
        }
        for (place, &(key, value)) in target.iter().enumerate() {
            let (key, row) = hash(key, value);
            suspects.subtract(key, row, place);
        }
        suspects.differences(true, usize::MAX, &HashMap::new())
    }

    /// Rows of each key, sorted by value, and where the first of them is.
    fn by_key(rows: &[(u16, u8)]) -> BTreeMap<u16, (Vec<u8>, usize)> {
        let mut found: BTreeMap<u16, (Vec<u8>, usize)> = BTreeMap::new();
        for (i, &(key, value)) in rows.iter().enumerate() {
            found.entry(key).or_insert_with(|| (Vec::new(), i)).0.push(value);
        }
        found.values_mut().for_each(|(values, _)| values.sort_unstable());
        found
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_a_map_of_all_rows_finds(
            common in proptest::collection::vec((0u16..400, 0u8..3), 0..300),
            only_source in proptest::collection::vec((0u16..400, 0u8..3), 0..6),
            only_target in proptest::collection::vec((0u16..400, 0u8..3), 0..6),
        ) {
            let source: Vec<_> = common.iter().chain(&only_source).copied().collect();
            let target: Vec<_> = only_target.iter().chain(common.iter().rev()).copied().collect();
            let (a, b) = (by_key(&source), by_key(&target));
            let mut expected = Differences::default();
            for (key, (values, first)) in &a {
                match b.get(key) {
                    None => {
                        expected.missing += values.len() as u64;
                        expected.missing_at.push(*first as u64);
                    }
                    Some((others, place)) if others != values => {
                        expected.changed += 1;
                        let (number, place) = (*first as u64, *place);
                        expected.changed_at.push(Changed { number, place, source: values.len() as u32, target: others.len() as u32 });
                    }
                    Some(_) => {}
                }
            }
            for (_, (values, first)) in b.iter().filter(|(key, _)| !a.contains_key(key)) {
                expected.extra += values.len() as u64;
                expected.extra_at.push(*first);
            }
            expected.missing_at.sort_unstable();
            expected.extra_at.sort_unstable();
            expected.changed_at.sort_unstable_by_key(|c| c.number);
            prop_assert_eq!(look(&source, &target, u64::MAX), expected);
        }
    }

    #[test]
    fn what_does_not_fit_is_said_and_part_of_it_found() {
        let source: Vec<(u16, u8)> = (0..1000).map(|key| (key, 0)).collect();
        let found = look(&source, &[], 100);
        assert!(!found.is_complete && !found.is_none());
        assert!((90..=100).contains(&found.missing), "{}", found.missing);
    }

    #[test]
    fn without_keys_the_odd_copies_of_a_row_are_missing_or_extra() {
        let (source, target) = ([1u8, 1, 1, 2, 3], [1u8, 2, 2, 3, 4]);
        let hash = |value: &u8| xxh3_128(&[*value]);
        let mut sums = Sums::default();
        source.iter().for_each(|v| sums.add(hash(v), hash(v)));
        target.iter().for_each(|v| sums.subtract(hash(v), hash(v)));
        let mut suspects = sums.differing().unwrap();
        source.iter().enumerate().for_each(|(i, v)| suspects.add(hash(v), hash(v), i as u64));
        target.iter().enumerate().for_each(|(i, v)| suspects.subtract(hash(v), hash(v), i));
        let found = suspects.differences(false, 10, &HashMap::new());
        assert_eq!((found.missing, found.extra, found.changed), (2, 2, 0));
        assert_eq!((found.missing_at, found.extra_at), (vec![0], vec![1, 4]));
    }

    #[test]
    fn an_excused_difference_is_none_and_another_one_is() {
        let (key, sent) = hash(7, 1);
        let (_, other) = hash(7, 2);
        let excused = HashMap::from([(key, sent.wrapping_sub(other))]);
        for (stored, is_none) in [(other, true), (hash(7, 3).1, false)] {
            let mut sums = Sums::default();
            sums.add(key, sent);
            sums.subtract(key, stored);
            let mut suspects = sums.differing().unwrap();
            suspects.add(key, sent, 0);
            suspects.subtract(key, stored, 0);
            assert_eq!(suspects.differences(true, 10, &excused).is_none(), is_none);
        }
    }
}
