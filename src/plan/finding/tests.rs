use super::*;
use crate::catalogue::OtherKind;
use crate::name::Change;
use crate::sequence::End;
use aliaport_rows::identifier::QualifiedName;
use aliaport_rows::pg_type::PgType;

fn target(name: &str) -> QualifiedName {
    QualifiedName { schema: "app".to_owned(), name: name.to_owned() }
}

fn s(text: &str) -> String {
    text.to_owned()
}

/// One value of a column of table "users" that its type refuses.
fn refused(code: Code, column: &str, pg_type: PgType, why: &str) -> Finding {
    Finding::of("users", Content::Refused(code, pg_type, s(why))).in_column(column).counted(1)
}

fn repeated(key: KeyName, is_folded: bool, pg_type: PgType) -> Content {
    Content::Repeated { key, is_folded, types: vec![pg_type], is_stricter: false }
}

/// A foreign key of table "orders" that is not made.
fn unmade(label: &str, cause: Cause) -> Finding {
    Finding::of("orders", Uncarried::new(cause)).about(Subject::ForeignKey(0, s(label)))
}

/// A finding of every code whose example in the manual is one sentence of ours.
fn examples() -> Vec<Finding> {
    let orders = || target("orders");
    let numeric = PgType::Numeric { precision_scale: Some((10, 2)) };
    let in_orders = |why: Drift| Finding::of("orders", why);
    vec![
        Finding::of(
            "orders",
            Content::Orphans(Orphan::InSource(s("orders.user_id"), s("users")), Allowed::No),
        )
        .counted(1),
        Finding::of("users", repeated(KeyName::Primary, false, PgType::BigInt)).counted(1),
        Finding::of("users", repeated(KeyName::Index(s("email")), true, PgType::Text)).counted(2),
        refused(Code::TypeMismatch, "price", numeric, "invalid input syntax for type numeric: \"abc\""),
        refused(Code::BadDatetime, "due", PgType::Date, "date/time field value out of range: \"2025-02-30\""),
        refused(Code::BadBoolean, "is_paid", PgType::Boolean, "invalid input syntax for type boolean: \"2\""),
        refused(
            Code::TooLong,
            "code",
            PgType::Varchar(Some(5)),
            "value too long for type character varying(5)",
        ),
        refused(
            Code::OutOfRange,
            "n",
            PgType::SmallInt,
            "value \"100000\" is out of range for type smallint",
        ),
        refused(
            Code::NulCharacter,
            "note",
            PgType::Text,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        ),
        refused(Code::InvalidUtf8, "note", PgType::Text, "invalid byte sequence for encoding \"UTF8\": 0xff"),
        refused(Code::BadJson, "meta", PgType::Jsonb, "invalid input syntax for type json"),
        refused(Code::BadUuid, "uid", PgType::Uuid, "invalid input syntax for type uuid: \"zz\""),
        Finding::of("t", Content::Null(None)).in_column("x").counted(1),
        Finding::of("wide", Content::TooWide).counted(1),
        Finding::of(
            "measurements_of_every_sensor_in_every_building_by_minute_and_by_floor",
            Naming(Change::TooLong, s("measurements_of_every_sensor_in_every_building_by_minute_and_by")),
        ),
        Finding::of("t", Naming(Change::Reserved, s("ctid_"))).in_column("ctid"),
        Finding::of("t", Blocker::TooManyColumns(1700)),
        unmade("orders.user_id", Cause::ParentMissing(s("users"))),
        unmade("orders.email", Cause::NoUniqueKey(s("users"), vec![s("email")])),
        Finding::of(
            "users",
            Uncarried {
                cause: Cause::Kind,
                sql: s("CREATE TRIGGER tr AFTER INSERT ON users BEGIN SELECT 1; END"),
            },
        )
        .about(Subject::Object(OtherKind::Trigger, s("tr"), 0)),
        Finding::of("users", Typing::NoCase(true)).in_column("email"),
        Finding::of("alembic_version", Existing::Bookkeeping),
        Finding::new(Content::Damage(Damage::Index(s("i")), s("row 3 missing from index i"), false))
            .counted(1),
        Finding::of("t", NextKey::Ends(s("id"), s("app.t_id_seq"), None, End::Exhausted)),
        Finding::of("t", NextKey::Missing(s("id"), target("t"))),
        Finding::of("users", Blocker::HasRows(target("users"))),
        Finding::of("orders", Blocker::MissingColumn(s("note"), orders())).in_column("note"),
        Finding::of("t", Blocker::RequiredColumn(s("created_at"), target("t"))),
        Finding::of("t", Blocker::NoKey(target("t"))),
        Finding::of("orders", Blocker::VanishedColumn(s("note"), orders())).in_column("note"),
        Finding::of("old", Drift::TableVanished(target("old"), 3)),
        in_orders(Drift::Missing(Wanted::Index(s("ix_orders_due")), orders())),
        in_orders(Drift::Missing(Wanted::ForeignKey(s("order_item.order_id")), target("order_item"))),
        Finding::of("orders", Load::TriggersOff(orders(), vec![s("audit")])),
        Finding::of(
            "t",
            Demand::Rule(
                target("t"),
                s("new row for relation \"t\" violates check constraint \"t_n_check\""),
            ),
        )
        .counted(2),
        Finding::of("t", Demand::Instead(s("nothing"), target("t"))),
        Finding::of(
            "t",
            Demand::Untold(
                target("t"),
                s("its checks and keys, because its triggers may change rows before they are written"),
            ),
        ),
        Finding::new(Load::RowSecurity),
        Finding::new(Load::NotAnalyzed(s("..."), s("ANALYZE app.t"))),
        Finding::new(Load::Rejected),
        Finding::new(Load::Nulled),
        Finding::new(Server::Zone(4, s("UTC"))),
        Finding::new(Server::Encoding(s("LATIN5"))),
        Finding::new(Server::Turkish {
            columns: 1,
            tables: 1,
            database: s("port"),
            available: Some(s("tr-x-icu")),
        }),
        Finding::new(Server::Connections(97, 20, 10)),
    ]
}

/// What a test of the facts themselves cannot see: that the manual quotes what is said.
#[test]
fn the_manual_quotes_the_sentences_that_are_said() {
    let examples = examples();
    for code in Code::ALL {
        let of_code = |f: &&Finding| f.code() == *code || f.code().of_inspect() == *code;
        let said: Vec<String> = examples.iter().filter(of_code).map(ToString::to_string).collect();
        assert!(said.iter().any(|s| s == code.example()), "{code}: {:?}, said: {said:#?}", code.example());
    }
}

#[test]
fn a_name_in_the_source_changes_no_fact() {
    for name in ["left out", "is declared twice", "x is not carried over: CREATE y", "missing from index i"] {
        let unmade = unmade(&format!("c.{name}"), Cause::ParentMissing(s(name)));
        assert_eq!((unmade.code(), unmade.severity()), (Code::MissingParentTable, Severity::Warning));
        let sql = format!("CREATE VIEW \"{name}\" AS SELECT 1");
        let view = Finding::of(name, Uncarried { cause: Cause::Kind, sql: sql.clone() })
            .about(Subject::Object(OtherKind::View, s(name), 0));
        assert_eq!(view.sql(), Some(sql.as_str()));
        assert!(view.to_string().ends_with(&format!("is not carried over: {sql}")));
    }
}
