use super::*;
use crate::catalogue::{Column, ForeignKey, Generated, Index, IndexOrigin, IndexTerm, OtherObject};
use crate::finding::Code;
use crate::plan::Action;
use crate::profile::{ColumnProfile, TableProfile};
use crate::target::{EmptyBy, TargetColumn, TargetRelation};
use aliaport_rows::pg_type::PgType;
use serde_json::json;

/// A table as `aliaport_sqlite` would read it from `sql`; columns as `name type`, with `!` for NOT NULL.
fn table(sql: &str, name: &str, columns: &[&str]) -> Table {
    let column = |text: &&str| {
        let (name, declared) = text.split_once(' ').unwrap_or((text, ""));
        Column {
            name: name.to_owned(),
            declared_type: declared.trim_end_matches('!').to_owned(),
            is_not_null: declared.ends_with('!'),
            ..Column::default()
        }
    };
    Table {
        name: name.to_owned(),
        sql: sql.to_owned(),
        columns: columns.iter().map(column).collect(),
        has_rowid: true,
        ..Table::default()
    }
}

impl Table {
    fn with_rowid_alias(mut self, column: usize) -> Self {
        (self.rowid_alias, self.primary_key) = (Some(column), vec![column]);
        self
    }

    fn with_index(
        mut self,
        name: &str,
        origin: IndexOrigin,
        terms: &[(usize, &str)],
        sql: Option<&str>,
    ) -> Self {
        let term = |&(column, collation): &(usize, &str)| IndexTerm {
            column: (column != usize::MAX).then_some(column),
            is_descending: collation.ends_with(" DESC"),
            collation: collation.trim_end_matches(" DESC").to_owned(),
        };
        self.indexes.push(Index {
            name: name.to_owned(),
            sql: sql.map(str::to_owned),
            is_unique: origin != IndexOrigin::Statement
                || sql.is_some_and(|s| s.starts_with("CREATE UNIQUE")),
            origin,
            is_partial: sql.is_some_and(|s| s.contains(" WHERE ")),
            terms: terms.iter().map(term).collect(),
        });
        self
    }

    fn with_foreign_key(mut self, column: usize, parent: &str, parent_column: &str, on_delete: &str) -> Self {
        self.foreign_keys.push(ForeignKey {
            id: 0,
            parent: parent.to_owned(),
            columns: vec![column],
            parent_columns: [parent_column].iter().filter(|c| !c.is_empty()).map(|&c| c.to_owned()).collect(),
            on_delete: on_delete.to_owned(),
            on_update: "NO ACTION".to_owned(),
        });
        self
    }
}

fn catalogue(tables: Vec<Table>) -> Catalogue {
    Catalogue { encoding: "UTF-8".to_owned(), tables, others: Vec::new() }
}

fn empty_target() -> Target {
    Target { schema: "public".to_owned(), server_version: 150_000, ..Target::default() }
}

fn existing(name: &str, is_empty: bool, columns: &[(&str, PgType, bool)]) -> TargetRelation {
    let column = |(name, pg_type, is_not_null): &(&str, PgType, bool)| TargetColumn {
        name: (*name).to_owned(),
        pg_type: pg_type.clone(),
        domain: None,
        is_not_null: *is_not_null,
        has_default: false,
        is_identity_always: false,
        is_generated: false,
        has_sequence: false,
    };
    TargetRelation {
        schema: "public".to_owned(),
        name: name.to_owned(),
        kind: 'r',
        is_empty,
        columns: columns.iter().map(column).collect(),
        keys: Vec::new(),
    }
}

fn plan_with(
    catalogue: &Catalogue,
    target: &Target,
    mode: Mode,
    options: serde_json::Value,
) -> Result<Plan, PlanError> {
    let options = Options::parse(&options).unwrap();
    plan(catalogue, &Profiles::new(), target, &Request { mode, options: &options })
}

fn plan_of(tables: Vec<Table>, options: serde_json::Value) -> Plan {
    plan_with(&catalogue(tables), &empty_target(), Mode::Create, options).unwrap()
}

fn sql_of(plan: &Plan, action: Action) -> Vec<&str> {
    plan.steps.iter().filter(|s| s.action == action).map(|s| s.sql.as_str()).collect()
}

fn findings(plan: &Plan) -> Vec<(Code, &'static str)> {
    let all = plan.findings.iter().chain(plan.tables.iter().flat_map(|t| &t.findings));
    all.map(|f| (f.code(), &*f.to_string().leak())).collect()
}

/// A part of a real application's schema, as SQLAlchemy declares it.
fn marina() -> Catalogue {
    let item = table(
        "CREATE TABLE work_order_item (
            id INTEGER NOT NULL,
            work_order_id INTEGER NOT NULL,
            line_no INTEGER,
            amount NUMERIC(18, 4),
            done BOOLEAN DEFAULT '0' NOT NULL,
            total INTEGER GENERATED ALWAYS AS (line_no * 2) VIRTUAL,
            PRIMARY KEY (id),
            CONSTRAINT uq_item_line UNIQUE (work_order_id, line_no),
            CHECK (done IN (0, 1)),
            CONSTRAINT ck_line CHECK (line_no > 0),
            FOREIGN KEY(work_order_id) REFERENCES work_order (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
        )",
        "work_order_item",
        &["id INTEGER!", "work_order_id INTEGER!", "line_no INTEGER", "amount NUMERIC(18, 4)", "done BOOLEAN!", "total INTEGER"],
    );
    let mut item = item
        .with_rowid_alias(0)
        .with_index(
            "sqlite_autoindex_work_order_item_1",
            IndexOrigin::Unique,
            &[(1, "BINARY"), (2, "BINARY")],
            None,
        )
        .with_foreign_key(1, "WORK_ORDER", "id", "CASCADE");
    item.columns[4].default = Some("'0'".to_owned());
    item.columns[5].generated = Generated::Virtual;
    let order = table(
        "CREATE TABLE work_order (
            id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
            \"Code\" VARCHAR(20) COLLATE NOCASE NOT NULL UNIQUE,
            cari_id INTEGER REFERENCES \"Cari\",
            state VARCHAR(9),
            created_at DATETIME,
            extra JSON
        )",
        "work_order",
        &[
            "id INTEGER!",
            "Code VARCHAR(20)!",
            "cari_id INTEGER",
            "state VARCHAR(9)",
            "created_at DATETIME",
            "extra JSON",
        ],
    );
    let mut order = order
        .with_rowid_alias(0)
        .with_index("sqlite_autoindex_work_order_1", IndexOrigin::Unique, &[(1, "NOCASE")], None)
        .with_index(
            "ix_work_order_open",
            IndexOrigin::Statement,
            &[(4, "BINARY DESC"), (2, "BINARY")],
            Some("CREATE INDEX ix_work_order_open ON work_order (created_at DESC, cari_id) WHERE state = 'open'"),
        )
        .with_foreign_key(2, "Cari", "", "NO ACTION");
    (order.is_autoincrement, order.sequence) = (true, Some(41));
    let cari = table(
        "CREATE TABLE \"Cari\" (\"Id\" INTEGER PRIMARY KEY, \"Unvan\" VARCHAR(200) NOT NULL, \"Bakiye\" FLOAT)",
        "Cari",
        &["Id INTEGER", "Unvan VARCHAR(200)!", "Bakiye FLOAT"],
    )
    .with_rowid_alias(0)
    .with_index(
        "ix_Cari_Unvan",
        IndexOrigin::Statement,
        &[(1, "BINARY")],
        Some("CREATE INDEX \"ix_Cari_Unvan\" ON \"Cari\" (\"Unvan\")"),
    );
    catalogue(vec![item, order, cari])
}

#[test]
fn an_application_schema_becomes_the_statements_of_the_manual() {
    let plan = plan_with(&marina(), &empty_target(), Mode::Create, json!({})).unwrap();
    let script: Vec<String> =
        plan.steps.iter().map(|s| format!("{} | {} | {}", s.action.as_str(), s.object, s.sql)).collect();
    let expected = [
        "create_table | public.\"Cari\" | CREATE TABLE public.\"Cari\" (\n    \
            \"Id\" bigint GENERATED BY DEFAULT AS IDENTITY,\n    \
            \"Unvan\" character varying(200) NOT NULL,\n    \
            \"Bakiye\" double precision\n)",
        "create_table | public.work_order | CREATE TABLE public.work_order (\n    \
            id bigint GENERATED BY DEFAULT AS IDENTITY,\n    \
            \"Code\" character varying(20) NOT NULL,\n    \
            cari_id bigint,\n    \
            state character varying(9),\n    \
            created_at timestamp with time zone,\n    \
            extra jsonb\n)",
        "create_table | public.work_order_item | CREATE TABLE public.work_order_item (\n    \
            id bigint GENERATED BY DEFAULT AS IDENTITY,\n    \
            work_order_id bigint NOT NULL,\n    \
            line_no bigint,\n    \
            amount numeric(18,4),\n    \
            done boolean DEFAULT false NOT NULL,\n    \
            total bigint GENERATED ALWAYS AS (line_no::numeric * 2) STORED,\n    \
            CONSTRAINT ck_line CHECK (line_no > 0)\n)",
        "load | public.\"Cari\" | ",
        "load | public.work_order | ",
        "load | public.work_order_item | ",
        "add_primary_key | \"Cari_pkey\" | ALTER TABLE public.\"Cari\" ADD CONSTRAINT \"Cari_pkey\" PRIMARY KEY (\"Id\")",
        "create_index | public.\"ix_Cari_Unvan\" | CREATE INDEX \"ix_Cari_Unvan\" ON public.\"Cari\" (\"Unvan\")",
        "add_primary_key | work_order_pkey | ALTER TABLE public.work_order ADD CONSTRAINT work_order_pkey PRIMARY KEY (id)",
        "create_index | public.\"work_order_Code_key\" | CREATE UNIQUE INDEX \"work_order_Code_key\" ON public.work_order (lower(\"Code\" COLLATE \"C\"))",
        "create_index | public.ix_work_order_open | CREATE INDEX ix_work_order_open ON public.work_order (created_at DESC, cari_id) WHERE state = 'open'",
        "add_primary_key | work_order_item_pkey | ALTER TABLE public.work_order_item ADD CONSTRAINT work_order_item_pkey PRIMARY KEY (id)",
        "add_unique | uq_item_line | ALTER TABLE public.work_order_item ADD CONSTRAINT uq_item_line UNIQUE (work_order_id, line_no)",
        "add_foreign_key | work_order_cari_id_fkey | ALTER TABLE public.work_order ADD CONSTRAINT work_order_cari_id_fkey FOREIGN KEY (cari_id) REFERENCES public.\"Cari\" (\"Id\")",
        "add_foreign_key | work_order_item_work_order_id_fkey | ALTER TABLE public.work_order_item ADD CONSTRAINT work_order_item_work_order_id_fkey FOREIGN KEY (work_order_id) REFERENCES public.work_order (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
        "set_sequence | public.\"Cari\".\"Id\" | ",
        "set_sequence | public.work_order.id | ",
        "set_sequence | public.work_order_item.id | ",
        "analyze | public.\"Cari\" | ANALYZE public.\"Cari\"",
        "analyze | public.work_order | ANALYZE public.work_order",
        "analyze | public.work_order_item | ANALYZE public.work_order_item",
    ];
    assert_eq!(script.join("\n"), expected.join("\n"));
    let item = &plan.tables[2];
    let written: Vec<&str> = item.columns.iter().map(|c| c.target.as_str()).collect();
    assert_eq!(written, ["id", "work_order_id", "line_no", "amount", "done"]);
    assert_eq!(item.foreign_keys[0].label, "work_order_item.work_order_id");
    assert_eq!(item.foreign_keys[0].parent_source, "work_order");
    assert_eq!(plan.tables[1].sequences[0].high_water, Some(41));
    assert_eq!(
        findings(&plan),
        [(
            Code::NoCase,
            "column \"Code\" of table \"work_order\" is COLLATE NOCASE and becomes case-sensitive; its indexes are on lower()"
        )]
    );
}

#[test]
fn options_change_what_they_name() {
    let plan = plan_with(
        &marina(),
        &Target { citext_schema: Some("folded".to_owned()), ..empty_target() },
        Mode::Create,
        json!({
            "identifiers": "snake_case", "nocase": "citext", "integer": "integer", "indexes": false,
            "foreign_keys": {"work_order_item.work_order_id": {"on_delete": "restrict", "orphans": "reject"}},
            "tables": {
                "Cari": {"target": "crm.customer", "where": "Id > 0", "columns": {"Bakiye": {"type": "numeric(12,2)", "target": "balance"}}},
                "work_order": {"columns": {"extra": {"skip": true}, "created_at": {"number": "unix_ms"}}}
            },
            "search": {"Cari": {"columns": ["Unvan"], "config": "turkish"}}
        }),
    )
    .unwrap();
    let creates = sql_of(&plan, Action::CreateTable);
    assert_eq!(
        creates[0],
        "CREATE TABLE crm.customer (\n    id bigint GENERATED BY DEFAULT AS IDENTITY,\n    \
         unvan character varying(200) NOT NULL,\n    balance numeric(12,2),\n    \
         search tsvector GENERATED ALWAYS AS (to_tsvector('turkish'::regconfig, coalesce(unvan::text, ''))) STORED\n)"
    );
    assert!(
        creates[1].contains("    code folded.citext NOT NULL,\n    cari_id integer,\n"),
        "{}",
        creates[1]
    );
    assert!(!creates[1].contains("extra"));
    assert_eq!(
        sql_of(&plan, Action::CreateIndex),
        ["CREATE INDEX customer_search_idx ON crm.customer USING gin (search)"]
    );
    assert_eq!(sql_of(&plan, Action::AddUnique).len(), 2);
    let keys = sql_of(&plan, Action::AddForeignKey);
    assert!(keys[0].ends_with("REFERENCES crm.customer (id)"), "{}", keys[0]);
    assert!(keys[1].contains("ON DELETE RESTRICT"), "{}", keys[1]);
    assert_eq!(plan.tables[2].foreign_keys[0].orphans, Some(crate::policy::Orphans::Reject));
    assert_eq!(plan.tables[0].filter.as_deref(), Some("Id > 0"));
    let created_at = plan.tables[1].columns.iter().find(|c| c.target == "created_at").unwrap();
    assert_eq!(created_at.number, aliaport_rows::convert::NumberUnit::UnixMillis);

    let without =
        plan_with(&marina(), &empty_target(), Mode::Create, json!({"foreign_key_constraints": false}))
            .unwrap();
    assert!(sql_of(&without, Action::AddForeignKey).is_empty());
    assert!(without.tables.iter().flat_map(|t| &t.foreign_keys).all(|k| !k.is_created));
    assert_eq!(without.tables.iter().map(|t| t.foreign_keys.len()).sum::<usize>(), 2);
}

#[test]
fn names_in_options_that_do_not_exist_are_refused_with_what_does() {
    let refuse = |options| {
        let error = plan_with(&marina(), &empty_target(), Mode::Create, options).unwrap_err();
        assert_eq!((error.sqlstate().as_str(), error.kind()), ("22023", PlanErrorKind::Option));
        format!("{error} / {}", error.hint().unwrap())
    };
    assert_eq!(
        refuse(json!({"tables": {"work_ordr": {}}})),
        "option \"tables\" names SQLite table \"work_ordr\", which does not exist / Perhaps you meant \"work_order\". \
         The source's tables are \"work_order_item\", \"work_order\", \"Cari\"."
    );
    assert_eq!(
        refuse(json!({"tables": {"cari": {"columns": {"unvn": {}}}}})),
        "option \"tables.cari.columns\" names column \"unvn\", which SQLite table \"Cari\" does not have / \
         Perhaps you meant \"Unvan\". The source's columns are \"Id\", \"Unvan\", \"Bakiye\"."
    );
    assert!(
        refuse(json!({"exclude": ["apscheduler_jobs"]})).starts_with("option \"exclude\" names SQLite table")
    );
    assert!(refuse(json!({"foreign_keys": {"work_order.id": {}}})).contains("\"work_order.cari_id\""));
    assert!(
        refuse(json!({"search": {"Cari": {"columns": ["Bakiye"]}}})).contains("is of type double precision")
    );
}

#[test]
fn rows_of_an_existing_table_go_where_its_columns_are() {
    let mut cari = existing(
        "cari",
        true,
        &[
            ("unvan", PgType::Text, true),
            ("id", PgType::Integer, true),
            ("tag", PgType::Text, false),
            ("Bakiye", PgType::Real, false),
        ],
    );
    cari.columns[1].has_sequence = true;
    cari.keys = vec![vec!["id".to_owned()]];
    let target = Target { relations: vec![cari.clone()], ..empty_target() };
    let plan = plan_with(&marina(), &target, Mode::Create, json!({})).unwrap();
    let table = &plan.tables[0];
    assert!(!table.is_created && table.target.name == "cari");
    let columns: Vec<_> =
        table.columns.iter().map(|c| (c.source.as_str(), c.target.as_str(), c.pg_type.to_string())).collect();
    assert_eq!(
        columns,
        [
            ("Unvan", "unvan", "text".to_owned()),
            ("Id", "id", "integer".to_owned()),
            ("Bakiye", "Bakiye", "real".to_owned())
        ]
    );
    assert_eq!(table.sequences[0].column, "id");
    // Nothing is made on a table that is there; what refers to it is.
    let sql: Vec<&str> =
        plan.steps.iter().map(|s| s.sql.as_str()).filter(|s| s.contains("public.cari")).collect();
    assert_eq!(
        sql,
        [
            "ALTER TABLE public.work_order ADD CONSTRAINT work_order_cari_id_fkey FOREIGN KEY (cari_id) REFERENCES public.cari (id)",
            "ANALYZE public.cari"
        ]
    );

    cari.is_empty = false;
    let full = Target { relations: vec![cari.clone()], ..empty_target() };
    let error = plan_with(&marina(), &full, Mode::Create, json!({})).unwrap_err();
    assert_eq!(
        (error.sqlstate().as_str(), error.to_string().as_str()),
        ("55000", "target table public.cari has rows already")
    );
    assert!(["append", "replace", "sync"].iter().all(|m| error.hint().unwrap().contains(m)));
    let replace = plan_with(&marina(), &full, Mode::Replace, json!({})).unwrap();
    assert_eq!(sql_of(&replace, Action::Truncate), ["DELETE FROM public.cari"]);
    let truncated = Target { empty_by: EmptyBy::Truncate, ..full.clone() };
    let replace = plan_with(&marina(), &truncated, Mode::Replace, json!({})).unwrap();
    assert_eq!(sql_of(&replace, Action::Truncate), ["TRUNCATE TABLE public.cari"]);
    let sync = plan_with(&marina(), &full, Mode::Sync, json!({})).unwrap();
    assert!(sql_of(&sync, Action::Truncate).is_empty());
    assert_eq!(sync.tables[0].sync_key, ["id"]);
    // A key that holds NULL tells no rows apart.
    cari.columns[1].is_not_null = false;
    let nullable = Target { relations: vec![cari.clone()], ..empty_target() };
    let error = plan_with(&marina(), &nullable, Mode::Sync, json!({})).unwrap_err();
    assert!(error.sqlstate() == "55000" && error.hint().unwrap().contains("replace"));
    cari.columns[1].is_not_null = true;

    cari.keys.clear();
    let keyless = Target { relations: vec![cari.clone()], ..empty_target() };
    assert_eq!(plan_with(&marina(), &keyless, Mode::Sync, json!({})).unwrap_err().sqlstate(), "55000");
    let plan = plan_with(&marina(), &keyless, Mode::Append, json!({})).unwrap();
    assert_eq!(findings(&plan)[0].0, Code::UnindexedParent);

    cari.columns.truncate(1);
    cari.columns
        .extend(existing("x", true, &[("must", PgType::Text, true), ("may", PgType::Text, true)]).columns);
    cari.columns[2].has_default = true;
    let narrow = Target { relations: vec![cari.clone()], ..empty_target() };
    let error = plan_with(&marina(), &narrow, Mode::Append, json!({})).unwrap_err();
    assert_eq!(error.sqlstate(), "42703");
    assert_eq!(
        error.detail().unwrap(),
        "Column \"Id\" of SQLite table \"Cari\" has no column \"Id\" in public.cari.\n\
         Column \"Bakiye\" of SQLite table \"Cari\" has no column \"Bakiye\" in public.cari."
    );
    let skip = json!({"tables": {"Cari": {"columns": {"Id": {"skip": true}, "Bakiye": {"skip": true}}}}});
    let error = plan_with(&marina(), &narrow, Mode::Append, skip).unwrap_err();
    assert_eq!(error.sqlstate(), "23502");
    let codes: Vec<_> = error.findings().iter().map(Finding::code).collect();
    assert_eq!(codes, [Code::TargetRequiredColumn]);

    cari.kind = 'v';
    let view = TargetRelation { name: "Cari".to_owned(), ..cari };
    let target = Target { relations: vec![view], ..empty_target() };
    let error = plan_with(&marina(), &target, Mode::Append, json!({})).unwrap_err();
    assert_eq!(
        (error.sqlstate().as_str(), error.to_string().as_str()),
        ("42809", "target public.\"Cari\" of SQLite table \"Cari\" is a view, not a table")
    );
}

#[test]
fn bookkeeping_of_the_target_is_kept() {
    let source = || vec![table("", "alembic_version", &["version_num VARCHAR(32)!"])];
    let relation = |is_empty| existing("alembic_version", is_empty, &[("version_num", PgType::Text, true)]);
    for mode in [Mode::Create, Mode::Replace] {
        let target = Target { relations: vec![relation(false)], ..empty_target() };
        let plan = plan_with(&catalogue(source()), &target, mode, json!({})).unwrap();
        assert!(plan.tables.is_empty() && plan.skipped.len() == 1);
        assert_eq!((plan.steps[0].action, plan.findings[0].code()), (Action::Skip, Code::Bookkeeping));
    }
    let target = Target { relations: vec![relation(true)], ..empty_target() };
    assert_eq!(plan_with(&catalogue(source()), &target, Mode::Create, json!({})).unwrap().tables.len(), 1);
}

#[test]
fn foreign_keys_that_cannot_be_made_are_said_and_order_all_the_same() {
    let parent = table(
        "CREATE TABLE p (a TEXT PRIMARY KEY, b TEXT, c INTEGER)",
        "p",
        &["a TEXT", "b TEXT", "c INTEGER"],
    );
    let parent = Table { primary_key: vec![0], ..parent };
    let child = table("", "a_child", &["x INTEGER", "y TEXT", "z", "w INTEGER"])
        .with_foreign_key(0, "p", "a", "CASCADE")
        .with_foreign_key(1, "p", "b", "CASCADE")
        .with_foreign_key(1, "gone", "id", "CASCADE")
        .with_foreign_key(2, "p", "", "CASCADE")
        .with_foreign_key(2, "P", "A", "SET NULL")
        .with_foreign_key(3, "p", "nope", "CASCADE");
    let plan = plan_of(vec![child, parent], json!({}));
    let names: Vec<&str> = plan.tables.iter().map(|t| t.source.as_str()).collect();
    assert_eq!(names, ["p", "a_child"]);
    assert_eq!(
        findings(&plan),
        [
            (
                Code::MissingParentTable,
                "foreign key a_child.y is not carried over: its parent \"gone\" does not exist in the source"
            ),
            (
                Code::UnindexedParent,
                "foreign key a_child.w is not carried over: \"p\" has no column \"nope\""
            ),
            (
                Code::NotCarried,
                "foreign key a_child.x is not carried over: column \"x\" of type bigint cannot refer to \"p\" of type text"
            ),
            (
                Code::UnindexedParent,
                "foreign key a_child.y is not carried over: no primary key or unique constraint of \"p\" covers exactly b"
            ),
            (Code::NotCarried, "foreign key a_child.z is declared twice and made once"),
        ]
    );
    // The column without a type has its parent's.
    assert_eq!(plan.tables[1].columns[2].pg_type, PgType::Text);
    assert_eq!(sql_of(&plan, Action::AddForeignKey).len(), 1);
}

#[test]
fn a_parent_key_without_case_is_also_unique_as_written() {
    let parent = table("CREATE TABLE p (a TEXT COLLATE NOCASE UNIQUE)", "p", &["a TEXT"]).with_index(
        "sqlite_autoindex_p_1",
        IndexOrigin::Unique,
        &[(0, "NOCASE")],
        None,
    );
    let child = table("", "c", &["x TEXT"]).with_foreign_key(0, "p", "a", "CASCADE");
    let plan = plan_of(vec![parent, child], json!({}));
    assert_eq!(
        sql_of(&plan, Action::CreateIndex),
        ["CREATE UNIQUE INDEX p_a_key ON public.p (lower(a COLLATE \"C\"))"]
    );
    assert_eq!(sql_of(&plan, Action::AddUnique), ["ALTER TABLE public.p ADD CONSTRAINT p_a_key1 UNIQUE (a)"]);
    // With one keyed table the steps are in the order of the actions.
    assert!(plan.steps.is_sorted_by_key(|s| s.action));
}

#[test]
fn one_schema_has_room_for_every_relation_name_once() {
    let first = table("", "t", &["id INTEGER"]).with_rowid_alias(0).with_index(
        "t_pkey",
        IndexOrigin::Statement,
        &[(0, "BINARY")],
        Some("CREATE INDEX t_pkey ON t (id)"),
    );
    let tables = vec![
        first,
        table("", "t_id_seq", &["x INTEGER"]).with_index(
            "busy",
            IndexOrigin::Statement,
            &[(0, "BINARY")],
            Some("CREATE INDEX busy ON t_id_seq (x)"),
        ),
    ];
    let busy = TargetRelation { kind: 'i', ..existing("busy", true, &[]) };
    let target = Target { relations: vec![busy], ..empty_target() };
    let plan = plan_with(&catalogue(tables), &target, Mode::Create, json!({})).unwrap();
    assert_eq!(
        sql_of(&plan, Action::CreateTable)[0],
        "CREATE TABLE public.t (\n    id bigint GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME public.t_id_seq1)\n)"
    );
    assert_eq!(
        sql_of(&plan, Action::AddPrimaryKey),
        ["ALTER TABLE public.t ADD CONSTRAINT t_pkey1 PRIMARY KEY (id)"]
    );
    assert_eq!(
        sql_of(&plan, Action::CreateIndex),
        ["CREATE INDEX t_pkey ON public.t (id)", "CREATE INDEX busy_2 ON public.t_id_seq (x)"]
    );
    assert_eq!(findings(&plan)[0].0, Code::Renamed);
}

#[test]
fn what_a_column_holds_decides_where_nothing_is_declared() {
    let source = catalogue(vec![table("", "t", &["a", "b"])]);
    assert!(needs_profile(&source.tables[0], &Options::default()));
    let column = |integers, texts| ColumnProfile { integers, texts, ..ColumnProfile::default() };
    let profile = TableProfile { rows: 2, columns: vec![column(2, 0), column(1, 1)] };
    let profiles = Profiles::from([("t".to_owned(), profile)]);
    let request = Request { mode: Mode::Create, options: &Options::default() };
    let plan = plan(&source, &profiles, &empty_target(), &request).unwrap();
    assert_eq!(sql_of(&plan, Action::CreateTable), ["CREATE TABLE public.t (\n    a bigint,\n    b text\n)"]);
    assert_eq!(
        findings(&plan),
        [(
            Code::TypeMismatch,
            "column \"b\" of table \"t\": column with no declared type holds 1 integers, 1 texts: it becomes text"
        )]
    );
}

#[test]
fn views_triggers_and_virtual_tables_are_said_with_their_sql() {
    let other = |kind, name: &str, table: &str, sql: &str| OtherObject {
        kind,
        name: name.to_owned(),
        table: table.to_owned(),
        sql: sql.to_owned(),
    };
    let long = format!("CREATE VIEW v AS\n  SELECT '{}'", "ş".repeat(500));
    let source = Catalogue {
        others: vec![
            other(OtherKind::View, "v", "v", &long),
            other(OtherKind::VirtualTable, "docs", "docs", "CREATE VIRTUAL TABLE docs USING fts5(x)"),
            other(OtherKind::ShadowTable, "docs_data", "docs", ""),
            other(OtherKind::ShadowTable, "docs_idx", "docs", ""),
            other(OtherKind::Trigger, "tr", "t", "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END"),
        ],
        ..catalogue(vec![table("", "t", &["a TEXT"])])
    };
    let plan = plan_with(&source, &empty_target(), Mode::Create, json!({})).unwrap();
    let messages: Vec<&str> = findings(&plan).iter().map(|f| f.1).collect();
    assert!(messages[0].starts_with("view \"v\" is not carried over: CREATE VIEW v AS SELECT 'şş"));
    assert!(messages[0].chars().count() < 250);
    assert_eq!(
        messages[1..],
        [
            "virtual table \"docs\" with its 2 shadow tables is not carried over: CREATE VIRTUAL TABLE docs USING fts5(x)",
            "trigger \"tr\" on \"t\" is not carried over: CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END"
        ]
    );
}

#[test]
fn limits_of_postgresql_are_errors_or_findings_before_any_row_is_read() {
    let names: Vec<String> = (0..1601).map(|i| format!("c{i} TEXT")).collect();
    let columns: Vec<&str> = names.iter().map(String::as_str).collect();
    let wide = || table("", "wide", &columns);
    let error = plan_with(&catalogue(vec![wide()]), &empty_target(), Mode::Create, json!({})).unwrap_err();
    assert_eq!(error.sqlstate(), "54011");
    let skip = json!({"tables": {"wide": {"columns": {"c0": {"skip": true}}}}});
    assert!(plan_with(&catalogue(vec![wide()]), &empty_target(), Mode::Create, skip).is_ok());

    let terms: Vec<(usize, &str)> = (0..33).map(|i| (i, "BINARY")).collect();
    let index = "CREATE INDEX i33 ON t (c0)";
    let many = table("", "t", &columns[..40]).with_index("i33", IndexOrigin::Statement, &terms, Some(index));
    let plan = plan_of(vec![many], json!({}));
    assert!(sql_of(&plan, Action::CreateIndex).is_empty());
    assert_eq!(
        findings(&plan),
        [(
            Code::NotCarried,
            "index \"i33\" of table \"t\" is not carried over: it has 33 columns, PostgreSQL allows 32: CREATE INDEX i33 ON t (c0)"
        )]
    );
}

#[test]
fn a_hostile_catalogue_does_not_panic() {
    let mut bad = table("CREATE TABLE", "", &["", "xmin INTEGER"]);
    (bad.primary_key, bad.rowid_alias) = (vec![7, 7], Some(9));
    let bad = bad
        .with_index("", IndexOrigin::Unique, &[(5, "X"), (usize::MAX, "")], None)
        .with_index("i", IndexOrigin::Statement, &[(usize::MAX, "NOCASE")], Some("CREATE INDEX i ON"))
        .with_foreign_key(99, "", "", "EXPLODE");
    let plan = plan_of(vec![bad.clone(), bad], json!({}));
    assert_eq!(plan.tables.len(), 2);
    assert_eq!(plan.tables[0].columns[1].target, "xmin_");
}
