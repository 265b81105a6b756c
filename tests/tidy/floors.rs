//! The floors of the library: `src/lib.rs` lists its modules, this file their order.

use super::source::File;
use super::{Breach, breach};

/// Every module of the library and its floor. A module uses those on lower floors and itself.
const FLOORS: [(&str, u32); 11] = [
    ("time", 0),
    ("slots", 0),
    ("wire", 1),
    ("seal", 2),
    ("pairing", 2),
    ("message", 3),
    ("proto", 4),
    ("network", 4),
    ("transport", 5),
    ("content", 6),
    ("node", 7),
];
/// The floor that may touch the world outside, and the only one.
const TRANSPORT: &str = "transport";

/// What has no place but in `transport`: the world outside, and order that changes from run to run.
const OUTSIDE: [&str; 25] = [
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "UnixListener",
    "ToSocketAddrs",
    "std::thread",
    "thread::",
    "Instant",
    "SystemTime",
    "HashMap",
    "HashSet",
    "static mut",
    "OnceLock",
    "LazyLock",
    "thread_local!",
    "rand::rng()",
    "rand::random",
    "SysRng",
    "ThreadRng",
    "std::fs",
    "std::env",
    "println!",
    "quinn_udp",
    "socket2",
];

/// The library's sources: `src` without the tool.
pub(crate) fn library(files: &[File]) -> Vec<File> {
    let is_library = |file: &&File| {
        file.path.starts_with("src/") && file.path != "src/main.rs" && !file.path.starts_with("src/cli/")
    };
    files.iter().filter(is_library).map(|file| File::new(file.path.clone(), file.text.clone())).collect()
}

/// Every module that `src/lib.rs` declares has a floor, and every floor has sources.
pub(crate) fn assert_complete(sources: &[File]) {
    let lib = sources.iter().find(|file| file.path == "src/lib.rs").expect("src/lib.rs");
    let declared: Vec<&str> =
        tokens(&lib.code).windows(3).filter(|at| at[0].1 == "mod" && at[2].1 == ";").map(|at| at[1].1).collect();
    for module in &declared {
        assert!(floor(module).is_some(), "{module} has no floor: give it one in tests/tidy/floors.rs");
    }
    for (module, _) in FLOORS {
        assert!(declared.contains(&module), "src/lib.rs has no module {module} any more");
        let seen = sources.iter().filter(|file| top(&file.path) == Some(module)).count();
        assert!(seen > 0, "no sources of {module} were seen");
    }
}

fn floor(module: &str) -> Option<u32> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// The module at the top of which a file is a part.
fn top(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("src/")?;
    let name = rest.split('/').next()?;
    Some(name.strip_suffix(".rs").unwrap_or(name)).filter(|name| *name != "lib")
}

/// Modules from the root down to the file's.
fn module_path(path: &str) -> Vec<&str> {
    let rest = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    rest.split('/').filter(|name| *name != "mod" && *name != "lib").collect()
}

/// Paths that lead to the same floor or a higher one.
pub(crate) fn paths_upward(file: &File) -> Vec<Breach> {
    let Some(own) = top(&file.path) else { return Vec::new() };
    let Some(own_floor) = floor(own) else { return vec![breach(file, 0, "a module without a floor")] };
    let mut breaches = Vec::new();
    for (line, name) in from_root(file) {
        // What the root gives under a name of its own is the transport's.
        let is_type = name.starts_with(|c: char| c.is_ascii_uppercase());
        let module = if is_type { TRANSPORT } else { name };
        match floor(module) {
            _ if module == own => {}
            Some(floor) if floor < own_floor => {}
            Some(_) => breaches.push(breach(file, line, &format!("{own} uses {name}, which is not below it"))),
            None => breaches.push(breach(file, line, &format!("{own} uses {name}, which has no floor"))),
        }
    }
    breaches
}

/// Names that follow the root of the crate in paths, with their lines.
fn from_root(file: &File) -> Vec<(usize, &str)> {
    let tokens = tokens(&file.code);
    let text = |at: usize| tokens.get(at).map_or("", |token| token.1);
    let depth = module_path(&file.path).len();
    let mut inner: Vec<usize> = Vec::new(); // braces at which inner modules began
    let mut braces = 0;
    let mut names = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let mut next = at + 1;
        match text(at) {
            "{" => braces += 1,
            "}" => {
                braces -= 1;
                inner.pop_if(|from| *from > braces);
            }
            "mod" if text(at + 2) == "{" => inner.push(braces + 1),
            "crate" if text(at + 1) == "::" => {
                collect(&tokens, at + 2, &mut names);
                next = at + 2;
            }
            "super" => {
                let mut supers = 1;
                let mut end = at + 1;
                while text(end) == "::" && text(end + 1) == "super" {
                    supers += 1;
                    end += 2;
                }
                if text(end) == "::" && supers >= depth + inner.len() {
                    collect(&tokens, end + 1, &mut names);
                }
                next = end;
            }
            _ => {}
        }
        at = next;
    }
    names
}

/// The names at the front of what follows `crate::`: one, or those of a group.
fn collect<'a>(tokens: &[(usize, &'a str)], from: usize, names: &mut Vec<(usize, &'a str)>) {
    let Some(&(line, first)) = tokens.get(from) else { return };
    if first != "{" {
        names.push((line, first));
        return;
    }
    let mut depth = 0;
    let mut fresh = false;
    for &(line, token) in &tokens[from..] {
        match token {
            "{" => {
                depth += 1;
                fresh = depth == 1;
            }
            "}" => depth -= 1,
            "," => fresh = depth == 1,
            _ if fresh => {
                names.push((line, token));
                fresh = false;
            }
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

/// Words, `::` and single signs, each with its line.
fn tokens(code: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    for (line, text) in code.lines().enumerate() {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let len = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push((line, &rest[..len]));
            rest = rest[len..].trim_start();
        }
    }
    tokens
}

/// Uses of the world outside, on other floors than `transport`.
pub(crate) fn outside_world(file: &File) -> Vec<Breach> {
    if top(&file.path).is_none_or(|top| top == TRANSPORT) {
        return Vec::new();
    }
    let mut breaches = Vec::new();
    for (line, code) in file.code.lines().enumerate() {
        for word in OUTSIDE.into_iter().filter(|word| has_word(code, word)) {
            breaches.push(breach(file, line, &format!("{word} outside of transport")));
        }
    }
    breaches
}

/// True when `word` stands in `code`, not as a part of a longer word.
fn has_word(code: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(is_word);
        let after = code[at + word.len()..].chars().next().is_some_and(is_word);
        let ends_in_word = word.chars().next_back().is_some_and(is_word);
        !(before || after && ends_in_word)
    })
}
