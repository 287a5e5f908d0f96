//! Which of the names that are there do the tables of a source, or the columns of a table, go to?
//!
//! A name that the options give comes first; then where an earlier run put it, because that name may have had
//! to be made; then the name itself, as the source or the options spell it, cut to what PostgreSQL takes;
//! then the same without regard to case where that is unambiguous. Names are given to all together, so that
//! none gets what another one has the better right to.

use std::collections::HashMap;

use crate::name::{MAX_BYTES, clip, is_made_of};

use super::request::same;

/// The names that are there.
#[derive(Default)]
pub(super) struct Names<'a> {
    /// Each with what an earlier run filled it from.
    exact: HashMap<&'a str, Option<&'a str>>,
    folded: HashMap<String, Vec<&'a str>>,
    /// Where earlier runs put things: source, name and run.
    past: Vec<(&'a str, &'a str, i64)>,
}

/// What looks for its name.
pub(super) struct Wish<'s> {
    /// What the source calls it.
    pub source: &'s str,
    /// The same as the options have names spelled.
    pub spelled: String,
    /// The name that the options give it.
    pub asked: Option<&'s str>,
}

/// One way of looking for a name.
type Step<'s, 'a> = dyn Fn(&Wish<'_>) -> Option<&'a str> + 's;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home<'a> {
    /// This name.
    There(&'a str),
    /// None; it has to be made.
    New,
    /// A name that the wish with this number has, too.
    Shared(&'a str, usize),
}

impl<'a> Names<'a> {
    /// Adds a name that is there. Where its case may differ it can be meant by a name in another case.
    pub fn add(&mut self, name: &'a str, may_differ: bool) {
        self.exact.insert(name, None);
        if may_differ {
            self.folded.entry(name.to_lowercase()).or_default().push(name);
        }
    }

    /// Adds that an earlier run filled a name that is there.
    pub fn filled(&mut self, source: &'a str, name: &'a str, run_id: i64) {
        if let Some(slot) = self.exact.get_mut(name) {
            *slot = Some(source);
            self.past.push((source, name, run_id));
        }
    }

    fn is_of(&self, name: &str, source: &str) -> bool {
        self.exact.get(name).copied().flatten().is_some_and(|s| same(s, source))
    }

    fn named(&self, name: &str) -> Option<&'a str> {
        self.exact.get_key_value(name).map(|(name, _)| *name)
    }

    /// Where an earlier run put it, under its own name or one that had to be made. A name of its own that
    /// nobody has filled is a table that was put in the place of the old one.
    fn before(&self, wish: &Wish<'_>) -> Option<&'a str> {
        if let Some((name, of)) = self.exact.get_key_value(wish.source)
            && of.is_none_or(|of| same(of, wish.source))
        {
            return Some(name);
        }
        let mine = self.past.iter().filter(|(source, name, _)| {
            same(source, wish.source) && (*name == wish.source || is_made_of(name, &wish.spelled))
        });
        mine.max_by_key(|(_, _, run_id)| *run_id).map(|(_, name, _)| *name)
    }

    fn in_another_case(&self, name: &str) -> Option<&'a str> {
        match self.folded.get(&name.to_lowercase())?.as_slice() {
            [name] => Some(*name),
            _ => None,
        }
    }

    /// Where each of the wishes goes.
    pub fn share(&self, wishes: &[Wish<'_>]) -> Vec<Home<'a>> {
        let mut homes: Vec<Option<Home<'a>>> = vec![None; wishes.len()];
        let mut holders: HashMap<&'a str, usize> = HashMap::new();
        let mut met: HashMap<usize, (&'a str, usize)> = HashMap::new();
        let mut take = |homes: &mut [Option<Home<'a>>], i: usize, name: &'a str| {
            let holder = *holders.entry(name).or_insert(i);
            if holder == i {
                homes[i] = Some(Home::There(name));
            } else {
                met.entry(i).or_insert((name, holder));
            }
        };
        for (i, wish) in wishes.iter().enumerate() {
            let Some(asked) = wish.asked else { continue };
            homes[i] = Some(Home::New);
            if let Some(name) = self.named(asked) {
                take(&mut homes, i, name);
            }
        }
        let steps: [&Step<'_, 'a>; 6] = [
            &|wish| self.before(wish).filter(|name| self.is_of(name, wish.source)),
            &|wish| self.named(wish.source),
            &|wish| self.named(&wish.spelled),
            &|wish| self.named(clip(&wish.spelled, MAX_BYTES)),
            &|wish| self.in_another_case(wish.source),
            &|wish| self.in_another_case(&wish.spelled),
        ];
        for step in steps {
            for (i, wish) in wishes.iter().enumerate() {
                if homes[i].is_none()
                    && let Some(name) = step(wish)
                {
                    take(&mut homes, i, name);
                }
            }
        }
        let settled = |(i, home): (usize, Option<Home<'a>>)| match (met.get(&i), home) {
            // Two that ask for one name.
            (Some(&(name, holder)), Some(Home::New)) => Home::Shared(name, holder),
            (_, Some(home)) => home,
            (None, None) => Home::New,
            // What an earlier run filled from the other one is that one's, and this one has come since.
            (Some(&(name, holder)), None)
                if wishes.get(holder).is_some_and(|w| self.is_of(name, w.source)) =>
            {
                Home::New
            }
            (Some(&(name, holder)), None) => Home::Shared(name, holder),
        };
        homes.into_iter().enumerate().map(settled).collect()
    }

    /// The name that was made by hand for what has come since, as [`crate::name::Names::assign`] makes it:
    /// nothing has filled it and nobody else goes there.
    pub fn made(&self, wish: &Wish<'_>, homes: &[Home<'a>]) -> Option<&'a str> {
        let is_free = |name: &str| !homes.contains(&Home::There(self.named(name).unwrap_or_default()));
        let mut names: Vec<&'a str> =
            self.exact.iter().filter(|(_, of)| of.is_none()).map(|(n, _)| *n).collect();
        names.sort_unstable();
        names.into_iter().find(|name| is_made_of(name, &wish.spelled) && is_free(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn homes(
        names: &[(&'static str, Option<&'static str>)],
        wishes: &[(&str, &str, Option<&str>)],
    ) -> Vec<Home<'static>> {
        let mut there = Names::default();
        for (name, _) in names {
            there.add(name, true);
        }
        for (name, source) in names {
            if let Some(source) = source {
                there.filled(source, name, 1);
            }
        }
        let wishes: Vec<Wish<'_>> = wishes
            .iter()
            .map(|&(source, spelled, asked)| Wish { source, spelled: spelled.to_owned(), asked })
            .collect();
        there.share(&wishes)
    }

    #[test]
    fn what_an_earlier_run_had_to_make_is_found_again() {
        use Home::{New, Shared, There};
        let past = [("T2", Some("t")), ("T2_2", Some("T2"))];
        // With the option, without it, and where the other one is gone.
        assert_eq!(homes(&past, &[("t", "t", Some("T2")), ("T2", "T2", None)]), [There("T2"), There("T2_2")]);
        assert_eq!(homes(&past, &[("t", "t", None), ("T2", "T2", None)]), [New, There("T2_2")]);
        assert_eq!(homes(&past, &[("T2", "T2", None)]), [There("T2_2")]);
        // What has come since gets a name of its own, but not where nobody knows whose it is.
        let one = [("T2", Some("t"))];
        assert_eq!(homes(&one, &[("T2", "T2", None), ("t", "t", Some("T2"))]), [New, There("T2")]);
        assert_eq!(
            homes(&[("T2", None)], &[("T2", "T2", None), ("t", "t", Some("T2"))]),
            [Shared("T2", 1), There("T2")]
        );
        assert_eq!(
            homes(&one, &[("a", "a", Some("T2")), ("b", "b", Some("T2"))]),
            [There("T2"), Shared("T2", 0)]
        );
        // A table of the source that was renamed to the spelled name.
        assert_eq!(homes(&[("my_tab", Some("MyTab"))], &[("my_tab", "my_tab", None)]), [There("my_tab")]);
        assert_eq!(
            homes(&[("my_tab", Some("MyTab"))], &[("my_tab", "my_tab", None), ("MyTab", "my_tab", None)]),
            [New, There("my_tab")]
        );
        // A table that somebody put in the place of the old one, which was renamed.
        assert_eq!(homes(&[("t", None), ("t_2", Some("t"))], &[("t", "t", None)]), [There("t")]);
        assert_eq!(
            homes(&[("Ü", None)], &[("ü", "ü", None), ("Ü", "Ü", None)]),
            [Shared("Ü", 1), There("Ü")]
        );
    }
}
