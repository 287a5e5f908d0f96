//! The hot path alone, without PostgreSQL: scan, convert, form heap tuples, inspect and hash them, over a
//! database that is the same every time.
//!
//! With a number of rows (and a table, else both) as arguments it prints what it did;
//! `benches/instructions.sh` counts the instructions of [`load`] under valgrind. Without one (`cargo test`,
//! `cargo bench`) it only shows that it works.
#![allow(clippy::print_stdout, clippy::expect_used, clippy::panic)] // a program for the terminal

use std::time::Instant;

use aliaport_plan::option::Options;
use aliaport_plan::plan::TablePlan;
use aliaport_plan::planner::{Request, plan};
use aliaport_plan::policy::Mode;
use aliaport_plan::profile::Profiles;
use aliaport_plan::target::Target;
use aliaport_rows::batch::Rows;
use aliaport_rows::convert::Zone;
use aliaport_rows::digest;
use aliaport_rows::pg_type::PgType;
use aliaport_rows::prove::Inspector;
use aliaport_rows::row::{Former, OnError, RowConverter};
use aliaport_rows::tuple::{Images, Layout, Writer};
use aliaport_sqlite::{OpenOptions, SendReader, Source, fixture};

/// Twenty columns as an ORM stores them, and five of numbers.
const TABLES: &str = "
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, product_id INTEGER NOT NULL, store_id INTEGER,
        order_no VARCHAR(50) NOT NULL, customer VARCHAR(50) NOT NULL, city VARCHAR(50), note TEXT, status VARCHAR(20) NOT NULL,
        is_paid BOOLEAN NOT NULL, is_shipped BOOLEAN NOT NULL, is_gift BOOLEAN, created_at DATETIME NOT NULL,
        updated_at DATETIME NOT NULL, paid_at DATETIME, shipped_at DATETIME, due_date DATE, total NUMERIC(15, 2) NOT NULL,
        tax NUMERIC(15, 2), meta JSON);
    CREATE TABLE narrow (a INTEGER NOT NULL, b INTEGER NOT NULL, c INTEGER, d INTEGER, e REAL);";

/// A batch's bytes, as in the reader thread.
const BATCH_BYTES: usize = 256 * 1024;

fn rows(count: u64) -> [String; 2] {
    let numbers =
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) ");
    let orders = "INSERT INTO orders SELECT i, 1 + i * 7919 % 50000, 1 + i * 31 % 5000, CASE WHEN i % 20 THEN 1 + i % 200 END,
        printf('SIP-%d-%09d', 2019 + i % 7, i * 7919 % 100000007),
        substr('Ayşe YılmazGülşen ŞahinÇağrı Öztürkİbrahim Çelik', 1 + i % 20, 8 + i % 9), substr('İstanbulÇanakkale', 1 + i % 6, 6 + i % 5),
        CASE WHEN i % 4 THEN substr('sipariş müşteri kapıda ödeme yarın öğleden sonra teslim edilecek lütfen zili çalmayınız arka sokakta', 1 + i % 30, 20 + i % 60) END,
        substr('new      paid     shippeddelivered', 1 + i % 4 * 9, 8), i % 3 > 0, i % 2, CASE WHEN i % 50 THEN i % 5 > 2 END,
        strftime('%Y-%m-%d %H:%M:%S', 1546300800 + i * 97, 'unixepoch') || printf('.%06d', i * 7919 % 1000000),
        strftime('%Y-%m-%d %H:%M:%S', 1546300800 + i * 98, 'unixepoch') || printf('.%06d', i * 104729 % 1000000),
        CASE WHEN i % 4 THEN strftime('%Y-%m-%d %H:%M:%S', 1546300900 + i * 97, 'unixepoch') END,
        CASE WHEN i % 2 THEN strftime('%Y-%m-%dT%H:%M:%SZ', 1546400800 + i * 97, 'unixepoch') END,
        CASE WHEN i % 10 THEN strftime('%Y-%m-%d', 1546300800 + i * 97, 'unixepoch') END,
        (100 + i * 7919 % 2000000) / 100.0, CASE WHEN i % 16 THEN (100 + i * 7919 % 2000000) * 18 / 100 / 100.0 END,
        CASE WHEN i % 8 THEN printf('{\"kaynak\": \"%s\", \"kupon\": %s, \"adet\": %d, \"etiketler\": [\"Muğla\", \"sipariş\"], \"puan\": %.1f}',
            substr('web  mobil', 1 + i % 2 * 5, 3), CASE WHEN i % 4 THEN 'null' ELSE '\"YAZ' || i % 97 || '\"' END, 1 + i % 9, i % 50 / 10.0) END
        FROM n";
    let narrow = "INSERT INTO narrow SELECT i, i * 7919 & 65535, CASE WHEN i % 16 THEN i * 104729 & 2147483647 END, i % 256,
        i * 7919 % 1000003 / 1000.003 FROM n";
    [format!("{numbers}{orders}"), format!("{numbers}{narrow}")]
}

/// What is measured: one table from SQLite's pages to heap tuples. Gives rows, bytes of tuples and the
/// digest.
#[inline(never)]
fn load(mut reader: SendReader<'_>, plan: &TablePlan) -> (u64, usize, String) {
    let types: Vec<&PgType> = plan.columns.iter().map(|column| &column.pg_type).collect();
    let attributes = digest::attributes(&types).expect("types that are stored as they are");
    let positions: Vec<usize> = (0..plan.columns.len()).collect();
    let zone = Zone::default();
    let mut converter = RowConverter::new(&plan.row_plan(), &zone, OnError::Abort, true)
        .with_inspector(&attributes, &positions);
    let mut inspector = Inspector::new(converter.about(), &attributes, &positions, &zone);
    let mut former = Former::new(Writer::new(Layout::new(attributes)), positions);
    let (mut count, mut bytes) = (0, 0);
    let (mut rows, mut empty) = (Rows::default(), Images::default());
    loop {
        rows.restart(count + 1);
        let is_last = reader.fill(&mut rows, BATCH_BYTES).expect("rows");
        rows.check_texts();
        for row in rows.iter() {
            converter
                .convert(&row, &mut former)
                .unwrap_or_else(|error| panic!("{}: {}", error.message, error.detail));
        }
        let images = former.writer.replace(empty);
        let notes = converter.take_notes().unwrap_or_default();
        inspector.inspect(&rows, &images, &notes).unwrap_or_else(|error| panic!("{}", error.detail));
        count += rows.len() as u64;
        bytes += images.size();
        empty = images;
        if is_last {
            break;
        }
    }
    assert_eq!(former.take_misfit(), None);
    (count, bytes, inspector.digest().to_string())
}

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(100);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("load_path.db");
    let mut statements = vec![TABLES.to_owned()];
    statements.extend(rows(count));
    fixture::create(&path, &statements).expect("a database");

    let options = OpenOptions { busy_timeout: std::time::Duration::ZERO, is_cancelled: || false };
    let mut source = Source::open(&path, options).expect("a source");
    let catalogue = source.catalogue().expect("a catalogue");
    let target = Target { schema: "public".to_owned(), ..Target::default() };
    let request = Request { mode: Mode::Create, options: &Options::default() };
    let plan = plan(&catalogue, &Profiles::new(), &target, &request).expect("a plan");
    let only = std::env::args().nth(2);
    for table in plan.tables.iter().filter(|table| only.as_ref().is_none_or(|name| *name == table.source)) {
        let declared =
            catalogue.tables.iter().find(|declared| declared.name == table.source).expect("its table");
        let columns: Vec<usize> = (0..declared.columns.len()).collect();
        let reader = source.rows_to_send(declared, &columns, None).expect("a reader");
        let begun = Instant::now();
        let (rows, bytes, digest) = load(reader, table);
        let nanoseconds = begun.elapsed().as_nanos() / u128::from(rows.max(1));
        println!("{}: {rows} rows, {bytes} bytes, digest {digest}, {nanoseconds} ns/row", table.source);
    }
}
