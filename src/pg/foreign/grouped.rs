//! The columns of what SQLite computes of a whole table, and the sums among them.

use aliaport_rows::column::ColumnPlan;
use aliaport_rows::convert::{NumberUnit, UuidBytes};
use aliaport_rows::pg_type::PgType;
use aliaport_rows::value::{Row, Value};
use pgrx::pg_sys;

use super::definition::DefinedColumn;
use super::push::grouping::{Output, sum_of_halves};
use super::remote::Opened;
use super::scan_plan::{GroupedScan, ScanPlan};
use crate::pg::server::error::{Result, unexpected};

impl GroupedScan {
    /// The columns of the result, as if a foreign table had them.
    pub fn columns(&self, opened: &Opened) -> Result<Vec<DefinedColumn>> {
        (1..).zip(&self.outputs).map(|(attnum, output)| column(opened, attnum, *output)).collect()
    }

    /// Which of them are sums.
    pub fn sums(&self) -> Vec<bool> {
        let sums: Vec<bool> = self.outputs.iter().map(|output| matches!(output, Output::Sum(_))).collect();
        if sums.contains(&true) { sums } else { Vec::new() }
    }
}

fn column(opened: &Opened, attnum: i16, output: Output) -> Result<DefinedColumn> {
    let made = |name: &str, pg_type: PgType, type_oid: pg_sys::Oid| DefinedColumn {
        attnum,
        type_oid,
        typmod: -1,
        base: (type_oid, -1),
        is_domain: false,
        plan: ColumnPlan {
            source: name.to_owned(),
            declared_type: String::new(),
            target: name.to_owned(),
            pg_type,
            is_not_null: false,
            number: NumberUnit::default(),
            uuid: UuidBytes::default(),
        },
    };
    Ok(match output {
        Output::Count => made("count", PgType::BigInt, pg_sys::INT8OID),
        Output::Sum(pg_sys::INT8OID) => made("sum", PgType::BigInt, pg_sys::INT8OID),
        Output::Sum(oid) => made("sum", PgType::Numeric { precision_scale: None }, oid),
        Output::Column(of) => {
            let column = opened.definition.columns.iter().find(|column| column.attnum == of);
            let column = column.ok_or_else(|| unexpected("absence of a foreign table's column"))?;
            DefinedColumn {
                plan: ColumnPlan { is_not_null: false, ..column.plan.clone() },
                ..made(&column.plan.source, column.plan.pg_type.clone(), column.type_oid)
            }
        }
    })
}

/// A row in which the halves of sums are put together, as the digits of the whole. `texts` holds them.
pub fn with_sums<'a>(row: &Row<'a>, sums: &[bool], texts: &'a mut Vec<String>) -> Vec<Value<'a>> {
    texts.clear();
    texts.extend(sums.iter().enumerate().map(|(i, is_sum)| {
        match row.value(i) {
            Value::Text(halves) if *is_sum => std::str::from_utf8(halves)
                .ok()
                .and_then(sum_of_halves)
                .map(|sum| sum.to_string())
                .unwrap_or_default(),
            _ => String::new(),
        }
    }));
    let texts = &*texts;
    let values = texts.iter().enumerate().map(|(i, text)| match row.value(i) {
        Value::Text(_) if !text.is_empty() => Value::Text(text.as_bytes()),
        value => value,
    });
    values.collect()
}

impl ScanPlan {
    /// `SELECT ... FROM`, for a scan that computes something of the whole table.
    pub fn grouped_selection(&self, opened: &Opened) -> Result<Option<String>> {
        let Some(grouped) = &self.grouped else { return Ok(None) };
        let table = opened.source().quoted(&opened.file_table.table.name).map_err(super::error::of_query)?;
        Ok(Some(format!("SELECT {} FROM main.{table}", grouped.select)))
    }
}
