//! Generated inputs: how a property is run inside a backend, and what spoils a good text.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;

use pgrx::PgTryBuilder;
use pgrx::pg_sys::panic::CaughtError;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::string::string_regex;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::pg::server::subxact::{AtEnd, within};

/// Runs a property on so many generated inputs; panics with the smallest one for which it says what is wrong.
pub fn for_all<S: Strategy>(cases: u32, inputs: S, check: impl FnMut(S::Value) -> Result<(), String>) {
    // A backend has no place to keep failures in.
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        max_shrink_time: 30_000,
        ..Config::default()
    };
    let check = RefCell::new(check);
    // The same inputs each time: what fails here fails everywhere.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&inputs, |input| {
        // Without a subtransaction nothing could be tried after an error of PostgreSQL.
        let checked = within(AtEnd::Keep, || {
            // A panic of the check is a failure like any other; an error of PostgreSQL is for the
            // subtransaction.
            PgTryBuilder::new(AssertUnwindSafe(|| Ok((check.borrow_mut())(input))))
                .catch_rust_panic(|caught| match caught {
                    CaughtError::RustPanic { ereport, .. } => Ok(Err(ereport.message().to_owned())),
                    other => other.rethrow(),
                })
                .execute()
        });
        checked.map_err(|e| e.into_report().to_string()).flatten().map_err(TestCaseError::fail)
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// Texts that one or two edits away from good ones: a character dropped, doubled, replaced or inserted.
pub fn spoiled(good: impl Strategy<Value = String>, alphabet: &'static str) -> impl Strategy<Value = String> {
    let character = select(alphabet.chars().collect::<Vec<char>>());
    (good, prop::collection::vec((0..4u8, any::<Index>(), character), 1..=2)).prop_map(|(good, edits)| {
        let mut text: Vec<char> = good.chars().collect();
        for (edit, at, character) in edits {
            let at = at.index(text.len() + 1);
            match (edit, at < text.len()) {
                (0, true) => drop(text.remove(at)),
                (1, true) => text.insert(at, text[at]),
                (2, true) => text[at] = character,
                _ => text.insert(at, character),
            }
        }
        text.into_iter().collect()
    })
}

/// Texts that match a regular expression, which is read once (a `&str` as a strategy reads it for every
/// text).
pub fn like(pattern: &str) -> BoxedStrategy<String> {
    string_regex(pattern).unwrap().boxed()
}

/// One of some texts.
pub fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    select(texts).prop_map(str::to_owned)
}
