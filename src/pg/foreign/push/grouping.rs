//! Which aggregates, groups and DISTINCTs can SQLite compute for a whole table?
//!
//! Nothing is computed there but what comes out the same to the last bit: counts, the least and the greatest,
//! sums of integers in two halves (SQLite's own sum ends at 2^63), groups of equal values.
#![allow(unsafe_code)] // walks the planner's targets

use std::fmt;
use std::str::FromStr;

use aliaport_rows::row::OnError;
use pgrx::{PgList, pg_sys};

use super::operator::{self, Family};
use super::sql::{Comparison, Kind, Operand};
use super::{Grade, Pushed, column_of, condition, is_alike, kind_of};
use crate::pg::foreign::column::{Remote, RemoteColumn};
use crate::pg::server::error::Result;

/// What a column of the result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A value of the foreign table's column with this number.
    Column(i16),
    /// A count.
    Count,
    /// The two halves of a sum, of this type.
    Sum(pg_sys::Oid),
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Column(attnum) => write!(f, "column {attnum}"),
            Output::Count => f.write_str("count 0"),
            Output::Sum(of) => write!(f, "sum {}", of.to_u32()),
        }
    }
}

impl FromStr for Output {
    type Err = ();

    /// Reads what [`fmt::Display`] writes.
    fn from_str(text: &str) -> std::result::Result<Output, ()> {
        let (word, number) = text.split_once(' ').ok_or(())?;
        Ok(match word {
            "column" => Output::Column(number.parse().map_err(drop)?),
            "count" => Output::Count,
            "sum" => Output::Sum(number.parse::<u32>().map_err(drop)?.into()),
            _ => return Err(()),
        })
    }
}

/// A query over a whole table.
#[derive(Debug)]
pub struct Grouped {
    /// What stands after SELECT, and what becomes of it.
    pub selected: Vec<(String, Output)>,
    /// What stands after GROUP BY.
    pub group_by: Vec<String>,
    /// All conditions, each of them exact.
    pub conditions: Vec<Pushed>,
    /// The columns of the result for the planner (`fdw_scan_tlist`).
    pub tlist: *mut pg_sys::List,
    /// It holds only as long as the census does.
    pub needs_census: bool,
}

/// The aggregates of pg_catalog that are known here, by their fixed OIDs (src/include/catalog/pg_proc.dat).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    CountRows,
    Count,
    Least,
    Greatest,
    Sum,
}

impl Aggregate {
    fn of(oid: pg_sys::Oid) -> Option<Aggregate> {
        Some(match oid.to_u32() {
            2803 => Aggregate::CountRows,
            2147 => Aggregate::Count,
            // int8, int4, int2, float8, date, timestamp, timestamptz, text
            2131 | 2132 | 2133 | 2136 | 2138 | 2142 | 2143 | 2145 => Aggregate::Least,
            2115 | 2116 | 2117 | 2120 | 2122 | 2126 | 2127 | 2129 => Aggregate::Greatest,
            // int8, int4, int2
            2107..=2109 => Aggregate::Sum,
            _ => return None,
        })
    }
}

/// What the planner asks for, if SQLite can give all of it from one base relation; else nothing.
///
/// # Safety
/// The pointers are the planner's own: of a query that groups the rows of `baserel`, or takes each once, and
/// the target of that.
pub unsafe fn grouped(
    root: *mut pg_sys::PlannerInfo,
    baserel: *mut pg_sys::RelOptInfo,
    remote: &Remote,
    clauses: *mut pg_sys::List,
    target: *mut pg_sys::PathTarget,
    having: *mut pg_sys::Node,
) -> Result<Option<Grouped>> {
    // A row is left out for what any of its columns holds, or for one that is NOT NULL.
    if remote.on_error != OnError::Abort && remote.columns.iter().any(|column| column.proven.is_none()) {
        return Ok(None);
    }
    // SAFETY: the caller's promise, for all that follows.
    unsafe {
        let mut building = Building {
            remote,
            relid: (*baserel).relid,
            grouped: Grouped {
                selected: Vec::new(),
                group_by: Vec::new(),
                conditions: Vec::new(),
                tlist: std::ptr::null_mut(),
                needs_census: remote.on_error != OnError::Abort
                    && remote.columns.iter().any(|column| column.is_by_census),
            },
        };
        let mut first = 1;
        for clause in PgList::<pg_sys::Expr>::from_pg((*baserel).baserestrictinfo.cast()).iter_ptr() {
            match condition(root, baserel, remote, clause, first)? {
                Ok(pushed) if pushed.grade == Grade::Exact => {
                    first += pushed.parameters.len();
                    building.grouped.needs_census |= pushed.needs_census;
                    building.grouped.conditions.push(pushed);
                }
                _ => return Ok(None),
            }
        }
        let exprs = PgList::<pg_sys::Expr>::from_pg((*target).exprs);
        let mut rest = Vec::new();
        for (i, expr) in exprs.iter_ptr().enumerate() {
            let sortref = match (*target).sortgrouprefs {
                refs if refs.is_null() => 0,
                refs => *refs.add(i),
            };
            let clause = match sortref {
                0 => std::ptr::null_mut(),
                sortref => pg_sys::get_sortgroupref_clause_noerr(sortref, clauses),
            };
            if clause.is_null() {
                rest.push(expr.cast());
            } else if !building.group(expr, clause)? {
                return Ok(None);
            }
        }
        rest.push(having);
        for node in rest.into_iter().filter(|node| !node.is_null()) {
            if !building.compute(node)? {
                return Ok(None);
            }
        }
        // Each group has to be in what is returned: the planner puts it there.
        if building.grouped.group_by.len() != PgList::<pg_sys::Node>::from_pg(clauses).len() {
            return Ok(None);
        }
        Ok(Some(building.grouped))
    }
}

struct Building<'a> {
    remote: &'a Remote,
    relid: pg_sys::Index,
    grouped: Grouped,
}

impl<'a> Building<'a> {
    /// Adds an expression that rows are grouped by; false where SQLite has other groups.
    ///
    /// # Safety
    /// Valid nodes of the planner.
    unsafe fn group(
        &mut self,
        expr: *mut pg_sys::Expr,
        clause: *mut pg_sys::SortGroupClause,
    ) -> Result<bool> {
        // SAFETY: the caller's promise.
        unsafe {
            let Some((column, operand)) = self.distinct(expr.cast(), (*clause).eqop)? else {
                return Ok(false);
            };
            self.add(
                expr,
                (*clause).tleSortGroupRef,
                operand.sql().to_owned(),
                Output::Column(column.attnum),
            );
            self.grouped.group_by.push(operand.sql().to_owned());
        }
        Ok(true)
    }

    /// A column whose values are equal in both systems, by this operator, where they are in one.
    ///
    /// # Safety
    /// A valid node of the planner.
    unsafe fn distinct(
        &mut self,
        expr: *mut pg_sys::Node,
        equality: pg_sys::Oid,
    ) -> Result<Option<(&'a RemoteColumn, Operand)>> {
        // SAFETY: the caller's promise.
        let (column, collation) =
            unsafe { (column_of(self.remote, self.relid, expr), pg_sys::exprCollation(expr)) };
        let Some(column) = column else { return Ok(None) };
        let Some((family, Comparison::Equal)) = operator::comparison(equality) else { return Ok(None) };
        let Some(operand) = self.operand(column, collation, false)? else { return Ok(None) };
        // The two zeros are one group, of which either is shown.
        let is_alike = operator::family_of_type(column.type_oid) == Some(family) && family != Family::Real;
        Ok(is_alike.then_some((column, operand)))
    }

    /// A column that is proven, to be compared or also put in order.
    fn operand(
        &mut self,
        column: &RemoteColumn,
        collation: pg_sys::Oid,
        is_ordered: bool,
    ) -> Result<Option<Operand>> {
        let Ok((kind, true)) = kind_of(column) else { return Ok(None) };
        let is_text = kind == Kind::Text;
        if column.is_generated || is_text && !(self.remote.is_utf8 && is_alike(collation, is_ordered)?) {
            return Ok(None);
        }
        self.grouped.needs_census |= column.is_by_census;
        Ok(Operand::new(&column.name, column.affinity, kind))
    }

    /// Adds the aggregates in an expression; false where SQLite cannot compute one, or it has columns that
    /// rows are not grouped by.
    ///
    /// # Safety
    /// A valid node of the planner.
    unsafe fn compute(&mut self, node: *mut pg_sys::Node) -> Result<bool> {
        let flags = pg_sys::PVC_INCLUDE_AGGREGATES
            | pg_sys::PVC_RECURSE_WINDOWFUNCS
            | pg_sys::PVC_RECURSE_PLACEHOLDERS;
        // SAFETY: the caller's promise.
        unsafe {
            if pg_sys::contain_subplans(node) {
                return Ok(false);
            }
            for part in
                PgList::<pg_sys::Expr>::from_pg(pg_sys::pull_var_clause(node, flags as i32)).iter_ptr()
            {
                if !pg_sys::tlist_member(part, self.grouped.tlist).is_null() {
                    continue;
                }
                if (*part).type_ != pg_sys::NodeTag::T_Aggref {
                    return Ok(false);
                }
                let Some((sql, output)) = self.aggregate(part.cast())? else { return Ok(false) };
                self.add(part, 0, sql, output);
            }
        }
        Ok(true)
    }

    /// # Safety
    /// A valid node of the planner.
    unsafe fn aggregate(&mut self, node: *mut pg_sys::Aggref) -> Result<Option<(String, Output)>> {
        // SAFETY: the caller's promise.
        unsafe {
            let is_plain = (*node).aggfilter.is_null()
                && (*node).aggorder.is_null()
                && (*node).aggdirectargs.is_null()
                && !(*node).aggvariadic
                && (*node).agglevelsup == 0
                && (*node).aggsplit == pg_sys::AggSplit::AGGSPLIT_SIMPLE;
            let Some(aggregate) = Aggregate::of((*node).aggfnoid).filter(|_| is_plain) else {
                return Ok(None);
            };
            if aggregate == Aggregate::CountRows {
                return Ok(Some(("count(*)".to_owned(), Output::Count)));
            }
            let arguments = PgList::<pg_sys::TargetEntry>::from_pg((*node).args);
            let Some(argument) = arguments.get_ptr(0).filter(|_| arguments.len() == 1) else {
                return Ok(None);
            };
            let argument = (*argument).expr.cast::<pg_sys::Node>();
            let distinct = PgList::<pg_sys::SortGroupClause>::from_pg((*node).aggdistinct);
            if let Some(clause) = distinct.get_ptr(0) {
                let found = match aggregate {
                    Aggregate::Count => self.distinct(argument, (*clause).eqop)?,
                    _ => None,
                };
                return Ok(
                    found.map(|(_, operand)| (format!("count(DISTINCT {})", operand.sql()), Output::Count))
                );
            }
            let Some(column) = column_of(self.remote, self.relid, argument) else { return Ok(None) };
            let is_ordered = matches!(aggregate, Aggregate::Least | Aggregate::Greatest);
            let Some(operand) = self.operand(column, (*node).inputcollid, is_ordered)? else {
                return Ok(None);
            };
            let c = operand.sql();
            let value = Output::Column(column.attnum);
            Ok(match aggregate {
                Aggregate::CountRows | Aggregate::Count => Some((format!("count({c})"), Output::Count)),
                Aggregate::Least => Some((format!("min({c})"), value)),
                Aggregate::Greatest => Some((format!("max({c})"), value)),
                // NULL where there is no value, as SQLite's sum is.
                Aggregate::Sum => Some((
                    format!("sum({c} >> 32) || ':' || sum({c} & 4294967295)"),
                    Output::Sum((*node).aggtype),
                )),
            })
        }
    }

    /// # Safety
    /// A valid node of the planner.
    unsafe fn add(&mut self, expr: *mut pg_sys::Expr, sortref: pg_sys::Index, sql: String, output: Output) {
        // SAFETY: the caller's promise; the copies are made in the planner's memory.
        unsafe {
            let number = self.grouped.selected.len() + 1;
            let copy = pg_sys::copyObjectImpl(expr.cast()).cast();
            let entry = pg_sys::makeTargetEntry(copy, number as i16, std::ptr::null_mut(), false);
            (*entry).ressortgroupref = sortref;
            self.grouped.tlist = pg_sys::lappend(self.grouped.tlist, entry.cast());
        }
        self.grouped.selected.push((sql, output));
    }
}

/// The sum whose halves SQLite has written.
pub fn sum_of_halves(text: &str) -> Option<i128> {
    let (high, low) = text.split_once(':')?;
    Some(high.parse::<i128>().ok()? * (1 << 32) + low.parse::<i128>().ok()?)
}
