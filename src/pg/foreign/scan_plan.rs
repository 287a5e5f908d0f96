//! What a scan does, as the planner hands it to the executor: one text that any copy of the plan keeps.
#![allow(unsafe_code)] // makes and reads a node of PostgreSQL's

use std::ffi::{CStr, CString};

use pgrx::{PgList, pg_sys};
use serde_json::{Value as Json, json};

use super::push::Pushed;
use super::push::binding::Binding;
use super::push::grouping::Output;
use crate::pg::server::error::{Result, unexpected};

/// A condition that SQLite decides.
#[derive(Clone, Debug)]
pub struct Condition {
    /// With parameters `?N`.
    pub sql: String,
    /// It holds only as long as the census does.
    pub needs_census: bool,
}

/// What a scan of one foreign table does.
#[derive(Clone, Debug, Default)]
pub struct ScanPlan {
    /// The attributes that are read.
    pub attributes: Vec<i16>,
    /// What SQLite decides.
    pub conditions: Vec<Condition>,
    /// What each parameter is bound as, in their order.
    pub bindings: Vec<Binding>,
    /// What follows `ORDER BY`.
    pub order: Option<String>,
    /// Conditions or order stand on the census of this state of the file.
    pub stamp: Option<String>,
    /// Why each condition of the scan stays in PostgreSQL; `None` where SQLite decides it, too.
    pub reasons: Vec<Option<String>>,
    /// The statement, for EXPLAIN.
    pub statement: String,
    /// SQLite computes what is asked of all rows; no attributes are read then.
    pub grouped: Option<GroupedScan>,
}

/// What SQLite computes of a whole table.
#[derive(Clone, Debug)]
pub struct GroupedScan {
    /// The foreign table.
    pub relation: pg_sys::Oid,
    /// What stands after `SELECT`.
    pub select: String,
    /// What stands after `GROUP BY`, empty for none.
    pub group_by: String,
    /// What each column is.
    pub outputs: Vec<Output>,
}

impl GroupedScan {
    fn to_json(&self) -> Json {
        let outputs: Vec<String> = self.outputs.iter().map(ToString::to_string).collect();
        json!([self.relation.to_u32(), self.select, self.group_by, outputs])
    }

    fn from_json(json: &Json) -> Option<GroupedScan> {
        let outputs = json.get(3)?.as_array()?.iter();
        Some(GroupedScan {
            relation: u32::try_from(json.get(0)?.as_u64()?).ok()?.into(),
            select: json.get(1)?.as_str()?.to_owned(),
            group_by: json.get(2)?.as_str()?.to_owned(),
            outputs: outputs.map(|output| output.as_str()?.parse().ok()).collect::<Option<_>>()?,
        })
    }
}

impl ScanPlan {
    /// Adds a condition; its parameters were numbered on from those that there are.
    pub fn push(&mut self, pushed: Pushed) {
        self.conditions.push(Condition { sql: pushed.sql, needs_census: pushed.needs_census });
        self.bindings.extend(pushed.bindings);
    }

    /// What follows the selection: the conditions that hold, and the order.
    pub fn tail(&self, has_census: bool) -> String {
        let kept = self.conditions.iter().filter(|c| has_census || !c.needs_census);
        let kept: Vec<String> = kept.map(|c| format!("({})", c.sql)).collect();
        let mut tail = String::new();
        if !kept.is_empty() {
            tail = format!("WHERE {}", kept.join(" AND "));
        }
        let group_by = self.grouped.as_ref().map(|grouped| &grouped.group_by).filter(|by| !by.is_empty());
        for (words, list) in [("GROUP BY", group_by), ("ORDER BY", self.order.as_ref())] {
            if let Some(list) = list {
                let space = if tail.is_empty() { "" } else { " " };
                tail.push_str(&format!("{space}{words} {list}"));
            }
        }
        tail
    }

    /// As `fdw_private`.
    pub fn to_list(&self) -> Result<*mut pg_sys::List> {
        let bindings: Vec<String> = self.bindings.iter().map(ToString::to_string).collect();
        let conditions: Vec<Json> = self.conditions.iter().map(|c| json!([c.sql, c.needs_census])).collect();
        let text = json!([
            self.attributes,
            conditions,
            bindings,
            self.order,
            self.stamp,
            self.reasons,
            self.statement,
            self.grouped.as_ref().map(GroupedScan::to_json)
        ])
        .to_string();
        list_of_text(text)
    }

    /// Reads what [`ScanPlan::to_list`] made.
    ///
    /// # Safety
    /// The list is a plan's `fdw_private`.
    pub unsafe fn from_list(list: *mut pg_sys::List) -> Result<ScanPlan> {
        // SAFETY: the list's only element is a String node.
        let all = unsafe { json_of_list(list)? };
        let texts = |at: usize| {
            let array = all.get(at).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
            array.iter().map(|text| text.as_str().map(str::to_owned))
        };
        let text = |at: usize| all.get(at).and_then(Json::as_str).map(str::to_owned);
        let array = |at: usize| all.get(at).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let bindings = texts(2).flatten().map(|b| b.parse::<Binding>().map_err(|_| unexpected("binding")));
        Ok(ScanPlan {
            attributes: array(0).iter().filter_map(|n| i16::try_from(n.as_i64()?).ok()).collect(),
            conditions: array(1)
                .iter()
                .filter_map(|c| {
                    Some(Condition {
                        sql: c.get(0)?.as_str()?.to_owned(),
                        needs_census: c.get(1)?.as_bool()?,
                    })
                })
                .collect(),
            bindings: bindings.collect::<Result<_>>()?,
            order: text(3),
            stamp: text(4),
            reasons: texts(5).collect(),
            statement: text(6).unwrap_or_default(),
            grouped: all.get(7).and_then(GroupedScan::from_json),
        })
    }
}

/// An order as the `fdw_private` of a path, and whether it stands on a census.
pub fn order_to_list(order: &str, needs_census: bool) -> Result<*mut pg_sys::List> {
    let text = json!([order, needs_census]).to_string();
    list_of_text(text)
}

/// Reads what [`order_to_list`] made.
///
/// # Safety
/// The list is such a one.
pub unsafe fn order_from_list(list: *mut pg_sys::List) -> Result<(String, bool)> {
    // SAFETY: the caller's promise.
    let json = unsafe { json_of_list(list)? };
    let order = json.get(0).and_then(Json::as_str).unwrap_or_default().to_owned();
    Ok((order, json.get(1).and_then(Json::as_bool).unwrap_or(true)))
}

fn list_of_text(text: String) -> Result<*mut pg_sys::List> {
    let text = CString::new(text).map_err(unexpected)?;
    // SAFETY: the text is copied into the current context, where the node is made, too.
    unsafe {
        let mut list = PgList::<pg_sys::Node>::new();
        list.push(pg_sys::makeString(pg_sys::pstrdup(text.as_ptr())).cast());
        Ok(list.into_pg())
    }
}

/// # Safety
/// The list's first element is a String node.
unsafe fn json_of_list(list: *mut pg_sys::List) -> Result<Json> {
    // SAFETY: the caller's promise; the text ends with a NUL byte.
    let text = unsafe {
        let node = pg_sys::list_nth(list, 0);
        CStr::from_ptr(string_of(node.cast())).to_str().map_err(unexpected)?
    };
    serde_json::from_str(text).map_err(unexpected)
}

/// # Safety
/// The node is a String.
unsafe fn string_of(node: *mut pg_sys::Node) -> *const std::ffi::c_char {
    // SAFETY: the caller's promise. PostgreSQL 14 has a Value in its place.
    unsafe {
        #[cfg(feature = "pg14")]
        return (*node.cast::<pg_sys::Value>()).val.str_;
        #[cfg(not(feature = "pg14"))]
        return (*node.cast::<pg_sys::String>()).sval;
    }
}
