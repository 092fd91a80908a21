//! FA04: a change is never lost, whatever happens while it is read.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use stockade_watch::{FileVersions, FileWatch, SourceHealth};

/// A value that follows a file, and a switch that makes its reload fail.
struct Followed {
    watch: FileWatch,
    value: Arc<Mutex<String>>,
    broken: Arc<AtomicBool>,
}

impl Followed {
    fn new(path: &Path) -> Self {
        Self::between(path, || ())
    }

    /// Does something between the first reading and the start of the watch.
    fn between(path: &Path, change: impl FnOnce()) -> Self {
        let versions = FileVersions::of([path]);
        let value = Arc::new(Mutex::new(fs::read_to_string(path).unwrap_or_default()));
        change();
        let broken = Arc::new(AtomicBool::new(false));
        let reload = {
            let (path, value) = (PathBuf::from(path), Arc::clone(&value));
            let broken = Arc::clone(&broken);
            move || {
                if broken.load(Ordering::SeqCst) {
                    return Err(io::Error::other("too many open files"));
                }
                *value.lock().unwrap() = fs::read_to_string(&path)?;
                Ok(())
            }
        };
        let watch = FileWatch::start(versions, SourceHealth::new("test"), reload).unwrap();
        Self {
            watch,
            value,
            broken,
        }
    }

    fn becomes(&self, text: &str) {
        until(|| *self.value.lock().unwrap() == text);
    }
}

fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not come to that in time");
        thread::sleep(Duration::from_millis(5));
    }
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("value.txt");
    fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn a_change_is_taken() {
    let (_folder, path) = file("one");
    let followed = Followed::new(&path);
    fs::write(&path, "two").unwrap();
    followed.becomes("two");
    assert!(!followed.watch.health().status().is_failing());
}

#[test]
fn a_change_between_reading_and_watching_is_taken() {
    let (_folder, path) = file("one");
    let followed = Followed::between(&path, || fs::write(&path, "two").unwrap());
    followed.becomes("two");
}

// FA04
#[test]
fn a_failed_reload_is_retried_without_another_change() {
    let (_folder, path) = file("one");
    let followed = Followed::new(&path);
    followed.broken.store(true, Ordering::SeqCst);
    fs::write(&path, "two").unwrap();
    let health = followed.watch.health();
    until(|| health.status().consecutive_failures >= 2);
    assert_eq!(*followed.value.lock().unwrap(), "one");
    let error = health.status().last_error.unwrap();
    assert_eq!(&*error, "too many open files");
    followed.broken.store(false, Ordering::SeqCst);
    followed.becomes("two");
    until(|| !health.status().is_failing());
    assert!(health.status().failures >= 2);
}

#[test]
fn a_missing_file_keeps_the_value_and_its_return_is_seen() {
    let (_folder, path) = file("one");
    let followed = Followed::new(&path);
    fs::remove_file(&path).unwrap();
    until(|| followed.watch.health().status().is_failing());
    assert_eq!(*followed.value.lock().unwrap(), "one");
    fs::write(&path, "two").unwrap();
    followed.becomes("two");
}

#[test]
fn a_folder_that_is_replaced_is_still_followed() {
    let (folder, path) = file("one");
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let within = inner.join("value.txt");
    fs::copy(&path, &within).unwrap();
    let followed = Followed::new(&within);
    fs::remove_dir_all(&inner).unwrap();
    fs::create_dir(&inner).unwrap();
    fs::write(&within, "two").unwrap();
    followed.becomes("two");
}

#[cfg(unix)]
#[test]
fn a_link_that_is_turned_is_seen() {
    use std::os::unix::fs::symlink;
    let (folder, old) = file("one");
    let (new, link) = (folder.path().join("new"), folder.path().join("link"));
    fs::write(&new, "two").unwrap();
    symlink(&old, &link).unwrap();
    let followed = Followed::new(&link);
    let turned = folder.path().join("turned");
    symlink(&new, &turned).unwrap();
    fs::rename(&turned, &link).unwrap();
    followed.becomes("two");
}

#[test]
fn a_neighbour_that_never_rests_puts_nothing_off() {
    let (folder, path) = file("one");
    let followed = Followed::new(&path);
    let (busy, log) = (
        Arc::new(AtomicBool::new(true)),
        folder.path().join("app.log"),
    );
    let writer = {
        let busy = Arc::clone(&busy);
        thread::spawn(move || {
            while busy.load(Ordering::SeqCst) {
                fs::write(&log, "a line").unwrap();
            }
        })
    };
    fs::write(&path, "two").unwrap();
    followed.becomes("two");
    busy.store(false, Ordering::SeqCst);
    writer.join().unwrap();
}

#[test]
fn the_thread_ends_with_the_watch() {
    let (_folder, path) = file("one");
    let versions = FileVersions::of([&path]);
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let reload = move || {
        let _ = &held;
        Ok::<_, io::Error>(())
    };
    let watch = FileWatch::start(versions, SourceHealth::new("test"), reload).unwrap();
    drop(watch);
    until(|| Arc::strong_count(&alive) == 1);
}
