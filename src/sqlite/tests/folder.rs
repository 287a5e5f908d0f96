//! What was checked of a path is what is opened, whoever exchanges its folders meanwhile.
#![allow(unsafe_code)] // exchanges two names at once

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use super::*;
use crate::Location;

fn exchange(a: &Path, b: &Path) {
    let [a, b] = [a, b].map(|path| CString::new(path.as_os_str().as_bytes()).unwrap());
    // SAFETY: two texts that end with a NUL byte.
    let code = unsafe {
        libc::renameat2(libc::AT_FDCWD, a.as_ptr(), libc::AT_FDCWD, b.as_ptr(), libc::RENAME_EXCHANGE)
    };
    assert_eq!(code, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_folder_that_becomes_a_link_leads_nowhere_else() {
    let (_guard, folder) = folder();
    let (inside, outside) = (folder.join("inside"), folder.join("outside"));
    for (place, value) in [(inside.join("sub"), 1), (outside.clone(), 2)] {
        std::fs::create_dir_all(&place).unwrap();
        // Half of it is in the -wal, which is looked up by itself.
        let mut writer = Writer::start(&place.join("f"));
        writer.run("PRAGMA journal_mode = wal; CREATE TABLE t(a); PRAGMA wal_checkpoint(TRUNCATE);");
        writer.run(&format!("INSERT INTO t VALUES ({value})"));
        writer.crash();
    }
    let link = folder.join("link");
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    let stop = Arc::new(AtomicBool::new(false));
    let racer = {
        let (stop, sub) = (Arc::clone(&stop), inside.join("sub"));
        std::thread::spawn(move || {
            let mut times = 0;
            while !stop.load(Ordering::Relaxed) {
                exchange(&sub, &link);
                times += 1;
                std::thread::yield_now();
            }
            times
        })
    };
    let (mut read, mut refused) = (0, 0);
    for _ in 0..3000 {
        match Location::resolve(&inside.join("sub/f")) {
            Ok(location) => {
                let source = Source::open_at(location, options()).unwrap();
                assert_eq!(integers(&source, "t"), [1]);
                read += 1;
            }
            Err(_) => refused += 1,
        }
    }
    stop.store(true, Ordering::Relaxed);
    let times: u64 = racer.join().unwrap();
    assert!(read > 0 && refused > 0 && times > 100, "{read} read, {refused} refused, {times} exchanges");
}

#[test]
fn a_path_is_absolute_and_leads_straight_to_a_file() {
    for path in ["a", "./a", "/", "/a/../b", "", "/tmp/\0"] {
        assert!(Location::resolve(Path::new(path)).is_err(), "{path:?}");
    }
}
