//! Imports run one way, the decision is pure, and every reason is tried on a real API server: read from the sources, so
//! that it stays so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use zenlayer_port_operator::api::Reason;

/// What a folder or file must not know.
struct Rule {
    /// Seen from `src/`.
    of: &'static str,
    /// Crates that it neither imports nor names in a path.
    imports: &'static [&'static str],
    /// Words that stand nowhere in its code.
    words: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        of: "decision",
        imports: &["tokio", "tokio_util", "futures", "kube", "reqwest", "rustix", "rand", "tracing"],
        words: &["Clock", "Instant", "SystemTime", "now()", "std::env", "std::fs", "std::net", "std::thread"],
    },
    Rule {
        of: "reconcile",
        imports: &["tokio", "tokio_util", "futures", "kube", "reqwest", "rustix", "rand", "tracing"],
        words: &["Clock", "Instant", "SystemTime", "now()", "std::env", "std::fs", "std::net", "std::thread"],
    },
    Rule { of: "api", imports: &["tokio", "reqwest", "rand"], words: &["Clock", "now()"] },
    Rule { of: "zenlayer", imports: &["kube", "k8s_openapi"], words: &[] },
    Rule { of: "mirror", imports: &["kube", "k8s_openapi"], words: &[] },
    Rule { of: "index", imports: &["tokio", "reqwest"], words: &["Clock", "Instant", "now()"] },
    Rule { of: "dispatch", imports: &["reqwest"], words: &[] },
    Rule { of: "dispatch/queue.rs", imports: &["tokio", "futures"], words: &["Clock", "Instant", "now()"] },
    Rule { of: "lease", imports: &["reqwest"], words: &[] },
    Rule {
        of: "lease/election.rs",
        imports: &[
            "tokio",
            "tokio_util",
            "futures",
            "kube",
            "k8s_openapi",
            "rustix",
            "aws_lc_rs",
            "tracing",
            "jiff",
        ],
        words: &["Clock", "Instant", "SystemTime", "now()"],
    },
    // It reads no Secret.
    Rule { of: "plugin", imports: &["reqwest"], words: &["Secret>", "secrets"] },
    // A reconcile waits for no reading: it cannot name what reads.
    Rule {
        of: "controller",
        imports: &[],
        words: &["PortReader", "UsageReader", "read_permit", "describe_ports", "describe_attachments"],
    },
    Rule { of: "answer.rs", imports: &["tokio", "kube", "reqwest"], words: &["now()"] },
    Rule { of: "spans.rs", imports: &["kube", "reqwest", "tracing", "opentelemetry"], words: &[] },
    Rule { of: "port.rs", imports: &["tokio", "kube"], words: &["now()"] },
    // It judges the operator, so it shares nothing with it but the words of the API.
    Rule {
        of: "../tests/support/src/oracle",
        imports: &[
            "tokio",
            "kube",
            "test_cluster",
            "decision",
            "zenlayer",
            "mirror",
            "lease",
            "controller",
            "server",
        ],
        words: &["Instant", "now()"],
    },
];

/// One line of the table of rooms in `docs/architecture.md`.
struct Room {
    names: Vec<String>,
    may_use: BTreeSet<String>,
}

/// The table of rooms. A room may use itself and what is named in its line; "the shared words" are those of the first line, and
/// "all of these" are all lines before.
fn rooms() -> Vec<Room> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let document = fs::read_to_string(path).expect("the document");
    let table = document.lines().skip_while(|line| !line.starts_with("| room |")).skip(2);
    let mut rooms: Vec<Room> = Vec::new();
    for line in table.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let [names, _, may_use] = cells[..] else { panic!("not three cells: {line}") };
        let before = |rooms: &[Room]| rooms.iter().flat_map(|room| room.names.clone()).collect::<Vec<_>>();
        let mut allowed: BTreeSet<String> = in_backticks(may_use).collect();
        let unknown: Vec<_> = allowed.iter().filter(|name| !before(&rooms).contains(name)).collect();
        assert!(unknown.is_empty(), "imports run one way, and {unknown:?} is not in a line before: {line}");
        if may_use.contains("the shared words") {
            allowed.extend(before(&rooms[..1]));
        }
        if may_use.contains("all of these") {
            allowed.extend(before(&rooms));
        }
        let names: Vec<String> = in_backticks(names).collect();
        if rooms.is_empty() {
            // The shared words may use each other.
            allowed.extend(names.iter().cloned());
        }
        rooms.push(Room { names, may_use: allowed });
    }
    rooms
}

fn in_backticks(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The modules of this crate that `code` names, each with its line. Its tests may use what they like.
fn modules_named(code: &str) -> Vec<(usize, String)> {
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut named = Vec::new();
    let mut open = false;
    for (number, line) in (1..).zip(code.lines()) {
        let line = line.split("//").next().unwrap_or_default();
        if open {
            // Of a list over several lines, the names that begin a path.
            named.extend(line.split(',').map(|path| (number, first_word(path.trim()))));
            open = !line.contains("};");
        }
        for (at, _) in line.match_indices("crate::") {
            let path = &line[at + "crate::".len()..];
            open |= path.starts_with('{') && !path.contains('}');
            named.push((number, first_word(path.trim_start_matches('{'))));
        }
    }
    named.retain(|(_, name)| !name.is_empty() && name.starts_with(char::is_lowercase));
    named
}

fn first_word(path: &str) -> String {
    path.chars().take_while(|&one| one.is_alphanumeric() || one == '_').collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn each_room_uses_what_the_table_of_the_document_allows_and_nothing_else() {
    let rooms = rooms();
    let mut offences = Vec::new();
    for file in rust_files(&source()) {
        let path = file.strip_prefix(source()).expect("a path within src");
        let first = path.components().next().expect("a file").as_os_str().to_string_lossy().into_owned();
        let name = first.trim_end_matches(".rs").to_owned();
        if ["lib", "main", "bin"].contains(&name.as_str()) {
            continue;
        }
        let Some(room) = rooms.iter().find(|room| room.names.contains(&name)) else {
            offences.push(format!("{name} is not in the table of docs/architecture.md"));
            continue;
        };
        let code = fs::read_to_string(&file).expect("a source file");
        let offends = |(_, used): &(usize, String)| *used != name && !room.may_use.contains(used);
        let named = modules_named(&code).into_iter().filter(offends);
        offences
            .extend(named.map(|(line, used)| format!("src/{}:{line}: {name} uses {used}", path.display())));
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn what_a_room_uses_is_found_however_it_is_written() {
    for (code, expected) in [
        ("use crate::mirror::Account;", vec!["mirror"]),
        ("let x = crate::zenlayer::Client::new();", vec!["zenlayer"]),
        ("use crate::{\n    api::Reason,\n    mirror,\n};\nlet lease = 1;", vec!["api", "mirror"]),
        ("// use crate::mirror;\nuse super::mirror;", vec![]),
        ("#[cfg(test)]\nmod tests {\n    use crate::mirror;\n}", vec![]),
    ] {
        let named: Vec<String> = modules_named(code).into_iter().map(|(_, name)| name).collect();
        assert_eq!(named, expected, "in {code:?}");
    }
}

#[test]
fn no_two_files_import_each_other() {
    let files = rust_files(&source());
    let code = |path: &PathBuf| {
        let code = fs::read_to_string(path).expect("a source file");
        code.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned()
    };
    let imports = |from: &PathBuf, to: &PathBuf| {
        let name = to.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        code(from)
            .lines()
            .any(|line| line.contains(&format!("super::{name}::")) && !line.contains("super::super"))
    };
    let mut circles = Vec::new();
    for one in files.iter().filter(|path| !path.ends_with("mod.rs")) {
        for other in files.iter().filter(|other| *other > one && other.parent() == one.parent()) {
            if imports(one, other) && imports(other, one) {
                circles.push(format!("{} and {}", one.display(), other.display()));
            }
        }
    }
    assert!(circles.is_empty(), "\n{}", circles.join("\n"));
}

#[test]
fn no_module_knows_what_it_must_not() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut offences = Vec::new();
    for rule in RULES {
        let files = rust_files(&source.join(rule.of));
        assert!(!files.is_empty(), "src/{} is gone: is the rule about it to go too?", rule.of);
        for file in files {
            let code = fs::read_to_string(&file).expect("a source file");
            let file = file.strip_prefix(&source).expect("a path within src").display();
            let found = rule.offences(&code).into_iter();
            offences.extend(
                found.map(|(line, what)| format!("src/{file}:{line}: {} must not know {what}", rule.of)),
            );
        }
    }
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn what_is_forbidden_is_found_however_it_is_written() {
    for (code, expected) in [
        ("use tokio::sync::Mutex;", [(1, "tokio")]),
        ("use ::tokio as runtime;", [(1, "tokio")]),
        ("\n\n#[tokio::main]", [(3, "tokio")]),
        ("fn f(client: &kube::Client) {}", [(1, "kube")]),
        ("let client = ::reqwest::Client::new();", [(1, "reqwest")]),
        ("    pub(crate) use {\n    jiff::Timestamp,\n    kube,\n};\nlet kube = 1;", [(3, "kube")]),
        ("use crate::clock::{Clock, Now};", [(1, "Clock")]),
        ("let at = Timestamp::now();", [(1, "now()")]),
        ("let text = std::fs::read_to_string(path);", [(1, "std::fs")]),
    ] {
        assert_eq!(RULES[0].offences(code), expected, "in {code:?}");
    }
}

#[test]
fn nothing_else_is() {
    for code in [
        "use crate::clock::{Monotonic, Now};",
        "use kube_core::Resource;\nuse my_kube::{Kubed, tokio_name};",
        "// use tokio::time;\n/// See [`kube::Client`].\nlet tokio = 1; // Clock",
        "let now = input.now;",
    ] {
        assert_eq!(RULES[0].offences(code), [], "in {code:?}");
    }
}

/// The API server cannot be made to answer everything but one read; `decision::tests::gates` has it.
const NOT_MADE_ON_A_CLUSTER: &str = "ClusterStateUnknown";

#[test]
fn every_reason_is_waited_for_on_a_real_api_server() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = ["e2e", "faults/src/cases"].iter().flat_map(|folder| rust_files(&tests.join(folder)));
    let code: String = files.map(|file| fs::read_to_string(file).expect("a source file")).collect();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    let code = lines.collect::<Vec<_>>().join(" ");
    let untried = |reason: &&str| !is_waited_for(&code, reason);
    let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
    let untried: Vec<&str> = reasons.filter(untried).collect();
    assert_eq!(untried, [NOT_MADE_ON_A_CLUSTER]);
}

/// What waits until an object shows a reason, or compares one that is shown.
const WAITS: [&str; 9] = [
    "until_reason(",
    "until_alive(",
    "own_until(",
    "until_held(",
    "shows(",
    "shows_because(",
    "holds(",
    "== ",
    "assert_eq!( reasons",
];

/// Whether the reason is an argument of something that waits for it.
fn is_waited_for(code: &str, reason: &str) -> bool {
    let word = format!("\"{reason}\"");
    code.match_indices(&word).any(|(at, _)| {
        let statement = code[..at].rsplit([';', '{', '}']).next().unwrap_or_default();
        WAITS.iter().any(|wait| statement.contains(wait))
    })
}

#[test]
fn a_reason_that_is_only_named_is_not_waited_for() {
    assert!(is_waited_for("world.until_reason(\"edge\", \"InUse\").await?;", "InUse"));
    assert!(is_waited_for("shows_because( object, \"InUse\", \"vlan\" )", "InUse"));
    for code in ["shows(x, \"Other\"); let reason = \"InUse\";", "fn f() { (401, \"InUse\") }"] {
        assert!(!is_waited_for(code, "InUse"), "{code}");
    }
}

/// The Rust files of a module, but for those that only tests have, which may use what they like.
fn rust_files(module: &Path) -> Vec<PathBuf> {
    if module.is_file() {
        return vec![module.to_owned()];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(module).into_iter().flatten() {
        let path = entry.expect("an entry of the folder").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if name == "tests" || name == "testing" || name.ends_with("_tests") {
            continue;
        }
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(if path.is_dir() { rust_files(&path) } else { vec![path] });
        }
    }
    found.sort();
    found
}

impl Rule {
    /// What `code` knows though it must not, and on which line.
    fn offences(&self, code: &str) -> Vec<(usize, &'static str)> {
        let mut found = Vec::new();
        let mut in_use = false;
        for (number, line) in (1..).zip(code.lines()) {
            let line = line.split("//").next().unwrap_or_default();
            in_use |= contains_word(line, "use");
            let imports = |name: &&&'static str| {
                let name: &str = name;
                contains_word(line, &format!("{name}::")) || (in_use && contains_word(line, name))
            };
            let names = self.imports.iter().filter(imports);
            let words = self.words.iter().filter(|word| contains_word(line, word));
            found.extend(names.chain(words).map(|what| (number, *what)));
            in_use &= !line.contains(';');
        }
        found
    }
}

/// Whether `wanted` stands in `line`, and not as part of a longer word.
fn contains_word(line: &str, wanted: &str) -> bool {
    let of_word = |one: char| one.is_alphanumeric() || one == '_';
    line.match_indices(wanted).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + wanted.len()..]);
        let open_end = wanted.ends_with(of_word);
        !(before.ends_with(of_word) || open_end && after.starts_with(of_word))
    })
}
