//! What does a SQLite `CREATE TABLE` or `CREATE INDEX` statement say that no PRAGMA tells: CHECKs, constraint
//! names, DEFERRABLE, collations, generation expressions, index expressions and predicates?
//!
//! The grammar itself is the crate `sqlite3-parser`, a port of SQLite's own. Its tree borrows from an arena
//! and has variants for statements that cannot stand in a schema; what is needed of it is copied into
//! [`Expr`].

mod lexeme;
mod tree;

use std::fmt;

use sqlite3_parser::Bump;
use sqlite3_parser::ast::{
    ColumnConstraint, ColumnDefinition, CreateTableBody, DeferSubclause, ForeignKeyClause, InitDeferredPred,
    Name, RefArg, ResolveType, SortOrder, SortedColumn, Stmt, TableConstraint,
};

use lexeme::Outline;
pub use tree::{BinaryOp, Expr, PatternOp, Quoting, UnaryOp};

/// What a `CREATE TABLE` statement declares. Constraints of columns are folded in, in the order of the text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableSql {
    /// The primary key, whether a column or the table declares it.
    pub primary_key: Option<KeySql>,
    /// UNIQUE constraints.
    pub uniques: Vec<KeySql>,
    /// CHECK constraints.
    pub checks: Vec<CheckSql>,
    /// Foreign keys.
    pub foreign_keys: Vec<ForeignKeySql>,
    /// Columns in declaration order.
    pub columns: Vec<ColumnSql>,
    /// ON CONFLICT clauses that say something else than the default.
    pub conflicts: Vec<ConflictSql>,
}

/// An ON CONFLICT clause: what SQLite does with a row that breaks the constraint, other than to refuse its
/// statement. That of a CHECK is read by SQLite and ignored, and is not among them
/// (<https://sqlite.org/lang_conflict.html>).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConflictSql {
    /// `PRIMARY KEY`, `UNIQUE` or `NOT NULL`.
    pub constraint: &'static str,
    /// The constraint's columns.
    pub columns: Vec<String>,
    /// The word after ON CONFLICT.
    pub resolution: &'static str,
}

impl fmt::Display for ConflictSql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ON CONFLICT {} of {} ({})", self.resolution, self.constraint, self.columns.join(", "))
    }
}

/// A PRIMARY KEY or UNIQUE constraint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeySql {
    /// The constraint's name, where it has one.
    pub name: Option<String>,
    /// Column names in key order, as written in the constraint.
    pub columns: Vec<String>,
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckSql {
    /// The constraint's name, where it has one.
    pub name: Option<String>,
    /// The column whose definition holds the constraint; `None` for a constraint of the table.
    pub column: Option<String>,
    /// The expression between the parentheses, as written.
    pub text: String,
    /// The expression.
    pub expr: Expr,
}

/// A foreign key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForeignKeySql {
    /// The constraint's name, where it has one.
    pub name: Option<String>,
    /// Referencing columns.
    pub columns: Vec<String>,
    /// The referenced table's name as written.
    pub parent: String,
    /// Referenced columns; empty where the parent's primary key is meant.
    pub parent_columns: Vec<String>,
    /// When it is checked.
    pub deferrable: Deferrable,
    /// The name after MATCH, which SQLite reads and ignores.
    pub match_type: Option<String>,
}

/// When a foreign key is checked (<https://sqlite.org/foreignkeys.html#fk_deferred>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deferrable {
    /// At the end of each statement, always.
    #[default]
    No,
    /// At the end of each statement, unless deferred.
    InitiallyImmediate,
    /// At the end of the transaction.
    InitiallyDeferred,
}

/// What a column's definition says that no PRAGMA tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnSql {
    /// The column's name.
    pub name: String,
    /// The name after COLLATE, as written.
    pub collation: Option<String>,
    /// The generation expression as written, and read.
    pub generated: Option<(String, Expr)>,
}

/// What a `CREATE INDEX` statement declares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IndexSql {
    /// Key terms in order.
    pub terms: Vec<TermSql>,
    /// The WHERE clause as written, and read.
    pub predicate: Option<(String, Expr)>,
}

/// One key term of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct TermSql {
    /// The term as written, COLLATE, ASC and DESC included.
    pub text: String,
    /// The expression, without an outermost COLLATE.
    pub expr: Expr,
    /// The name after an outermost COLLATE, as written.
    pub collation: Option<String>,
    /// Declared `DESC`.
    pub is_descending: bool,
}

/// Why a statement could not be read. `Display` is one lower-case sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GrammarError {
    message: String,
    position: Option<(usize, usize)>,
}

impl GrammarError {
    fn new(message: impl Into<String>) -> Self {
        GrammarError { message: message.into(), position: None }
    }

    fn at(message: impl Into<String>, text: &str, offset: usize) -> Self {
        GrammarError { message: message.into(), position: Some(line_and_column(text, offset)) }
    }

    /// Where it stopped: line and byte column, both from 1.
    #[must_use]
    pub fn position(&self) -> Option<(usize, usize)> {
        self.position
    }
}

impl fmt::Display for GrammarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.position {
            Some((line, column)) => write!(f, " at line {line}, column {column}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for GrammarError {}

/// Reads a `CREATE TABLE` statement as `sqlite_schema` stores it.
///
/// # Errors
///
/// Text that is not such a statement, is longer than 1,000,000 bytes or nests parentheses more than 200 deep.
pub fn table(sql: &str) -> Result<TableSql, GrammarError> {
    let outline = Outline::scan(sql)?;
    let bump = Bump::new();
    let Stmt::CreateTable {
        body: CreateTableBody::ColumnsAndConstraints { columns, constraints, .. }, ..
    } = tree::statement(&bump, sql)?
    else {
        return Err(GrammarError::new("not a CREATE TABLE statement with a list of columns"));
    };
    let mut table = TableSql::default();
    let mut texts = Texts::new(outline.parenthesised_after("CHECK"), outline.parenthesised_after("AS"));
    for column in &columns {
        add_column(&mut table, column, &mut texts);
    }
    for constraint in constraints.unwrap_or_default() {
        let name = constraint.name.as_ref().map(tree::unquoted_name);
        match &constraint.constraint {
            TableConstraint::PrimaryKey { columns, conflict_clause, .. } => {
                add_conflict(&mut table, "PRIMARY KEY", key_columns(columns), conflict_clause.as_ref());
                table.primary_key = Some(KeySql { name, columns: key_columns(columns) });
            }
            TableConstraint::Unique { columns, conflict_clause } => {
                add_conflict(&mut table, "UNIQUE", key_columns(columns), conflict_clause.as_ref());
                table.uniques.push(KeySql { name, columns: key_columns(columns) });
            }
            TableConstraint::Check(expr, _) => {
                table.checks.push(CheckSql {
                    name,
                    column: None,
                    text: texts.check(),
                    expr: Expr::from(expr),
                });
            }
            TableConstraint::ForeignKey { columns, clause, defer_clause } => {
                let columns = columns.iter().map(|c| tree::unquoted_name(&c.col_name)).collect();
                table.foreign_keys.push(foreign_key(name, columns, clause, defer_clause.as_ref()));
            }
        }
    }
    Ok(table)
}

/// Reads a `CREATE INDEX` statement as `sqlite_schema` stores it.
///
/// # Errors
///
/// As [`table`].
pub fn index(sql: &str) -> Result<IndexSql, GrammarError> {
    let outline = Outline::scan(sql)?;
    let bump = Bump::new();
    let Stmt::CreateIndex { columns, where_clause, .. } = tree::statement(&bump, sql)? else {
        return Err(GrammarError::new("not a CREATE INDEX statement"));
    };
    let mut texts = outline.first_list().into_iter();
    let terms = columns
        .iter()
        .map(|column| {
            let (expr, collation) = match Expr::from(&column.expr) {
                Expr::Collate(expr, collation) => (*expr, Some(collation)),
                expr => (expr, None),
            };
            TermSql {
                text: texts.next().unwrap_or_default().to_owned(),
                expr,
                collation,
                is_descending: matches!(column.order, Some(SortOrder::Desc)),
            }
        })
        .collect();
    let predicate = where_clause.as_ref().map(|expr| (outline.after("WHERE").to_owned(), Expr::from(expr)));
    Ok(IndexSql { terms, predicate })
}

/// Reads one expression, as `PRAGMA table_xinfo` gives a DEFAULT.
///
/// # Errors
///
/// As [`table`].
pub fn expression(text: &str) -> Result<Expr, GrammarError> {
    // A DEFAULT without parentheses around it must be a single term, so they are always put there; the line
    // break ends a comment. The outline rejects a text that would close them itself.
    Outline::scan(text)?;
    let sql = format!("CREATE TABLE t(c DEFAULT (\n{text}\n))");
    let bump = Bump::new();
    if let Stmt::CreateTable {
        body: CreateTableBody::ColumnsAndConstraints { columns, constraints: None, .. },
        ..
    } = tree::statement(&bump, &sql).map_err(|e| e.lines_up(1))?
        && let [column] = columns.as_slice()
        && let [constraint] = column.constraints
        && let ColumnConstraint::Default(expr) = &constraint.constraint
    {
        return Ok(Expr::from(expr));
    }
    Err(GrammarError::new("not an expression"))
}

impl GrammarError {
    /// The same error for a reader who does not see the first lines.
    fn lines_up(mut self, lines: usize) -> Self {
        self.position = self.position.map(|(line, column)| (line.saturating_sub(lines).max(1), column));
        self
    }
}

/// The source texts of expressions, handed out in the order in which the parser met them.
struct Texts<'a> {
    checks: std::vec::IntoIter<&'a str>,
    generated: std::vec::IntoIter<&'a str>,
}

impl<'a> Texts<'a> {
    fn new(checks: Vec<&'a str>, generated: Vec<&'a str>) -> Self {
        Texts { checks: checks.into_iter(), generated: generated.into_iter() }
    }

    fn check(&mut self) -> String {
        self.checks.next().unwrap_or_default().to_owned()
    }

    fn generated(&mut self) -> String {
        self.generated.next().unwrap_or_default().to_owned()
    }
}

fn add_column(table: &mut TableSql, definition: &ColumnDefinition<'_>, texts: &mut Texts<'_>) {
    let column = tree::unquoted_name(&definition.col_name);
    let mut sql = ColumnSql { name: column.clone(), ..ColumnSql::default() };
    // DEFERRABLE is a constraint of its own in this grammar, as in SQLite's; it means the foreign key before
    // it.
    let first_foreign_key = table.foreign_keys.len();
    for constraint in definition.constraints {
        let name = constraint.name.as_ref().map(tree::unquoted_name);
        match &constraint.constraint {
            ColumnConstraint::PrimaryKey { conflict_clause, .. } => {
                add_conflict(table, "PRIMARY KEY", vec![column.clone()], conflict_clause.as_ref());
                table.primary_key = Some(KeySql { name, columns: vec![column.clone()] });
            }
            ColumnConstraint::Unique(conflict_clause) => {
                add_conflict(table, "UNIQUE", vec![column.clone()], conflict_clause.as_ref());
                table.uniques.push(KeySql { name, columns: vec![column.clone()] });
            }
            ColumnConstraint::Check(expr) => table.checks.push(CheckSql {
                name,
                column: Some(column.clone()),
                text: texts.check(),
                expr: Expr::from(expr),
            }),
            ColumnConstraint::ForeignKey { clause, defer_clause } => {
                table.foreign_keys.push(foreign_key(
                    name,
                    vec![column.clone()],
                    clause,
                    defer_clause.as_ref(),
                ));
            }
            ColumnConstraint::Defer(clause) => {
                if let Some(key) = table.foreign_keys.get_mut(first_foreign_key..).and_then(<[_]>::last_mut) {
                    key.deferrable = deferrable(Some(clause));
                }
            }
            ColumnConstraint::Collate { collation_name } => {
                sql.collation = Some(tree::unquoted_name(collation_name));
            }
            ColumnConstraint::Generated { expr, .. } => {
                sql.generated = Some((texts.generated(), Expr::from(expr)));
            }
            ColumnConstraint::NotNull { nullable: false, conflict_clause } => {
                add_conflict(table, "NOT NULL", vec![column.clone()], conflict_clause.as_ref());
            }
            ColumnConstraint::NotNull { .. } | ColumnConstraint::Default(_) => {}
        }
    }
    table.columns.push(sql);
}

fn add_conflict(
    table: &mut TableSql,
    constraint: &'static str,
    columns: Vec<String>,
    clause: Option<&ResolveType>,
) {
    let resolution = match clause {
        // What PostgreSQL does too.
        None | Some(ResolveType::Abort) => return,
        Some(ResolveType::Rollback) => "ROLLBACK",
        Some(ResolveType::Fail) => "FAIL",
        Some(ResolveType::Ignore) => "IGNORE",
        Some(ResolveType::Replace) => "REPLACE",
    };
    table.conflicts.push(ConflictSql { constraint, columns, resolution });
}

/// A key's columns; anything but a name cannot stand there in a schema that SQLite accepted.
fn key_columns(columns: &[SortedColumn<'_>]) -> Vec<String> {
    columns
        .iter()
        .filter_map(|column| match Expr::from(&column.expr) {
            Expr::Collate(expr, _) => expr.into_name(),
            expr => expr.into_name(),
        })
        .collect()
}

fn foreign_key(
    name: Option<String>,
    columns: Vec<String>,
    clause: &ForeignKeyClause<'_>,
    defer: Option<&DeferSubclause>,
) -> ForeignKeySql {
    let parent_columns = clause.columns.unwrap_or_default();
    let match_type = clause.args.iter().rev().find_map(|arg| match arg {
        RefArg::Match(name) => Some(name),
        _ => None,
    });
    ForeignKeySql {
        name,
        columns,
        parent: tree::unquoted_name(&clause.tbl_name),
        parent_columns: parent_columns.iter().map(|c| tree::unquoted_name(&c.col_name)).collect(),
        deferrable: deferrable(defer),
        match_type: match_type.map(|name: &Name<'_>| tree::unquoted_name(name)),
    }
}

fn deferrable(clause: Option<&DeferSubclause>) -> Deferrable {
    match clause {
        None | Some(DeferSubclause { deferrable: false, .. }) => Deferrable::No,
        Some(DeferSubclause { init_deferred: Some(InitDeferredPred::InitiallyDeferred), .. }) => {
            Deferrable::InitiallyDeferred
        }
        Some(_) => Deferrable::InitiallyImmediate,
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests;
