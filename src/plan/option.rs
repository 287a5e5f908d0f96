//! What may a caller ask for, and what did this one ask for?
//!
//! [`OPTIONS`] is the only place that knows the keys: the check, the hints, the nearest match and the manual
//! all read it. Whether a table or a column that an option names exists is for [`crate::planner`] to say,
//! which has the catalogue.

mod nearest;
mod spec;

use std::collections::BTreeMap;
use std::fmt;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde_json::Value;

use crate::mapping::named_type;
use crate::name::parse_qualified;
use crate::policy::{Identifiers, IntegerWidth, NoCase, Orphans, Verify};
use aliaport_rows::convert::{NumberUnit, UuidBytes, Zone};
use aliaport_rows::pg_type::{PgType, Shape};
use aliaport_rows::sqlstate::SqlState;

pub use nearest::nearest;
pub(crate) use spec::shorten;
pub use spec::{OPTIONS, OptionKind, OptionSpec, manual};
use spec::{bad_value, check};

/// What is asked for one foreign key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForeignKeyOption {
    /// `CASCADE` and so on, in SQL's spelling.
    pub on_delete: Option<&'static str>,
    /// What happens to its orphans.
    pub orphans: Option<Orphans>,
}

/// What is asked for one table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableOption {
    /// Schema (where one is given) and name of the target.
    pub target: Option<(Option<String>, String)>,
    /// A condition in SQLite's SQL.
    pub filter: Option<String>,
    /// By SQLite column name; look up with [`TableOption::column`].
    pub columns: BTreeMap<String, ColumnOption>,
}

impl TableOption {
    /// What is asked for a column, whose name compares as SQLite compares names.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnOption> {
        lookup(&self.columns, name)
    }
}

/// What is asked for one column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnOption {
    /// Its PostgreSQL type.
    pub pg_type: Option<PgType>,
    /// Its name in the target.
    pub target: Option<String>,
    /// Leave it out.
    pub skip: bool,
    /// What a number in a date or time column counts.
    pub number: NumberUnit,
    /// In which order the bytes of a uuid stand in a blob.
    pub uuid: UuidBytes,
}

/// A full-text index that is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchOption {
    /// SQLite column names.
    pub columns: Vec<String>,
    /// The text search configuration.
    pub config: String,
}

/// The `options` argument, checked. Names of tables and columns in it are not checked yet.
#[derive(Clone, Debug)]
pub struct Options {
    /// Globs of tables to import; empty means all.
    pub include: Vec<String>,
    /// Globs of tables to leave out.
    pub exclude: Vec<String>,
    /// The time zone of naive datetimes.
    pub timezone: String,
    /// How names are written in PostgreSQL.
    pub identifiers: Identifiers,
    /// The type of a column declared INTEGER.
    pub integer: IntegerWidth,
    /// What becomes of COLLATE NOCASE.
    pub nocase: NoCase,
    /// By `table.column`, or `table.column1,column2` for a composite key.
    pub foreign_keys: BTreeMap<String, ForeignKeyOption>,
    /// By SQLite table name; look up with [`Options::table`].
    pub tables: BTreeMap<String, TableOption>,
    /// By SQLite table name; look up with [`Options::search_of`].
    pub search: BTreeMap<String, SearchOption>,
    /// Whether user triggers of existing tables fire.
    pub triggers: bool,
    /// What is compared after the load.
    pub verify: Verify,
    /// Create the source's indexes.
    pub indexes: bool,
    /// Create the source's foreign keys as constraints.
    pub foreign_key_constraints: bool,
    /// Mode sync deletes vanished rows.
    pub sync_delete: bool,
    /// Rows in the sample of a finding.
    pub samples: usize,
    /// Import although the source has not changed.
    pub force: bool,
    pub(crate) include_set: GlobSet,
    pub(crate) exclude_set: GlobSet,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            include: Vec::new(),
            exclude: Vec::new(),
            timezone: "UTC".to_owned(),
            identifiers: Identifiers::default(),
            integer: IntegerWidth::default(),
            nocase: NoCase::default(),
            foreign_keys: BTreeMap::new(),
            tables: BTreeMap::new(),
            search: BTreeMap::new(),
            triggers: false,
            verify: Verify::default(),
            indexes: true,
            foreign_key_constraints: true,
            sync_delete: true,
            samples: 5,
            force: false,
            include_set: GlobSet::empty(),
            exclude_set: GlobSet::empty(),
        }
    }
}

/// A bad option: SQLSTATE 22023 (invalid_parameter_value). `Display` is the primary message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    message: String,
    hint: String,
}

impl OptionError {
    /// What is allowed, and the nearest key that exists.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        (!self.hint.is_empty()).then(|| self.hint.clone())
    }

    /// Always `22023`.
    #[must_use]
    pub fn sqlstate(&self) -> SqlState {
        SqlState::INVALID_PARAMETER_VALUE
    }

    fn new(message: String, hint: String) -> Self {
        OptionError { message, hint }
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for OptionError {}

impl Options {
    /// Reads the `options` argument.
    ///
    /// # Errors
    /// An unknown key, a value of the wrong type, a word that is not allowed, a broken glob, an unknown time
    /// zone, or a name given twice.
    pub fn parse(value: &Value) -> Result<Options, OptionError> {
        check(value, &mut Vec::new(), "")?;
        let mut options = Options::default();
        let Some(object) = value.as_object() else { return Ok(options) };
        for (key, value) in object {
            match key.as_str() {
                "include" => options.include = texts(value),
                "exclude" => options.exclude = texts(value),
                "timezone" => options.timezone = timezone(value)?,
                "identifiers" => options.identifiers = choice(value, Identifiers::parse),
                "integer" => options.integer = choice(value, IntegerWidth::parse),
                "nocase" => options.nocase = choice(value, NoCase::parse),
                "foreign_keys" => options.foreign_keys = named(value, "foreign_keys", foreign_key)?,
                "tables" => options.tables = named(value, "tables", table)?,
                "search" => options.search = named(value, "search", search)?,
                "triggers" => options.triggers = word(value) == "on",
                "verify" => options.verify = choice(value, Verify::parse),
                "indexes" => options.indexes = flag(value),
                "foreign_key_constraints" => options.foreign_key_constraints = flag(value),
                "sync_delete" => options.sync_delete = flag(value),
                "samples" => {
                    let given = value.as_u64().and_then(|n| usize::try_from(n).ok());
                    options.samples = given.unwrap_or(options.samples);
                }
                "force" => options.force = flag(value),
                // check() has let nothing else through.
                _ => {}
            }
        }
        options.include_set = globs("include", &options.include)?;
        options.exclude_set = globs("exclude", &options.exclude)?;
        Ok(options)
    }

    /// What is asked for a table, whose name compares as SQLite compares names.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&TableOption> {
        lookup(&self.tables, name)
    }

    /// Leaves a column out, whatever else is asked for it.
    pub fn leave_out(&mut self, table: &str, column: &str) {
        let left_out = entry(&mut entry(&mut self.tables, table).columns, column);
        *left_out = ColumnOption { skip: true, ..ColumnOption::default() };
        // What is asked for its foreign keys has no object any more.
        self.foreign_keys.retain(|label, _| {
            !label.split_once('.').is_some_and(|(of, columns)| {
                of.eq_ignore_ascii_case(table)
                    && columns.split(',').any(|c| c.trim().eq_ignore_ascii_case(column))
            })
        });
    }

    /// What is asked for a column.
    #[must_use]
    pub fn column(&self, table: &str, column: &str) -> Option<&ColumnOption> {
        self.table(table)?.column(column)
    }

    /// The full-text index that is asked for a table.
    #[must_use]
    pub fn search_of(&self, table: &str) -> Option<&SearchOption> {
        lookup(&self.search, table)
    }

    /// Whether include and exclude let a table through. A name that is written out matches also where it has
    /// glob characters in it.
    #[must_use]
    pub fn includes(&self, table: &str) -> bool {
        let matches = |names: &[String], set: &GlobSet| {
            names.iter().any(|name| name.eq_ignore_ascii_case(table)) || set.is_match(table)
        };
        (self.include.is_empty() || matches(&self.include, &self.include_set))
            && !matches(&self.exclude, &self.exclude_set)
    }

    /// Globs of `include` that match none of these names.
    pub(crate) fn unmatched_includes<'n>(
        &self,
        names: impl Fn() -> Box<dyn Iterator<Item = &'n str> + 'n>,
    ) -> Vec<String> {
        unmatched(&self.include, &self.include_set, names)
    }

    /// Globs of `exclude` that match none of these names.
    pub(crate) fn unmatched_excludes<'n>(
        &self,
        names: impl Fn() -> Box<dyn Iterator<Item = &'n str> + 'n>,
    ) -> Vec<String> {
        unmatched(&self.exclude, &self.exclude_set, names)
    }

    /// What is asked for a foreign key, by `table.column` or `table.column1,column2`.
    #[must_use]
    pub fn foreign_key(&self, label: &str) -> Option<&ForeignKeyOption> {
        let found = self.foreign_keys.iter().find(|(k, _)| k.replace(", ", ",").eq_ignore_ascii_case(label));
        found.map(|(_, v)| v)
    }

    /// The names of types that options give and that this crate does not know, and what their values are made
    /// of.
    pub fn other_types(&mut self) -> impl Iterator<Item = (&mut String, &mut Shape)> {
        let columns = self.tables.values_mut().flat_map(|t| t.columns.values_mut());
        columns.filter_map(|c| match &mut c.pg_type {
            Some(PgType::Other { name, shape }) => Some((name, shape)),
            _ => None,
        })
    }

    /// Schemas that options name as targets, so that the target catalogue is read there too.
    #[must_use]
    pub fn target_schemas(&self) -> Vec<String> {
        let mut schemas: Vec<String> =
            self.tables.values().filter_map(|t| t.target.as_ref()?.0.clone()).collect();
        schemas.sort();
        schemas.dedup();
        schemas
    }
}

/// True where a name has characters that mean something in a glob.
#[must_use]
pub(crate) fn is_glob(name: &str) -> bool {
    name.contains(['*', '?', '[', ']', '{', '}', '\\'])
}

/// The patterns that match no name. `*` is all there is, whatever that may be.
fn unmatched<'n>(
    patterns: &[String],
    set: &GlobSet,
    names: impl Fn() -> Box<dyn Iterator<Item = &'n str> + 'n>,
) -> Vec<String> {
    let mut is_matched: Vec<bool> = patterns.iter().map(|p| p == "*").collect();
    for name in names() {
        for place in set.matches(name) {
            if let Some(slot) = is_matched.get_mut(place) {
                *slot = true;
            }
        }
    }
    let named = |pattern: &str| names().any(|name| name.eq_ignore_ascii_case(pattern));
    let left = patterns.iter().zip(is_matched).filter(|(pattern, is_matched)| !is_matched && !named(pattern));
    left.map(|(pattern, _)| pattern.clone()).collect()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn flag(value: &Value) -> bool {
    value.as_bool().unwrap_or_default()
}

fn timezone(value: &Value) -> Result<String, OptionError> {
    let name = word(value);
    match Zone::parse(name) {
        Ok(_) => Ok(name.to_owned()),
        Err(_) => Err(bad_value(
            "timezone",
            name,
            "Give a name of the IANA time zone database, such as \"UTC\" or \"Europe/Istanbul\".".to_owned(),
        )),
    }
}

fn globs(option: &str, patterns: &[String]) -> Result<GlobSet, OptionError> {
    let mut set = GlobSetBuilder::new();
    let bad = |pattern: &str, error: &globset::Error| {
        bad_value(option, pattern, format!("The glob is not valid: {}.", error.kind()))
    };
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).case_insensitive(true).literal_separator(false).build();
        set.add(glob.map_err(|e| bad(pattern, &e))?);
    }
    set.build().map_err(|e| bad(&patterns.join(", "), &e))
}

fn named<T>(
    value: &Value,
    shown: &str,
    read: impl Fn(&Value, &str) -> Result<T, OptionError>,
) -> Result<BTreeMap<String, T>, OptionError> {
    let mut map: BTreeMap<String, T> = BTreeMap::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let shown = format!("{shown}.{name}");
        // Blanks after a comma are how people write the columns of a foreign key.
        let is_it = |k: &String| k.replace(", ", ",").eq_ignore_ascii_case(&name.replace(", ", ","));
        if map.keys().any(is_it) {
            return Err(OptionError::new(
                format!("option \"{shown}\" is given twice"),
                "SQLite does not distinguish names by case.".to_owned(),
            ));
        }
        map.insert(name.clone(), read(value, &shown)?);
    }
    Ok(map)
}

fn lookup<'a, T>(map: &'a BTreeMap<String, T>, name: &str) -> Option<&'a T> {
    map.get(name).or_else(|| map.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v))
}

fn foreign_key(value: &Value, _: &str) -> Result<ForeignKeyOption, OptionError> {
    Ok(ForeignKeyOption {
        on_delete: value.get("on_delete").map(|v| match word(v) {
            "restrict" => "RESTRICT",
            "cascade" => "CASCADE",
            "set null" => "SET NULL",
            "set default" => "SET DEFAULT",
            _ => "NO ACTION",
        }),
        orphans: value.get("orphans").and_then(|v| Orphans::parse(word(v))),
    })
}

fn table(value: &Value, shown: &str) -> Result<TableOption, OptionError> {
    let target = match value.get("target").map(word) {
        None => None,
        Some(text) => Some(parse_qualified(text).ok_or_else(|| {
            bad_value(
                &format!("{shown}.target"),
                text,
                "Write table or schema.table; a name that has a dot goes into double quotes.".to_owned(),
            )
        })?),
    };
    Ok(TableOption {
        target,
        filter: value.get("where").map(|v| word(v).to_owned()),
        columns: match value.get("columns") {
            None => BTreeMap::new(),
            Some(columns) => named(columns, &format!("{shown}.columns"), column)?,
        },
    })
}

fn column(value: &Value, shown: &str) -> Result<ColumnOption, OptionError> {
    let pg_type = match value.get("type").map(word) {
        None => None,
        Some(text) => Some(named_type(text).ok_or_else(|| {
            bad_value(&format!("{shown}.type"), text, "Give the name of a PostgreSQL type.".to_owned())
        })?),
    };
    let target = value.get("target").map(|v| word(v).to_owned());
    if let Some(name) = target.as_deref()
        && (name.is_empty() || name.len() > crate::name::MAX_BYTES || name.contains('\0'))
    {
        let hint = "A PostgreSQL name has 1 to 63 bytes.".to_owned();
        return Err(bad_value(&format!("{shown}.target"), name, hint));
    }
    if value.get("skip").is_some_and(flag)
        && let Some(other) = value.as_object().and_then(|o| o.keys().find(|key| *key != "skip"))
    {
        return Err(OptionError::new(
            format!("option \"{shown}.{other}\" has no effect, because \"skip\" leaves the column out"),
            "Remove one of the two options.".to_owned(),
        ));
    }
    Ok(ColumnOption {
        pg_type,
        target,
        skip: value.get("skip").is_some_and(flag),
        uuid: value.get("uuid").and_then(|v| UuidBytes::parse(word(v))).unwrap_or_default(),
        number: value.get("number").map(|v| choice(v, NumberUnit::parse)).unwrap_or_default(),
    })
}

/// What a word that was checked names.
fn choice<T: Default>(value: &Value, parse: impl Fn(&str) -> Option<T>) -> T {
    parse(word(value)).unwrap_or_default()
}

fn search(value: &Value, shown: &str) -> Result<SearchOption, OptionError> {
    let columns = value.get("columns").map(texts).unwrap_or_default();
    if columns.is_empty() {
        return Err(OptionError::new(
            format!("option \"{shown}.columns\" is required"),
            "Name the text columns to search in.".to_owned(),
        ));
    }
    let is_again =
        |(i, name): &(usize, &String)| columns.iter().take(*i).any(|c| c.eq_ignore_ascii_case(name));
    if let Some((_, name)) = columns.iter().enumerate().find(is_again) {
        return Err(OptionError::new(
            format!("option \"{shown}.columns\" names column \"{name}\" twice"),
            "Name each column once.".to_owned(),
        ));
    }
    Ok(SearchOption {
        columns,
        config: value.get("config").map_or_else(|| "simple".to_owned(), |v| word(v).to_owned()),
    })
}

/// The entry of a name, which compares as SQLite compares names; made where there is none.
pub(crate) fn entry<'m, T: Default>(map: &'m mut BTreeMap<String, T>, name: &str) -> &'m mut T {
    let key = map.keys().find(|k| k.eq_ignore_ascii_case(name)).cloned().unwrap_or_else(|| name.to_owned());
    map.entry(key).or_default()
}

#[cfg(test)]
mod tests;
