//! What a scan does, as the planner hands it to the executor: one text that any copy of the plan keeps.
#![allow(unsafe_code)] // makes and reads a node of PostgreSQL's

use std::ffi::{CStr, CString};

use pgrx::{PgList, pg_sys};
use serde_json::{Value as Json, json};

use super::push::Pushed;
use super::push::binding::Binding;
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
        if let Some(order) = &self.order {
            let space = if tail.is_empty() { "" } else { " " };
            tail.push_str(&format!("{space}ORDER BY {order}"));
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
            self.statement
        ])
        .to_string();
        let text = CString::new(text).map_err(unexpected)?;
        // SAFETY: the text is copied into the current context, where the node is made, too.
        unsafe {
            let mut list = PgList::<pg_sys::Node>::new();
            list.push(pg_sys::makeString(pg_sys::pstrdup(text.as_ptr())).cast());
            Ok(list.into_pg())
        }
    }

    /// Reads what [`ScanPlan::to_list`] made.
    ///
    /// # Safety
    /// The list is a plan's `fdw_private`.
    pub unsafe fn from_list(list: *mut pg_sys::List) -> Result<ScanPlan> {
        // SAFETY: the list's only element is a String node, whose text ends with a NUL byte.
        let text = unsafe {
            let node = pg_sys::list_nth(list, 0);
            CStr::from_ptr(string_of(node.cast())).to_str().map_err(unexpected)?
        };
        let all: Json = serde_json::from_str(text).map_err(unexpected)?;
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
        })
    }
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
