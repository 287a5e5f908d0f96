//! The words of SQLite for a comparison.
//!
//! SQLite puts NULL first, then numbers, texts and blobs. A condition on a column that is not proven lets
//! through, beside what is compared, all values of the classes that may be converted to something that
//! matches.

use aliaport_plan::decl::Affinity;
use aliaport_rows::census::Form;

use super::binding::Way;

/// A comparison, with the column on its left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};

impl Comparison {
    /// By its number in a b-tree operator family.
    pub(super) fn of_strategy(strategy: i32) -> Option<Comparison> {
        [Less, LessOrEqual, Equal, GreaterOrEqual, Greater].get(usize::try_from(strategy - 1).ok()?).copied()
    }

    /// With its sides changed.
    pub(super) fn commuted(self) -> Comparison {
        match self {
            Less => Greater,
            LessOrEqual => GreaterOrEqual,
            GreaterOrEqual => LessOrEqual,
            Greater => Less,
            Equal | NotEqual => self,
        }
    }

    pub(super) fn is_of_order(self) -> bool {
        !matches!(self, Equal | NotEqual)
    }

    fn sign(self) -> &'static str {
        match self {
            Less => "<",
            LessOrEqual => "<=",
            Equal => "=",
            NotEqual => "<>",
            GreaterOrEqual => ">=",
            Greater => ">",
        }
    }
}

/// How a boolean is tested for being true, or for being false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// By itself: NULL where it is NULL.
    Itself,
    /// By IS: false where it is NULL.
    Is,
    /// By IS NOT the other: true where it is NULL.
    IsOrNull,
}

/// What the values of a column are to a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Integer,
    Real,
    Text,
    Bytes,
    /// Points in time in one form.
    Instant(Form),
    /// `numeric`, with the decimal places that it keeps.
    Numeric(Option<i16>),
}

/// A piece of SQL, and what its parameters stand for, all of them made of the same parameter of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) sql: String,
    pub(super) ways: Vec<Way>,
}

/// A column in SQL.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    sql: String,
    affinity: Option<Affinity>,
}

impl Operand {
    /// The column as a kind of values is compared; `None` where SQLite would convert one side of the
    /// comparison so that nothing can be said of it.
    pub(super) fn new(name: &str, affinity: Option<Affinity>, kind: Kind) -> Option<Operand> {
        let quoted = quote(name);
        let sql = match (kind, affinity) {
            // Without its affinity it is compared as it is stored, and no index is of use.
            (Kind::Text, Some(Affinity::Text | Affinity::Blob)) => format!("{quoted} COLLATE BINARY"),
            (Kind::Text, _) => format!("+{quoted} COLLATE BINARY"),
            (Kind::Instant(_), _) => format!("{quoted} COLLATE BINARY"),
            (Kind::Bytes, _) => quoted,
            // Every number would become a text.
            (_, Some(Affinity::Text)) => return None,
            // An index would compare with the nearest double of an integer.
            (Kind::Integer | Kind::Boolean, Some(Affinity::Real)) | (_, None) => format!("+{quoted}"),
            _ => quoted,
        };
        Some(Operand { sql, affinity })
    }

    /// The column alone, to be sorted, grouped or counted by.
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// A comparison with a parameter that is true exactly where PostgreSQL's is.
    pub(super) fn exactly(&self, comparison: Comparison, kind: Kind, first: usize) -> Piece {
        let way = match kind {
            Kind::Instant(form) => Way::Placed(form),
            _ => Way::Same,
        };
        Piece { sql: format!("{} {} ?{first}", self.sql, comparison.sign()), ways: vec![way] }
    }

    /// A comparison that is true at least where PostgreSQL's is, whatever the column holds.
    pub(super) fn at_least(&self, comparison: Comparison, kind: Kind, first: usize) -> Option<Piece> {
        let Operand { sql: c, affinity } = self;
        let plain = |way: Way| Piece { sql: format!("{c} {} ?{first}", comparison.sign()), ways: vec![way] };
        let or_text = |piece: Piece| Piece { sql: format!("({} OR {c} >= '')", piece.sql), ..piece };
        let between = |places| Piece {
            sql: format!("{c} BETWEEN ?{first} AND ?{}", first + 1),
            ways: vec![Way::Low(places), Way::High(places)],
        };
        let bounded = |sign: &str, way| Piece { sql: format!("{c} {sign} ?{first}"), ways: vec![way] };
        Some(match (kind, comparison) {
            // Text and blobs are unequal to and greater than all numbers.
            (Kind::Boolean | Kind::Integer | Kind::Real, NotEqual) => plain(Way::Same),
            (Kind::Boolean | Kind::Integer, Greater | GreaterOrEqual) => plain(Way::Same),
            (Kind::Boolean | Kind::Integer, _) => or_text(plain(Way::Same)),
            (Kind::Real, Greater) => plain(Way::Same),
            (Kind::Real, Less) => or_text(plain(Way::Same)),
            (Kind::Real, GreaterOrEqual) if *affinity == Some(Affinity::Real) => plain(Way::Same),
            (Kind::Real, _) if *affinity == Some(Affinity::Real) => or_text(plain(Way::Same)),
            // Integers beyond 2^53 are rounded when they become doubles.
            (Kind::Real, GreaterOrEqual) => bounded(">=", Way::Low(None)),
            (Kind::Real, LessOrEqual) => or_text(bounded("<=", Way::High(None))),
            (Kind::Real, Equal) => or_text(between(None)),
            (Kind::Numeric(places), Equal) => or_text(between(places)),
            (Kind::Numeric(places), Less | LessOrEqual) => or_text(bounded("<=", Way::High(places))),
            (Kind::Numeric(places), Greater | GreaterOrEqual) => bounded(">=", Way::Low(places)),
            (Kind::Numeric(_) | Kind::Instant(_), _) => return None,
            // Numbers become texts; a blob never does.
            (Kind::Text, Less | LessOrEqual | NotEqual) => plain(Way::Same),
            (Kind::Text, _) => {
                let piece = plain(Way::Same);
                Piece { sql: format!("({} OR {c} < '')", piece.sql), ..piece }
            }
            // Texts become bytes.
            (Kind::Bytes, Less | LessOrEqual | NotEqual) => plain(Way::Same),
            (Kind::Bytes, _) => {
                let piece = plain(Way::Same);
                Piece { sql: format!("({} OR {c} >= '' AND {c} < x'')", piece.sql), ..piece }
            }
        })
    }

    /// Is one of a list, or is none of it.
    pub(super) fn listed(&self, is_in: bool, kind: Kind, is_exact: bool, first: usize) -> Option<Piece> {
        let way = match kind {
            Kind::Integer | Kind::Boolean | Kind::Text => Way::List,
            Kind::Instant(form) if is_exact => Way::PlacedList(form),
            // JSON has no bytes, and its numbers are not read to the last bit.
            _ => return None,
        };
        let c = &self.sql;
        let not = if is_in { "" } else { "NOT " };
        let sql = format!("{c} {not}IN (SELECT value FROM json_each(?{first}))");
        let sql = match kind {
            _ if is_exact || !is_in => sql,
            Kind::Text => format!("({sql} OR {c} < '')"),
            _ => format!("({sql} OR {c} >= '')"),
        };
        Some(Piece { sql, ways: vec![way] })
    }

    /// Begins as a pattern of LIKE does.
    pub(super) fn begins(&self, first: usize) -> Piece {
        let c = &self.sql;
        Piece {
            sql: format!("({c} >= ?{first} AND {c} < ?{} OR {c} < '')", first + 1),
            ways: vec![Way::PrefixStart, Way::PrefixEnd],
        }
    }

    /// A boolean that is true or false, as PostgreSQL tests it.
    pub(super) fn is(&self, truth: bool, test: Test) -> String {
        let (c, wanted, other) = (&self.sql, i32::from(truth), i32::from(!truth));
        match test {
            Test::Itself => format!("{c} = {wanted}"),
            Test::Is => format!("{c} IS {wanted}"),
            Test::IsOrNull => format!("{c} IS NOT {other}"),
        }
    }

    /// The same, and all that may become a boolean.
    pub(super) fn may_be(&self, truth: bool, test: Test) -> String {
        let (c, wanted) = (&self.sql, i32::from(truth));
        match test {
            Test::Itself | Test::Is => format!("({c} = {wanted} OR {c} >= '')"),
            Test::IsOrNull => format!("({c} = {wanted} OR {c} >= '' OR {c} IS NULL)"),
        }
    }
}

/// A name as SQLite reads it whatever is in it.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
