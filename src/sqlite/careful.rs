//! The rest of a table in which the expression of a virtual generated column has failed on a row.
//!
//! SQLite ends a statement at such a row, and nothing brings that statement behind it. So the keys are read
//! by a statement of their own, which computes nothing, and each row by its key; where that fails, its
//! columns one by one, and those that fail are [`Value::Unreadable`].

use aliaport_plan::catalogue::{Generated, Table};
use aliaport_rows::value::Value;

use crate::error::{SourceError, SourceErrorKind};
use crate::rows::{own_order, rowid_name};
use crate::source::Source;
use crate::statement::{Statement, quoted};

/// What is needed to read on behind a row that fails.
pub(crate) struct Recipe {
    /// What is read of a row.
    terms: Vec<String>,
    /// Which of them are computed.
    computed: Vec<usize>,
    /// The columns by which a row is found.
    key: Vec<String>,
    /// The table, and the index in whose order it is read.
    from: String,
    filter: Option<String>,
}

impl Recipe {
    /// For a statement that reads `terms`, the last of which are these columns. `None` where nothing is
    /// computed, and where a row cannot be asked for.
    pub(crate) fn for_statement(
        source: &Source,
        table: &Table,
        columns: &[usize],
        terms: &[String],
        filter: Option<&str>,
    ) -> Result<Option<Self>, SourceError> {
        let is_virtual =
            |index: &usize| table.columns.get(*index).is_some_and(|c| c.generated == Generated::Virtual);
        let first = terms.len().saturating_sub(columns.len());
        let computed: Vec<usize> =
            columns.iter().zip(first..).filter(|(index, _)| is_virtual(index)).map(|(_, at)| at).collect();
        if computed.is_empty() {
            return Ok(None);
        }
        let key = if table.has_rowid {
            rowid_name(source, table)?.into_iter().collect()
        } else {
            let names = table.primary_key.iter().filter_map(|index| table.columns.get(*index));
            names.map(|column| quoted(source, &column.name)).collect::<Result<Vec<_>, _>>()?
        };
        if key.is_empty() {
            return Ok(None);
        }
        Ok(Some(Recipe {
            terms: terms.to_vec(),
            computed,
            key,
            from: format!("main.{} {}", quoted(source, &table.name)?, own_order(source, table)?),
            filter: filter.map(str::to_owned),
        }))
    }

    /// The statement that reads one row, with NULL for the terms at `without`.
    fn row<'s>(&self, source: &'s Source, without: &[usize]) -> Result<Statement<'s>, SourceError> {
        let term = |(at, term): (usize, &String)| match without.contains(&at) {
            true => "NULL".to_owned(),
            false => term.clone(),
        };
        let terms: Vec<String> = self.terms.iter().enumerate().map(term).collect();
        self.by_key(source, &terms.join(", "))
    }

    fn by_key<'s>(&self, source: &'s Source, terms: &str) -> Result<Statement<'s>, SourceError> {
        let key: Vec<String> = self.key.iter().map(|name| format!("{name} = ?")).collect();
        let sql = format!("SELECT {terms} FROM {} WHERE {}", self.from, key.join(" AND "));
        Statement::prepare_with_parameters(source, &sql, key.len())
    }
}

/// A row that was read, and cannot be computed as a whole.
struct Partial<'s> {
    /// The terms that fail.
    without: Vec<usize>,
    statement: Statement<'s>,
}

/// Reads a table row by row.
pub(crate) struct Careful<'s> {
    source: &'s Source,
    recipe: Recipe,
    /// The keys, in the order of the rows.
    keys: Statement<'s>,
    whole: Statement<'s>,
    /// One statement for each term that is computed.
    computed: Vec<(usize, Statement<'s>)>,
    partial: Vec<Partial<'s>>,
    /// Which of the partial statements stands on the row at hand; none where it is whole.
    current: Option<usize>,
}

/// Whether an expression can be what has failed.
pub(crate) fn may_come_from_expression(error: &SourceError) -> bool {
    error.may_come_from_sql() || *error.kind() == SourceErrorKind::TooBig
}

impl<'s> Careful<'s> {
    /// Reads on after so many rows.
    pub(crate) fn after(source: &'s Source, recipe: Recipe, rows: u64) -> Result<Self, SourceError> {
        let filter = recipe.filter.as_ref().map(|filter| format!("WHERE (\n{filter}\n)")).unwrap_or_default();
        let keys =
            format!("SELECT {} FROM {} {filter} LIMIT -1 OFFSET {rows}", recipe.key.join(", "), recipe.from);
        let computed = recipe.computed.iter().map(|&at| {
            let term = recipe.terms.get(at).map_or("NULL", String::as_str);
            Ok((at, recipe.by_key(source, term)?))
        });
        Ok(Self {
            source,
            computed: computed.collect::<Result<_, SourceError>>()?,
            keys: Statement::prepare(source, &keys)?,
            whole: recipe.row(source, &[])?,
            partial: Vec::new(),
            current: None,
            recipe,
        })
    }

    /// Goes to the next row; false after the last.
    pub(crate) fn step(&mut self) -> Result<bool, SourceError> {
        self.current = None;
        if !self.keys.step()? {
            return Ok(false);
        }
        self.whole.restart(self.keys.values())?;
        match self.whole.step() {
            Ok(true) => Ok(true),
            Ok(false) => Err(self.is_gone()),
            Err(error) if may_come_from_expression(&error) => self.step_partial(error),
            Err(error) => Err(error),
        }
    }

    /// Reads what can be read of the row at hand, which has failed with `error` as a whole.
    fn step_partial(&mut self, error: SourceError) -> Result<bool, SourceError> {
        let (mut without, mut reasons) = (Vec::new(), Vec::new());
        for (at, statement) in &mut self.computed {
            statement.restart(self.keys.values())?;
            match statement.step() {
                Ok(_) => {}
                Err(error) if may_come_from_expression(&error) => {
                    without.push(*at);
                    reasons.push(error.in_words_of_sqlite());
                }
                Err(error) => return Err(error),
            }
        }
        if without.is_empty() {
            return Err(error);
        }
        let known = self.partial.iter().position(|partial| partial.without == without);
        let at = known.unwrap_or(self.partial.len());
        if known.is_none() {
            let statement = self.recipe.row(self.source, &without)?;
            self.partial.push(Partial { without, statement });
        }
        if let Some(Partial { without, statement }) = self.partial.get_mut(at) {
            statement.restart(self.keys.values())?;
            if !statement.step()? {
                return Err(self.is_gone());
            }
            for (at, reason) in without.iter().zip(reasons) {
                statement.set_unreadable(*at, reason);
            }
        }
        self.current = Some(at);
        Ok(true)
    }

    /// A row is not where its key says.
    #[cold]
    fn is_gone(&self) -> SourceError {
        self.source.damaged("A row that a scan of the table gives is not found by its key.".to_owned())
    }

    /// The values of the row at hand.
    pub(crate) fn values(&self) -> &[Value<'_>] {
        match self.current.and_then(|at| self.partial.get(at)) {
            Some(partial) => partial.statement.values(),
            None => self.whole.values(),
        }
    }
}
