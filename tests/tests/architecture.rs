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
    let mut found: BTreeMap<Module, String> = BTreeMap::new();
    // `lib.rs` and `main.rs` are both the top.
    shipped.for_each(|(module, text)| found.entry(module).or_default().push_str(&code(&text)));
    found
}

fn code(text: &str) -> String {
    let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    shipped.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every path of more than one name, those in the braces of a `use` apart.
fn paths(code: &str) -> Vec<Module> {
    let mut found = Vec::new();
    for (colons, _) in code.match_indices("::") {
        let at = code[..colons].rfind(|c| !is_of_name(c)).map_or(0, |before| before + 1);
        if at < colons && !code[..at].ends_with("::") {
            let end = code[at..].find(';').map_or(code.len(), |end| at + end);
            expand(&[], &code[at..end], &mut found);
        }
    }
    found
}

fn expand(before: &[String], tree: &str, found: &mut Vec<Module>) {
    let mut path = before.to_vec();
    let mut rest = tree.trim_start();
    loop {
        let end = rest.find(|c| !is_of_name(c) && c != '*').unwrap_or(rest.len());
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

/// The module that a path of this module names, as far as it names modules, and what is left of the path.
fn named<'p>(module: &Module, path: &'p [String], all: &BTreeMap<Module, String>) -> (Module, &'p [String]) {
    let ups = path.iter().take_while(|name| *name == "super").count();
    let (mut found, mut left) = match path[0].as_str() {
        "crate" => (Module::new(), &path[1..]),
        "self" => (module.clone(), &path[1..]),
        _ => (module[..module.len().saturating_sub(ups)].to_vec(), &path[ups..]),
    };
    while let [name, rest @ ..] = left {
        let further: Module = found.iter().chain([name]).cloned().collect();
        if !all.contains_key(&further) {
            break;
        }
        (found, left) = (further, rest);
    }
    (found, left)
}

/// What a module calls by one name because of a `use`, with the path of it.
fn imports(module: &Module, all: &BTreeMap<Module, String>) -> BTreeMap<String, Module> {
    let mut paths = Vec::new();
    for statement in all[module].split(';') {
        let Some((before, tree)) = statement.rsplit_once("use ") else { continue };
        let start = before.lines().last().unwrap_or_default().trim();
        if start.is_empty() || start.starts_with("pub") {
            expand(&[], tree, &mut paths);
        }
    }
    let mut found = BTreeMap::new();
    for mut path in paths {
        let name = path.pop().expect("a path has a name");
        let names = if name == "*" { items(&all[&named(module, &path, all).0]) } else { vec![name] };
        found.extend(names.into_iter().map(|name| (name.clone(), [path.clone(), vec![name]].concat())));
    }
    found
}

/// The names that a module gives to others.
fn items(code: &str) -> Vec<String> {
    let kinds = ["struct", "enum", "trait", "type", "fn", "const", "static"];
    let name = |line: &str| {
        let mut words = line.split(|c| !is_of_name(c)).skip_while(|word| !kinds.contains(word));
        words.find(|word| !kinds.contains(word)).map(str::to_owned)
    };
    code.lines().filter(|line| line.starts_with("pub")).filter_map(name).collect()
}

/// Every module that a path of this module leads to: the one that it names, and where that one has it from.
fn leads(module: &Module, path: &[String], krate: &Krate) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let (mut module, mut path) = (module.clone(), path.to_vec());
    loop {
        let (named, left) = named(&module, &path, &krate.code);
        let is_new = found.insert(named.clone());
        let Some((name, rest)) = left.split_first().filter(|_| is_new) else { return found };
        let Some(import) = krate.imports[&named].get(name) else { return found };
        (path, module) = ([import, rest].concat(), named);
    }
}

struct Krate {
    code: BTreeMap<Module, String>,
    imports: BTreeMap<Module, BTreeMap<String, Module>>,
}

impl Krate {
    fn new(code: BTreeMap<Module, String>) -> Self {
        let imports = code.keys().map(|module| (module.clone(), imports(module, &code))).collect();
        Self { code, imports }
    }
}

/// What uses what, of all modules that lie on a circle of modules of one parent.
fn circles(krate: &Krate) -> Vec<String> {
    // By the two modules of one parent: which use it is, in words.
    let mut uses: BTreeMap<(Module, Module), Vec<String>> = BTreeMap::new();
    for (module, code) in &krate.code {
        let used: BTreeSet<Module> = paths(code).iter().flat_map(|path| leads(module, path, krate)).collect();
        for other in used.iter().filter(|other| !module.starts_with(other) && !other.starts_with(module)) {
            let level = module.iter().zip(other.iter()).take_while(|(one, other)| one == other).count();
            let pair = (module[..=level].to_vec(), other[..=level].to_vec());
            uses.entry(pair).or_default().push(format!("{} uses {}", module.join("::"), other.join("::")));
        }
    }
    let reaches = |from: &Module, to: &Module| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(one) = next.pop() {
            if seen.insert(one) {
                next.extend(uses.keys().filter(|(user, _)| user == one).map(|(_, used)| used));
            }
        }
        seen.contains(to)
    };
    uses.iter().filter(|((user, used), _)| reaches(used, user)).flat_map(|(_, all)| all.clone()).collect()
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
        for used in paths(code).iter().map(|path| named(module, path, &all).0).filter(|used| !used.is_empty())
        {
            if place(&used[0]) > place(&module[0]) {
                wrong.push(format!("{} uses {}", module.join("::"), used.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_modules_of_one_parent_use_each_other_in_a_circle() {
    for krate in ["rules", "exporter", "actuator"] {
        let found = circles(&Krate::new(modules(krate)));
        assert!(found.is_empty(), "{krate}: {found:#?}");
    }
}

#[test]
fn a_circle_is_found_however_the_modules_name_each_other() {
    let found = |files: &[(&str, &str)]| {
        let module =
            |path: &str| path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
        circles(&Krate::new(files.iter().map(|(path, text)| (module(path), code(text))).collect()))
    };
    let b = ("r::b", "use super::a::{self, A};");
    for (parent, a, other) in [
        ("", "use super::b::B;", ""),
        ("", "use crate::r::{b::B, c::C};", ""),
        ("", "fn f() -> super::b::B {}", ""),
        ("", "use super::b;", ""),
        ("", "use crate::r; fn f() { r::b::f() }", ""),
        ("pub use b::B; pub use c::C;", "use super::{B, C};", ""),
        ("pub use b::B; pub use c::C;", "use super::{C, B};", ""),
        ("pub use b::*;", "use crate::r::B;", ""),
        ("use self::c::B;", "use super::B;", "pub use super::b::B;"),
        ("", "use super::c::C;", "use crate::r::b::B;"),
    ] {
        let text = "pub struct B;\n";
        let b = (b.0, &*format!("{text}{}", b.1));
        let found = found(&[("", "mod r;"), ("r", parent), ("r::a", a), b, ("r::c", other)]);
        assert!(found.contains(&"r::b uses r::a".to_owned()) && found.len() > 1, "{a:?}: {found:?}");
    }
    // One uses the other only; a parent and its child; others of one name.
    let good = [
        ("", "use r::a::A;"),
        ("r", "use a::A; pub struct B;"),
        b,
        ("r::a", "use super::B; use serde::b::B;"),
    ];
    assert_eq!(found(&good), Vec::<String>::new());
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
