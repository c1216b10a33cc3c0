//! What ARCHITECTURE.md says of the code, held against the code: which crates and rooms know each other, and in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// As many entries as a person takes in at a glance.
const ROOMS_MAX: usize = 20;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The rooms of `rules`, as the table in ARCHITECTURE.md lists them: each uses only those before it.
fn rooms() -> Vec<String> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table =
        text.split("| room | what is in it |\n").nth(1).expect("ARCHITECTURE.md has the table of rooms");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('`').nth(1).expect("a row begins with a room").to_owned()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// A module by its path, such as `run`, `decide`.
type Module = Vec<String>;

/// What is shipped of each module of a crate: without tests and comments.
fn modules(krate: &str) -> BTreeMap<Module, String> {
    let src = root().join(krate).join("src");
    let of_tests = ["tests", "properties", "rows", "generate"];
    let module = |path: &Path| -> Module {
        let inside = path.strip_prefix(&src).unwrap().with_extension("");
        let names = inside.iter().map(|name| name.to_str().unwrap().to_owned());
        names.filter(|name| !["mod", "lib", "main"].contains(&name.as_str())).collect()
    };
    let all = files(&src).into_iter().map(|path| (module(&path), fs::read_to_string(path).unwrap()));
    let shipped = all.filter(|(module, _)| !module.iter().any(|name| of_tests.contains(&name.as_str())));
    shipped.map(|(module, text)| (module, code(&text))).collect()
}

fn code(text: &str) -> String {
    let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    shipped.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// Every path that begins with `crate` or `super`, those in the braces of a `use` apart.
fn paths(code: &str) -> Vec<Module> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let is_inside = code[..at].ends_with("::") || code[..at].ends_with(char::is_alphanumeric);
            if !is_inside {
                let end = code[at..].find(';').map_or(code.len(), |end| at + end);
                expand(&[], &code[at..end], &mut found);
            }
        }
    }
    found
}

fn expand(before: &[String], tree: &str, found: &mut Vec<Module>) {
    let mut path = before.to_vec();
    let mut rest = tree.trim_start();
    loop {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end > 0 {
            path.push(rest[..end].to_owned());
        }
        match rest[end..].strip_prefix("::") {
            Some(more) if more.starts_with('{') => return branches(&path, more, found),
            Some(more) => rest = more,
            None => return found.push(path),
        }
    }
}

/// What stands in braces, each beside the others.
fn branches(path: &[String], braces: &str, found: &mut Vec<Module>) {
    let mut depth = 0;
    let mut from = 1;
    for (at, c) in braces.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || depth == 0 {
            expand(path, &braces[from..at], found);
            from = at + 1;
        }
        if depth == 0 {
            return;
        }
    }
}

/// The module that a path of this module names, as far as it names modules.
fn named(module: &Module, path: &[String], all: &BTreeMap<Module, String>) -> Module {
    let ups = path.iter().take_while(|name| *name == "super").count();
    let base = if path[0] == "crate" { 0 } else { module.len().saturating_sub(ups) };
    let names = path.iter().skip(ups.max(1));
    let mut found: Module = module[..base].to_vec();
    for name in names {
        let further: Module = found.iter().chain([name]).cloned().collect();
        if !all.contains_key(&further) {
            break;
        }
        found = further;
    }
    found
}

#[test]
fn each_room_of_rules_uses_only_those_before_it_and_all_are_listed() {
    let rooms = rooms();
    let all = modules("rules");
    let there: BTreeSet<&String> = all.keys().filter_map(|module| module.first()).collect();
    assert_eq!(there, rooms.iter().collect(), "the rooms of rules/src, and those in ARCHITECTURE.md");
    assert!(rooms.len() < ROOMS_MAX, "{}", rooms.len());
    let place = |room: &String| rooms.iter().position(|it| it == room).unwrap();
    let mut wrong = Vec::new();
    for (module, code) in all.iter().filter(|(module, _)| !module.is_empty()) {
        for used in paths(code).iter().map(|path| named(module, path, &all)).filter(|used| !used.is_empty()) {
            if place(&used[0]) > place(&module[0]) {
                wrong.push(format!("{} uses {}", module.join("::"), used.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_crates_know_each_other_in_one_direction() {
    for (krate, expected) in
        [("rules", &[][..]), ("exporter", &["rules"]), ("actuator", &["rules", "exporter"])]
    {
        let manifest = fs::read_to_string(root().join(krate).join("Cargo.toml")).unwrap();
        let ours = manifest.lines().filter_map(|line| line.strip_prefix("lockkeeper-"));
        let ours: BTreeSet<&str> = ours.filter_map(|line| line.split(['.', ' ', '=']).next()).collect();
        assert_eq!(ours, expected.iter().copied().collect(), "{krate}");
    }
}

#[test]
fn each_module_that_has_others_in_it_says_what_it_is() {
    for krate in ["rules", "exporter", "actuator", "tests"] {
        for path in files(&root().join(krate).join("src")) {
            let text = fs::read_to_string(&path).unwrap();
            let mut modules =
                text.lines().filter(|line| line.starts_with("mod ") || line.starts_with("pub mod "));
            let has_others = modules.any(|line| line.ends_with(';') && !line.contains("tests"));
            assert!(!has_others || text.starts_with("//!"), "{} has no head", path.display());
        }
    }
}

#[test]
fn paths_are_read_whole() {
    let text =
        "use crate::run::{self, state::{Active, Work}, decide}; let x = super::a::B::new(); // crate::no";
    let found: BTreeSet<String> = paths(&code(text)).iter().map(|path| path.join("::")).collect();
    let expected =
        ["crate::run::self", "crate::run::state::Active", "crate::run::state::Work", "crate::run::decide"];
    assert!(expected.iter().all(|path| found.contains(*path)), "{found:?}");
    assert!(found.contains("super::a::B::new") && !found.iter().any(|path| path.contains("no")), "{found:?}");
}
