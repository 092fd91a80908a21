//! FA04: no change is lost, even if it happens during a reload.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use stockade_testkit::poll::until;
use stockade_watch::{FileVersions, FileWatch, SourceHealth};

/// A value loaded from a file, and a switch that makes the reload fail.
struct Followed {
    watch: FileWatch,
    value: Arc<Mutex<String>>,
    broken: Arc<AtomicBool>,
}

impl Followed {
    fn new(path: &Path) -> Self {
        Self::between(path, || ())
    }

    /// Runs `change` between the first read and the start of the watch.
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
        until(text, || *self.value.lock().unwrap() == text);
    }
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("value.txt");
    fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn loads_a_change() {
    let (_folder, path) = file("one");
    let followed = Followed::new(&path);
    fs::write(&path, "two").unwrap();
    followed.becomes("two");
    assert!(!followed.watch.health().status().is_failing());
}

#[test]
fn loads_a_change_between_the_first_read_and_the_watch() {
    let (_folder, path) = file("one");
    let followed = Followed::between(&path, || fs::write(&path, "two").unwrap());
    followed.becomes("two");
}

// FA04
#[test]
fn retries_a_failed_reload_without_another_change() {
    let (_folder, path) = file("one");
    let followed = Followed::new(&path);
    followed.broken.store(true, Ordering::SeqCst);
    fs::write(&path, "two").unwrap();
    let health = followed.watch.health();
    until("two attempts fail", || {
        health.status().consecutive_failures >= 2
    });
    assert_eq!(*followed.value.lock().unwrap(), "one");
    let error = health.status().last_error.unwrap();
    assert_eq!(&*error, "too many open files");
    followed.broken.store(false, Ordering::SeqCst);
    followed.becomes("two");
    until("the source is healthy", || !health.status().is_failing());
    assert!(health.status().failures >= 2);
}

#[test]
fn keeps_the_value_while_the_file_is_missing() {
    let (_folder, path) = file("one");
    let followed = Followed::new(&path);
    fs::remove_file(&path).unwrap();
    until("the failure is visible", || {
        followed.watch.health().status().is_failing()
    });
    assert_eq!(*followed.value.lock().unwrap(), "one");
    fs::write(&path, "two").unwrap();
    followed.becomes("two");
}

#[test]
fn follows_a_replaced_folder() {
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
fn follows_a_redirected_symbolic_link() {
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
fn a_busy_file_in_the_same_folder_delays_nothing() {
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
    until("the callback is dropped", || Arc::strong_count(&alive) == 1);
}
