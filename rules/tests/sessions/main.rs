//! Whole runs on the simulated cluster, each in one file for a person to read. A session is a script, `NAME.txt`, and beside
//! it what came of it, `NAME.snap`: every notice, every command with its answer, and where the run stood. `script.rs` says
//! what a script may say. A new session is a new script, and whatever changed is written with
//! `INSTA_UPDATE=always cargo test -p lockkeeper-rules --test sessions`; read the difference before you commit it.

#![expect(clippy::disallowed_methods, reason = "the sessions are files")]

mod script;
#[expect(dead_code, reason = "the machine's tests use all of it")]
#[path = "../machine/simulated/mod.rs"]
mod simulated;
mod transcript;
mod words;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use script::Session;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions")
}

/// The names of the files that end so, sorted.
fn names(extension: &str) -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = files.filter_map(|name| Some(name.strip_suffix(extension)?.to_owned())).collect();
    names.sort();
    names
}

#[test]
fn every_session_goes_as_it_is_written_down() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let is_other = |name: &String| {
        let script = fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap();
        let compare = || insta::assert_snapshot!(name.as_str(), Session::play(&script));
        settings.bind(|| catch_unwind(AssertUnwindSafe(compare))).is_err()
    };
    let others: Vec<_> = names(".txt").into_iter().filter(is_other).collect();
    assert!(others.is_empty(), "{others:?} went otherwise; INSTA_UPDATE=always writes down how");
    assert_eq!(names(".snap"), names(".txt"), "one script for each");
}
