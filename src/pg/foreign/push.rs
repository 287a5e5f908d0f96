//! What may SQLite do in place of PostgreSQL?
//!
//! A condition goes to SQLite in one of two grades. EXACT: it is true for just the same rows, because every
//! value of the column is known to be stored as what it becomes ([`aliaport_rows::census`]). NARROW: it is
//! true for at least these rows; it spares reading the others, and nothing may be built on it. Whatever is
//! pushed stays a condition of the scan in PostgreSQL, too.
//!
//! Operators are known by their OIDs and operator families of pg_catalog, never by their names.
#![allow(unsafe_code)] // walks the planner's expressions

use std::fmt;

use aliaport_rows::census::Proof;
use aliaport_rows::row::OnError;
use pgrx::{PgList, pg_sys};

use crate::pg::foreign::column::{Remote, RemoteColumn};
use crate::pg::server::collation::is_order_of_bytes;
use crate::pg::server::error::Result;

pub mod binding;
pub mod grouping;
mod operator;
pub mod order;
mod sql;
pub mod upper;

use binding::Binding;
use operator::{Family, family_of_type};
use sql::{Comparison, Kind, Operand, Piece, Test, quote};

/// How far a pushed condition can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// True for at least the rows for which PostgreSQL's condition is.
    Narrow,
    /// True for just these, false and NULL for the same rows, too.
    Exact,
}

/// A condition for SQLite.
#[derive(Debug)]
pub struct Pushed {
    /// The condition, with parameters `?N`, numbered from what the caller said.
    pub sql: String,
    /// What PostgreSQL computes for each parameter.
    pub parameters: Vec<*mut pg_sys::Expr>,
    /// What SQLite is given for it.
    pub bindings: Vec<Binding>,
    /// How far it can be relied on.
    pub grade: Grade,
    /// It holds only as long as the census does.
    pub needs_census: bool,
}

/// Why a condition stays in PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// It is no comparison of a column with something that does not depend on the row.
    Form,
    /// Its operator, or the types of its sides, are none of those that both systems read alike.
    Operator,
    /// What it compares with calls volatile functions or a subquery.
    Parameter,
    /// PostgreSQL's collation equals or orders texts otherwise than by their bytes.
    Collation,
    /// The file is in UTF-16, whose texts SQLite compares by other bytes.
    Encoding,
    /// Nothing is known of what the column holds.
    Unproven,
    /// SQLite would compare the values after converting them.
    Affinity,
    /// The column is an expression.
    Generated,
    /// Some column that is read is an expression.
    ReadsGenerated,
    /// A bad value counts as NULL.
    BadIsNull,
    /// There are more parameters than SQLite is asked to take.
    Many,
}

/// Of a statement. SQLite's parser goes no deeper than 1000 either.
const MOST_PARAMETERS: usize = 900;

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Local::Form => "not a comparison of a column with a value",
            Local::Operator => "the operator is not one that SQLite has with the same meaning",
            Local::Parameter => "the value depends on the row",
            Local::Collation => "the collation compares texts otherwise than SQLite does",
            Local::Encoding => "the file is in UTF-16",
            Local::Unproven => "the column may hold values of other forms; ANALYZE finds out",
            Local::Affinity => "SQLite would convert the values before it compares them",
            Local::Generated => "the column is generated",
            Local::ReadsGenerated => "a generated column is read, whose expression may fail on a row",
            Local::Many => "the statement has many parameters already",
            Local::BadIsNull => "a value that the column cannot hold counts as NULL",
        })
    }
}

/// What walks over one condition.
struct Walk<'a> {
    root: *mut pg_sys::PlannerInfo,
    relid: pg_sys::Index,
    remote: &'a Remote,
    /// The number of the next parameter.
    next: usize,
}

type Outcome = std::result::Result<Pushed, Local>;

/// What of a condition on a base relation SQLite can decide, with parameters numbered from `first`; else why
/// not. Columns of other relations count as parameters.
///
/// # Safety
/// All three pointers are the planner's own: a clause that belongs to the relation.
pub unsafe fn condition(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    remote: &Remote,
    clause: *mut pg_sys::Expr,
    first: usize,
) -> Result<Outcome> {
    // SAFETY: the caller's promise.
    unsafe {
        let mut walk = Walk { root, relid: (*baserel).relid, remote, next: first };
        walk.condition(clause.cast())
    }
}

impl Pushed {
    fn without_parameters(sql: String, grade: Grade, column: &RemoteColumn) -> Pushed {
        Pushed {
            sql,
            parameters: Vec::new(),
            bindings: Vec::new(),
            grade,
            needs_census: grade == Grade::Exact && column.is_by_census,
        }
    }

    /// Several as one.
    fn joined(parts: Vec<Pushed>, word: &str, most: Grade) -> Pushed {
        let mut whole = Pushed {
            sql: String::new(),
            parameters: Vec::new(),
            bindings: Vec::new(),
            grade: most,
            needs_census: false,
        };
        let mut sqls = Vec::new();
        for part in parts {
            sqls.push(part.sql);
            whole.parameters.extend(part.parameters);
            whole.bindings.extend(part.bindings);
            whole.grade = whole.grade.min(part.grade);
            whole.needs_census |= part.needs_census;
        }
        whole.sql = format!("({})", sqls.join(word));
        whole
    }
}

/// The column's values as they are compared, and whether that is known of all of them.
fn kind_of(column: &RemoteColumn) -> std::result::Result<(Kind, bool), Local> {
    let proven = column.proven;
    Ok(match family_of_type(column.type_oid).ok_or(Local::Operator)? {
        Family::Boolean => (Kind::Boolean, proven == Some(Proof::Boolean)),
        Family::Integer => (Kind::Integer, proven == Some(Proof::Integer)),
        // `real` rounds what is stored.
        Family::Real if column.type_oid == pg_sys::FLOAT4OID => return Err(Local::Operator),
        Family::Real => (Kind::Real, proven == Some(Proof::Real)),
        Family::Bytes => (Kind::Bytes, proven == Some(Proof::Bytes)),
        Family::Text if proven == Some(Proof::Text) => (Kind::Text, true),
        // Blanks beyond the length are cut.
        Family::Text if column.typmod >= 0 => return Err(Local::Unproven),
        Family::Text => (Kind::Text, false),
        Family::Numeric => (Kind::Numeric(decimal_places(column.typmod)), false),
        Family::Clock | Family::Zoned => match proven {
            Some(Proof::Instant(form)) => (Kind::Instant(form), true),
            _ => return Err(Local::Unproven),
        },
    })
}

/// The scale in a type modifier of `numeric`.
fn decimal_places(typmod: i32) -> Option<i16> {
    // Eleven bits with sign since PostgreSQL 15; before, a scale was 0 to 1000 and reads the same.
    (typmod >= 4).then(|| ((((typmod - 4) & 0x7ff) ^ 1024) - 1024) as i16)
}

impl<'a> Walk<'a> {
    /// # Safety
    /// The node is an expression of the planner, as all nodes that it leads to.
    unsafe fn condition(&mut self, node: *mut pg_sys::Node) -> Result<Outcome> {
        // SAFETY: each node is cast to the type that its tag names.
        unsafe {
            match (*node).type_ {
                pg_sys::NodeTag::T_RestrictInfo => {
                    self.condition((*node.cast::<pg_sys::RestrictInfo>()).clause.cast())
                }
                pg_sys::NodeTag::T_BoolExpr => self.boolean(node.cast()),
                pg_sys::NodeTag::T_OpExpr => self.comparison(node.cast()),
                pg_sys::NodeTag::T_ScalarArrayOpExpr => self.list(node.cast()),
                pg_sys::NodeTag::T_NullTest => self.null_test(node.cast()),
                pg_sys::NodeTag::T_BooleanTest => self.boolean_test(node.cast()),
                pg_sys::NodeTag::T_Var => Ok(self.truth(node, true, Test::Itself)),
                _ => Ok(Err(Local::Form)),
            }
        }
    }

    /// # Safety
    /// As [`Walk::condition`].
    unsafe fn boolean(&mut self, node: *mut pg_sys::BoolExpr) -> Result<Outcome> {
        // SAFETY: a list of expressions.
        let arms = unsafe { nodes((*node).args) };
        // SAFETY: a valid node.
        match unsafe { (*node).boolop } {
            pg_sys::BoolExprType::AND_EXPR => {
                let (mut pushed, mut why) = (Vec::new(), None);
                for arm in arms {
                    // SAFETY: an expression of the list.
                    match unsafe { self.condition(arm) }? {
                        Ok(part) => pushed.push(part),
                        Err(local) => why = why.or(Some(local)),
                    }
                }
                Ok(match why {
                    Some(local) if pushed.is_empty() => Err(local),
                    Some(_) => Ok(Pushed::joined(pushed, " AND ", Grade::Narrow)),
                    None => Ok(Pushed::joined(pushed, " AND ", Grade::Exact)),
                })
            }
            pg_sys::BoolExprType::OR_EXPR => {
                let (mut pushed, before) = (Vec::new(), self.next);
                for arm in arms {
                    // SAFETY: an expression of the list.
                    match unsafe { self.condition(arm) }? {
                        Ok(part) => pushed.push(part),
                        Err(local) => {
                            // Nothing refers to the parameters of the arms before.
                            self.next = before;
                            return Ok(Err(local));
                        }
                    }
                }
                Ok(Ok(Pushed::joined(pushed, " OR ", Grade::Exact)))
            }
            _ => {
                let Some(&arm) = arms.first() else { return Ok(Err(Local::Form)) };
                // SAFETY: an expression of the list.
                unsafe {
                    if (*arm).type_ == pg_sys::NodeTag::T_Var {
                        return Ok(self.truth(arm, false, Test::Itself));
                    }
                    let before = self.next;
                    Ok(match self.condition(arm)? {
                        Ok(part) if part.grade == Grade::Exact => {
                            Ok(Pushed { sql: format!("(NOT {})", part.sql), ..part })
                        }
                        // What lets too much through would let too little through.
                        Ok(_) => {
                            self.next = before;
                            Err(Local::Unproven)
                        }
                        Err(local) => Err(local),
                    })
                }
            }
        }
    }

    /// # Safety
    /// As [`Walk::condition`].
    unsafe fn comparison(&mut self, node: *mut pg_sys::OpExpr) -> Result<Outcome> {
        // SAFETY: a valid node with a list of expressions.
        let (opno, collation, sides) = unsafe { ((*node).opno, (*node).inputcollid, nodes((*node).args)) };
        let &[left, right] = sides.as_slice() else { return Ok(Err(Local::Form)) };
        // SAFETY: expressions of the planner.
        let (column, other, is_swapped) = match unsafe { (self.column(left), self.column(right)) } {
            (Some(column), None) => (column, right, false),
            (None, Some(column)) => (column, left, true),
            _ => return Ok(Err(Local::Form)),
        };
        // SAFETY: as above.
        if let Err(local) = unsafe { self.check_parameter(other) } {
            return Ok(Err(local));
        }
        if opno == operator::LIKE {
            if is_swapped {
                return Ok(Err(Local::Form));
            }
            return self.like(column, collation, other);
        }
        let Some((family, comparison)) = operator::comparison(opno) else {
            return Ok(Err(Local::Operator));
        };
        let comparison = if is_swapped { comparison.commuted() } else { comparison };
        // SAFETY: as above.
        let source = unsafe { pg_sys::exprType(other) };
        self.compared(column, family, comparison, collation, source, |operand, kind, is_exact, first| {
            if is_exact {
                Some(operand.exactly(comparison, kind, first))
            } else {
                operand.at_least(comparison, kind, first)
            }
        })
        .map(|outcome| outcome.map(|(piece, grade)| self.pushed(piece, grade, column, source, other)))
    }

    /// # Safety
    /// As [`Walk::condition`].
    unsafe fn list(&mut self, node: *mut pg_sys::ScalarArrayOpExpr) -> Result<Outcome> {
        // SAFETY: a valid node with a list of expressions.
        let (opno, collation, sides, is_any) =
            unsafe { ((*node).opno, (*node).inputcollid, nodes((*node).args), (*node).useOr) };
        let &[left, right] = sides.as_slice() else { return Ok(Err(Local::Form)) };
        // SAFETY: expressions of the planner.
        let Some(column) = (unsafe { self.column(left) }) else { return Ok(Err(Local::Form)) };
        // SAFETY: as above.
        if let Err(local) = unsafe { self.check_parameter(right) } {
            return Ok(Err(local));
        }
        let (family, comparison) = match (operator::comparison(opno), is_any) {
            (Some((family, comparison @ Comparison::Equal)), true)
            | (Some((family, comparison @ Comparison::NotEqual)), false) => (family, comparison),
            _ => return Ok(Err(Local::Operator)),
        };
        // SAFETY: looks the type up in the catalogue.
        let element = unsafe { pg_sys::get_element_type(pg_sys::exprType(right)) };
        self.compared(column, family, comparison, collation, element, |operand, kind, is_exact, first| {
            operand.listed(comparison == Comparison::Equal, kind, is_exact, first)
        })
        .map(|outcome| outcome.map(|(piece, grade)| self.pushed(piece, grade, column, element, right)))
    }

    fn like(
        &mut self,
        column: &RemoteColumn,
        collation: pg_sys::Oid,
        pattern: *mut pg_sys::Node,
    ) -> Result<Outcome> {
        let equal = Comparison::Equal;
        let outcome = self.compared(
            column,
            Family::Text,
            equal,
            collation,
            pg_sys::TEXTOID,
            |operand, _, _, first| Some(operand.begins(first)),
        )?;
        Ok(outcome.map(|(piece, _)| self.pushed(piece, Grade::Narrow, column, pg_sys::TEXTOID, pattern)))
    }

    /// The SQL of a comparison of a column with something of a type, where both systems mean the same by it.
    fn compared(
        &self,
        column: &RemoteColumn,
        family: Family,
        comparison: Comparison,
        collation: pg_sys::Oid,
        source: pg_sys::Oid,
        sql: impl FnOnce(&Operand, Kind, bool, usize) -> Option<Piece>,
    ) -> Result<std::result::Result<(Piece, Grade), Local>> {
        if family_of_type(column.type_oid) != Some(family) || family_of_type(source) != Some(family) {
            return Ok(Err(Local::Operator));
        }
        let (kind, is_exact) = match kind_of(column) {
            Ok(known) => known,
            Err(local) => return Ok(Err(local)),
        };
        if let Err(local) = self.check_texts(kind, comparison.is_of_order(), collation)? {
            return Ok(Err(local));
        }
        if column.is_generated {
            return Ok(Err(Local::Generated));
        }
        let Some(operand) = Operand::new(&column.name, column.affinity, kind) else {
            return Ok(Err(Local::Affinity));
        };
        if self.next > MOST_PARAMETERS {
            return Ok(Err(Local::Many));
        }
        let grade = if is_exact { Grade::Exact } else { Grade::Narrow };
        Ok(match sql(&operand, kind, is_exact, self.next) {
            Some(piece) => Ok((piece, grade)),
            None => Err(Local::Operator),
        })
    }

    /// Texts are compared alike.
    fn check_texts(
        &self,
        kind: Kind,
        is_ordered: bool,
        collation: pg_sys::Oid,
    ) -> Result<std::result::Result<(), Local>> {
        if kind != Kind::Text {
            return Ok(Ok(()));
        }
        if !self.remote.is_utf8 {
            return Ok(Err(Local::Encoding));
        }
        Ok(if is_alike(collation, is_ordered)? { Ok(()) } else { Err(Local::Collation) })
    }

    fn pushed(
        &mut self,
        piece: Piece,
        grade: Grade,
        column: &RemoteColumn,
        source: pg_sys::Oid,
        parameter: *mut pg_sys::Node,
    ) -> Pushed {
        self.next += piece.ways.len();
        Pushed {
            sql: piece.sql,
            parameters: piece.ways.iter().map(|_| parameter.cast()).collect(),
            bindings: piece.ways.into_iter().map(|way| Binding { way, source }).collect(),
            grade,
            needs_census: column.proven.is_some() && column.is_by_census,
        }
    }

    /// # Safety
    /// As [`Walk::condition`].
    unsafe fn null_test(&mut self, node: *mut pg_sys::NullTest) -> Result<Outcome> {
        // SAFETY: a valid node.
        let (column, is_null) = unsafe {
            let is_null = (*node).nulltesttype == pg_sys::NullTestType::IS_NULL;
            let column = if (*node).argisrow { None } else { self.column((*node).arg.cast()) };
            (column, is_null)
        };
        let Some(column) = column else { return Ok(Err(Local::Form)) };
        if column.is_generated {
            return Ok(Err(Local::Generated));
        }
        let is_known = column.proven.is_some();
        let name = quote(&column.name);
        Ok(match (is_null, is_known, self.remote.on_error) {
            (true, false, OnError::Null) => Err(Local::BadIsNull),
            // A bad value is an error, and one of a row that does not match, or its row is none.
            (true, false, _) => Ok(Pushed {
                needs_census: false,
                ..Pushed::without_parameters(format!("{name} IS NULL"), Grade::Exact, column)
            }),
            (true, true, _) => {
                Ok(Pushed::without_parameters(format!("{name} IS NULL"), Grade::Exact, column))
            }
            (false, is_known, _) => {
                let grade = if is_known { Grade::Exact } else { Grade::Narrow };
                Ok(Pushed::without_parameters(format!("{name} IS NOT NULL"), grade, column))
            }
        })
    }

    /// # Safety
    /// As [`Walk::condition`].
    unsafe fn boolean_test(&mut self, node: *mut pg_sys::BooleanTest) -> Result<Outcome> {
        use pg_sys::BoolTestType;
        // SAFETY: a valid node, and its argument is one.
        unsafe {
            let arg = (*node).arg.cast();
            Ok(match (*node).booltesttype {
                BoolTestType::IS_TRUE => self.truth(arg, true, Test::Is),
                BoolTestType::IS_FALSE => self.truth(arg, false, Test::Is),
                BoolTestType::IS_NOT_TRUE => self.truth(arg, false, Test::IsOrNull),
                BoolTestType::IS_NOT_FALSE => self.truth(arg, true, Test::IsOrNull),
                _ => Err(Local::Form),
            })
        }
    }

    /// A boolean column that is true or false.
    ///
    /// # Safety
    /// As [`Walk::condition`].
    unsafe fn truth(&self, node: *mut pg_sys::Node, truth: bool, test: Test) -> Outcome {
        // SAFETY: the caller's promise.
        let column = unsafe { self.column(node) }.ok_or(Local::Form)?;
        if column.is_generated {
            return Err(Local::Generated);
        }
        let (kind, is_exact) = kind_of(column)?;
        if kind != Kind::Boolean {
            return Err(Local::Form);
        }
        if test == Test::IsOrNull && !is_exact && self.remote.on_error == OnError::Null {
            return Err(Local::BadIsNull);
        }
        let operand = Operand::new(&column.name, column.affinity, kind).ok_or(Local::Affinity)?;
        let (sql, grade) = if is_exact {
            (operand.is(truth, test), Grade::Exact)
        } else {
            (operand.may_be(truth, test), Grade::Narrow)
        };
        Ok(Pushed::without_parameters(sql, grade, column))
    }

    /// The column of ours that an expression is, apart from a change of type that leaves its bytes alone.
    ///
    /// # Safety
    /// As [`Walk::condition`].
    unsafe fn column(&self, node: *mut pg_sys::Node) -> Option<&'a RemoteColumn> {
        // SAFETY: each node is cast to the type that its tag names.
        unsafe { column_of(self.remote, self.relid, node) }
    }

    /// The expression has one value for all rows of ours that are asked for at a time.
    ///
    /// # Safety
    /// As [`Walk::condition`].
    unsafe fn check_parameter(&self, node: *mut pg_sys::Node) -> std::result::Result<(), Local> {
        // SAFETY: the caller's promise.
        unsafe {
            let varnos = pg_sys::pull_varnos(self.root, node);
            if pg_sys::bms_is_member(self.relid as i32, varnos) {
                return Err(Local::Form);
            }
            if pg_sys::contain_volatile_functions(node) || pg_sys::contain_subplans(node) {
                return Err(Local::Parameter);
            }
        }
        Ok(())
    }
}

/// Under a collation, texts are equal where their bytes are; and, where that is asked, they are ordered as
/// their bytes are.
fn is_alike(collation: pg_sys::Oid, is_ordered: bool) -> Result<bool> {
    if collation == pg_sys::InvalidOid {
        return Ok(false);
    }
    if is_ordered {
        return is_order_of_bytes(collation);
    }
    // SAFETY: looks a collation up in the catalogue; it is there as long as the clause that names it is.
    Ok(unsafe { pg_sys::get_collation_isdeterministic(collation) })
}

/// # Safety
/// The node is an expression of the planner.
unsafe fn column_of(remote: &Remote, relid: pg_sys::Index, node: *mut pg_sys::Node) -> Option<&RemoteColumn> {
    // SAFETY: each node is cast to the type that its tag names.
    unsafe {
        let mut node = node;
        if (*node).type_ == pg_sys::NodeTag::T_RelabelType {
            let relabel = node.cast::<pg_sys::RelabelType>();
            if (*relabel).resulttype != pg_sys::TEXTOID {
                return None;
            }
            node = (*relabel).arg.cast();
        }
        if (*node).type_ != pg_sys::NodeTag::T_Var {
            return None;
        }
        let var = node.cast::<pg_sys::Var>();
        if (*var).varno as pg_sys::Index != relid || (*var).varlevelsup != 0 {
            return None;
        }
        remote.column((*var).varattno)
    }
}

/// # Safety
/// A list of nodes or none.
unsafe fn nodes(list: *mut pg_sys::List) -> Vec<*mut pg_sys::Node> {
    // SAFETY: the caller's promise.
    unsafe { PgList::<pg_sys::Node>::from_pg(list) }.iter_ptr().collect()
}
