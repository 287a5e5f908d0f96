//! Settings, all below `aliaport_import.`.

use std::ffi::CString;
use std::path::PathBuf;
use std::time::Duration;

use aliaport_plan::target::EmptyBy;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};

static ALLOWED_DIRECTORIES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
static REPLACE_METHOD: GucSetting<ReplaceMethod> = GucSetting::<ReplaceMethod>::new(ReplaceMethod::Delete);
static BUSY_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(5000);
static TUPLE_IMAGES: GucSetting<bool> = GucSetting::<bool>::new(true);
static READ_PAGES: GucSetting<bool> = GucSetting::<bool>::new(true);
static CONVERTERS: GucSetting<i32> = GucSetting::<i32>::new(1);
static MAX_REJECTED_ROWS: GucSetting<i32> = GucSetting::<i32>::new(1_000_000);
static MAX_REJECTED_BYTES: GucSetting<i32> = GucSetting::<i32>::new(4 << 20);

/// One backend writes what they convert, which takes it about half as long: more would wait for it.
const MOST_CONVERTERS: i32 = 8;

/// The words of `aliaport_import.replace_method`.
#[derive(Clone, Copy, Debug, PostgresGucEnum)]
enum ReplaceMethod {
    #[name = c"delete"]
    Delete,
    #[name = c"truncate"]
    Truncate,
}

/// Defines the settings. Called once, when the library is loaded.
pub fn register() {
    GucRegistry::define_string_guc(
        c"aliaport_import.allowed_directories",
        c"Directories from which SQLite files may be imported.",
        c"A comma-separated list of absolute paths; a file must be below one of them after symbolic links are resolved. Empty allows any directory.",
        &ALLOWED_DIRECTORIES,
        GucContext::Suset,
        GucFlags::empty(),
    );
    GucRegistry::define_int_guc(
        c"aliaport_import.busy_timeout",
        c"How long to wait for a writer that has the SQLite file locked.",
        c"After that the import ends with lock_not_available. 0 does not wait.",
        &BUSY_TIMEOUT,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_enum_guc(
        c"aliaport_import.replace_method",
        c"How mode replace empties its target tables.",
        c"delete: other sessions read the old rows until COMMIT. truncate: faster and without dead rows, but other sessions wait until COMMIT. Without the DELETE privilege, or under row-level security or rules, it is always truncate.",
        &REPLACE_METHOD,
        GucContext::Userset,
        GucFlags::empty(),
    );
    GucRegistry::define_bool_guc(
        c"aliaport_import.tuple_images",
        c"Form heap tuples in the thread that reads SQLite.",
        c"Off, PostgreSQL forms them, and rows are read in the backend itself. The tables are the same; this is for measurements, and for doubts.",
        &TUPLE_IMAGES,
        GucContext::Userset,
        GucFlags::empty(),
    );
    GucRegistry::define_bool_guc(
        c"aliaport_import.read_pages",
        c"Read the tables of an import from the pages of the database file.",
        c"Off, every row comes through SQLite's virtual machine, as it always does of databases with a -wal, of tables without rowid and of filters. The rows are the same; this is for measurements, and for doubts.",
        &READ_PAGES,
        GucContext::Userset,
        GucFlags::empty(),
    );
    GucRegistry::define_int_guc(
        c"aliaport_import.converters",
        c"Threads that convert rows and form heap tuples, beside the one that reads SQLite.",
        c"Each has another one that inspects its tuples. More than one helps where there are more than two cores. The rows, and their order, are the same with any number.",
        &CONVERTERS,
        1,
        MOST_CONVERTERS,
        GucContext::Userset,
        GucFlags::empty(),
    );
    GucRegistry::define_int_guc(
        c"aliaport_import.max_rejected_rows",
        c"Rows of aliaport.rejected_row that one run may write.",
        c"An import that would set aside more rows and values ends with program_limit_exceeded. 0 is no limit.",
        &MAX_REJECTED_ROWS,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::empty(),
    );
    GucRegistry::define_int_guc(
        c"aliaport_import.max_rejected_bytes",
        c"Size of the rows of aliaport.rejected_row that one run may write.",
        c"An import that would set aside more, counted with the original values as JSON, ends with program_limit_exceeded. 0 is no limit.",
        &MAX_REJECTED_BYTES,
        0,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_KB,
    );
    super::compat::reserve_guc_prefix();
}

/// The directories of `aliaport_import.allowed_directories` as written; empty means any.
pub fn allowed_directories() -> Vec<PathBuf> {
    let Some(list) = ALLOWED_DIRECTORIES.get() else { return Vec::new() };
    let list = String::from_utf8_lossy(list.as_bytes()).into_owned();
    list.split(',').map(str::trim).filter(|d| !d.is_empty()).map(PathBuf::from).collect()
}

/// How long a writer may keep the source locked before the import gives up.
pub fn busy_timeout() -> Duration {
    Duration::from_millis(u64::try_from(BUSY_TIMEOUT.get()).unwrap_or(0))
}

/// Whether tuples are formed in the reader thread.
pub fn tuple_images() -> bool {
    TUPLE_IMAGES.get()
}

/// Whether tables are read from the pages of their file where that is possible.
pub fn read_pages() -> bool {
    READ_PAGES.get()
}

/// How many threads convert rows.
pub fn converters() -> usize {
    usize::try_from(CONVERTERS.get()).unwrap_or(1).max(1)
}

/// How mode replace empties its target tables, where the caller may choose.
pub fn replace_method() -> EmptyBy {
    match REPLACE_METHOD.get() {
        ReplaceMethod::Delete => EmptyBy::Delete,
        ReplaceMethod::Truncate => EmptyBy::Truncate,
    }
}

/// How many rows of `aliaport.rejected_row` a run may write; `None` for any number.
pub fn max_rejected_rows() -> Option<u64> {
    u64::try_from(MAX_REJECTED_ROWS.get()).ok().filter(|n| *n > 0)
}

/// How many bytes the rows of `aliaport.rejected_row` may have that a run writes; `None` for any number.
pub fn max_rejected_bytes() -> Option<u64> {
    u64::try_from(MAX_REJECTED_BYTES.get()).ok().filter(|n| *n > 0).map(|kilobytes| kilobytes << 10)
}
