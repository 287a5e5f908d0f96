//! A `-wal` may be anything: cut, foreign, of another page size, damaged in its header or its frames. What is
//! read is what SQLite itself reads of a copy, at once, and the files stay as they are.

use super::*;

/// The rows of every table, or that the file cannot be read.
type Content = Result<Vec<String>, ()>;

fn plain(folder: &Path, database: &[u8], wal: &[u8]) -> Content {
    let path = folder.join("plain");
    std::fs::write(&path, database).unwrap();
    std::fs::write(beside(&path, "-wal"), wal).unwrap();
    let _ = std::fs::remove_file(beside(&path, "-shm"));
    let read = || -> rusqlite::Result<Vec<String>> {
        let connection = Connection::open(&path)?;
        connection.execute_batch("PRAGMA cell_size_check = 1")?;
        let mut rows = Vec::new();
        let mut names = connection.prepare("SELECT name FROM sqlite_schema ORDER BY rowid")?;
        for name in
            names.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?
        {
            let mut statement = connection.prepare(&format!("SELECT a, b FROM \"{name}\" NOT INDEXED"))?;
            let mut all = statement.query([])?;
            while let Some(row) = all.next()? {
                rows.push(format!("{name} {:?} {:?}", row.get_ref(0)?, row.get_ref(1)?));
            }
        }
        Ok(rows)
    };
    read().map_err(drop)
}

fn ours(path: &Path) -> Content {
    let read = || -> Result<Vec<String>, SourceError> {
        let source = Source::open(path, OpenOptions { busy_timeout: Duration::ZERO, ..options() })?;
        let mut rows = Vec::new();
        for table in source.catalogue()?.tables {
            let mut reader = source.rows(&table, &[0, 1])?;
            while let Some(row) = reader.next()? {
                rows.push(format!("{} {:?} {:?}", table.name, row.value(0), row.value(1)));
            }
        }
        source.verify_unchanged()?;
        Ok(rows)
    };
    match read() {
        Ok(rows) => Ok(rows),
        // Not because it gave up waiting for a writer that is not there.
        Err(error) => {
            assert_ne!(*error.kind(), SourceErrorKind::Locked, "{error} {:?}", error.detail());
            assert_ne!(*error.kind(), SourceErrorKind::Unexpected, "{error} {:?}", error.detail());
            Err(())
        }
    }
}

/// A database in WAL mode with some rows in the file and some in the `-wal`; all three files as a crash
/// leaves them.
fn crashed(folder: &Path, name: &str, page_size: u32, seed: u32) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let path = folder.join(name);
    let mut writer = Writer::start(&path);
    writer.run(&format!(
        "PRAGMA page_size = {page_size}; PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;"
    ));
    writer.run(&format!(
        "CREATE TABLE t(a, b); WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 40) \
         INSERT INTO t SELECT i + {seed}, zeroblob(i * 7) FROM n; PRAGMA wal_checkpoint(TRUNCATE);"
    ));
    // Frames of an earlier round lie behind those of this one.
    writer.run(
        "CREATE TABLE u(a, b); INSERT INTO u SELECT a, zeroblob(500) FROM t; PRAGMA wal_checkpoint(PASSIVE);",
    );
    for i in 0..5 {
        writer.run(&format!("INSERT INTO t VALUES ({seed} + 1000 + {i}, zeroblob(900)); UPDATE t SET a = a + 1 WHERE a % 5 = {i};"));
    }
    writer.crash();
    let files = ["", "-wal", "-shm"].map(|suffix| std::fs::read(beside(&path, suffix)).unwrap());
    let [database, wal, shm] = files;
    (database, wal, shm)
}

/// Puts the right checksum on a header.
fn seal(wal: &mut [u8]) {
    let is_big_endian = wal[3] & 1 == 1;
    let mut sums = (0u32, 0u32);
    for pair in wal[..24].chunks_exact(8) {
        let word = |bytes: &[u8]| {
            let bytes = bytes.try_into().unwrap();
            if is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
        };
        sums.0 = sums.0.wrapping_add(word(&pair[..4])).wrapping_add(sums.1);
        sums.1 = sums.1.wrapping_add(word(&pair[4..])).wrapping_add(sums.0);
    }
    wal[24..28].copy_from_slice(&sums.0.to_be_bytes());
    wal[28..32].copy_from_slice(&sums.1.to_be_bytes());
}

#[test]
fn any_wal_is_read_as_sqlite_reads_it() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(200);
    let (_guard, folder) = folder();
    let made = folder.join("made");
    std::fs::create_dir(&made).unwrap();
    let (database, wal, shm) = crashed(&made, "own", 1024, 0);
    let foreign = [(1024, 500), (4096, 900), (512, 300)]
        .map(|(page_size, seed)| crashed(&made, &format!("f{page_size}"), page_size, seed).1);
    let scratch = folder.join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let sources = [("bare", None), ("stale", Some(&shm)), ("empty", Some(&Vec::new()))].map(|(name, shm)| {
        let sub = folder.join(name);
        std::fs::create_dir(&sub).unwrap();
        std::fs::write(sub.join("f"), &database).unwrap();
        if let Some(shm) = shm {
            std::fs::write(sub.join("f-shm"), shm).unwrap();
        }
        sub
    });
    std::thread::sleep(Duration::from_millis(30));
    let mut state = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(11_u64);
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut read, mut refused) = (std::collections::HashSet::new(), 0);
    for round in 0..rounds {
        let mut bytes = match random(6) {
            0 => foreign[random(3)].clone(),
            _ => wal.clone(),
        };
        let frame = 24 + 1024;
        // The first rounds take every size that is no more than the header's and a little more.
        match if round < 40 { 0 } else { 1 + random(8) } {
            0 => bytes.truncate(round),
            1 => bytes.truncate(random(bytes.len() + 1)),
            2 => bytes.truncate(32 + frame * random(1 + bytes.len() / frame)),
            3 => bytes[random(32)] = random(256) as u8,
            4 => {
                bytes[[3, 7, 8, 9, 10, 11, 16 + random(8)][random(7)]] ^= 1 << random(8);
                seal(&mut bytes);
            }
            5 => {
                let at = 32 + frame * random(bytes.len() / frame) + random(24);
                bytes[at.min(wal.len() - 1)] ^= 1 << random(8);
            }
            6 => {
                let at = random(bytes.len());
                bytes[at] = bytes[at].wrapping_add(1);
            }
            7 => bytes = (0..random(5000)).map(|_| random(256) as u8).collect(),
            _ => {
                let (from, to) = (32 + frame * random(4), 32 + frame * random(4));
                bytes.copy_within(from..from + frame, to);
            }
        }
        let expected = plain(&scratch, &database, &bytes);
        for sub in &sources {
            std::fs::write(sub.join("f-wal"), &bytes).unwrap();
            let before = contents(sub);
            let found = ours(&sub.join("f"));
            assert_eq!(found, expected, "round {round}, {}", sub.display());
            assert!(before == contents(sub), "round {round}: a file was touched");
        }
        match expected {
            Ok(rows) => drop(read.insert(rows)),
            Err(()) => refused += 1,
        }
    }
    assert!(read.len() > 5, "{} contents, {refused} refused", read.len());
}
