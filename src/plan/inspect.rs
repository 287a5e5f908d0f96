//! What is wrong with a source, in the words of `aliaport_inspect`: the rules behind its codes, without a
//! database.
//!
//! `obstacle` turns errors that stop a plan into findings and plans on; `verdict` gives a bad value its code;
//! `carried_checks` and `key` say which constraints PostgreSQL could enforce although the source does not;
//! `remedy` writes the statement or the option that helps; `language` recognises text for which the sort
//! order matters.

mod carried_checks;
mod key;
mod language;
mod obstacle;
mod remedy;
mod verdict;

pub use carried_checks::{CarriedCheck, carried_checks};
pub use key::{Classes, KeyHasher, Repeated, UniqueKey, can_repeat, unique_keys};
pub use language::{ALPHABET, has_turkish_letter};
pub use obstacle::{Inspected, Obstacle, plan_despite};
pub use remedy::{
    LISTED, Orphaned, Place, Relaxing, Retype, Shapes, Values, another_type, held, is_repairable,
    lossless_type, of_finding, of_lossy, of_null, of_orphans, of_repeated, of_value, rowid_name, sqlite_name,
};
pub use verdict::code_of;
