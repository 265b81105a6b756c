//! House rules that no compiler keeps: the floors, sizes, and what must not stand in the sources. Each breach is listed
//! by file and line.

#[path = "tidy/citations.rs"]
mod citations;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/source.rs"]
mod source;

use source::{File, files};

/// The longest file, in lines.
const FILE_LINES_MAX: usize = 600;
/// The widest line, in characters.
const LINE_WIDTH_MAX: usize = 120;
/// Hosts that texts may name in links: what is not here is somebody's own machine.
const HOSTS: [&str; 12] = [
    "crates.io",
    "datatracker.ietf.org",
    "doc.rust-lang.org",
    "docs.rs",
    "github.com",
    "keepachangelog.com",
    "opensource.org",
    "semver.org",
    "www.apache.org",
    "www.kernel.org",
    "www.rfc-editor.org",
    "www.rust-lang.org",
];
/// Unfinished work and debugging aids, as they stand in code.
const UNFINISHED: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#![allow"];
/// Where a test may have got a seed from that is another one each time.
const CHANCE: [&str; 4] = ["rand::rng()", "rand::random", "SysRng", "from_os_rng"];

/// A breach of a rule.
type Breach = String;

fn breach(file: &File, line: usize, what: &str) -> Breach {
    format!("{}:{}: {what}", file.path, line + 1)
}

/// Fails with all breaches, if there are any.
fn none(breaches: &[Breach]) {
    assert!(breaches.is_empty(), "{} to tidy:\n{}", breaches.len(), breaches.join("\n"));
}

fn all(check: impl Fn(&File) -> Vec<Breach>) -> Vec<Breach> {
    files().iter().flat_map(check).collect()
}

#[test]
fn every_module_uses_only_the_floors_below_it() {
    let sources = floors::library(&files());
    floors::assert_complete(&sources);
    none(&sources.iter().flat_map(floors::paths_upward).collect::<Vec<_>>());
}

#[test]
fn outside_of_transport_there_is_no_socket_thread_clock_or_global() {
    let sources = floors::library(&files());
    floors::assert_complete(&sources);
    none(&sources.iter().flat_map(floors::outside_world).collect::<Vec<_>>());
}

fn size(file: &File) -> Vec<Breach> {
    let count = file.text.lines().count();
    let too_long = file.is_rust() && count > FILE_LINES_MAX;
    let mut breaches = Vec::new();
    if too_long {
        breaches.push(breach(file, count - 1, &format!("{count} lines: is there a second noun in it?")));
    }
    if !file.text.ends_with('\n') {
        breaches.push(breach(file, count.saturating_sub(1), "no newline at the end"));
    }
    for (at, line) in file.text.lines().enumerate() {
        // A row of a table cannot be broken.
        let free = file.path.ends_with(".toml") || (file.path.ends_with(".md") && line.starts_with('|'));
        if !free && line.chars().count() > LINE_WIDTH_MAX {
            breaches.push(breach(file, at, &format!("{} characters wide", line.chars().count())));
        }
        if line.ends_with([' ', '\t']) {
            breaches.push(breach(file, at, "blanks at the end of the line"));
        }
    }
    breaches
}

#[test]
fn files_and_lines_are_short_and_end() {
    none(&all(size));
}

fn unfinished(file: &File) -> Vec<Breach> {
    if !file.is_rust() {
        return Vec::new();
    }
    let found = |code: &str| UNFINISHED.into_iter().find(|word| code.replace(' ', "").contains(word));
    let lines = file.code.lines().enumerate();
    lines.filter_map(|(at, code)| found(code).map(|word| breach(file, at, word))).collect()
}

#[test]
fn nothing_is_left_unfinished() {
    none(&all(unfinished));
}

/// What names the machine that a text was written on.
fn machine(file: &File) -> Vec<Breach> {
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!(".libra", "ry")];
    let mut breaches = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        if let Some(place) = places.iter().find(|place| line.contains(**place)) {
            breaches.push(breach(file, at, &format!("a place on somebody's machine: {place}")));
        }
        for scheme in ["http://", "https://"] {
            for rest in line.split(scheme).skip(1) {
                let host = rest.split(|end: char| !(end.is_ascii_alphanumeric() || ".-:".contains(end))).next();
                let host = host.unwrap_or_default().trim_end_matches('.');
                if !HOSTS.contains(&host) && !host.is_empty() {
                    breaches.push(breach(file, at, &format!("a host that is not known here: {host}")));
                }
            }
        }
    }
    breaches
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    none(&all(machine));
}

/// A test that is another one each time must say how one run of it is replayed. One with a seed of its own always is
/// the same; proptest keeps what it found.
fn replayable(file: &File) -> Vec<Breach> {
    let Some(tests) = file.tests_from() else { return Vec::new() };
    let by_chance = |(code, text): &(&str, &str)| {
        CHANCE.iter().any(|word| code.contains(word)) || (text.contains("env::var") && text.contains("SEED\""))
    };
    let mut lines = file.code.lines().zip(file.text.lines()).skip(tests);
    match lines.position(|line| by_chance(&line)) {
        Some(at) if !file.text.to_lowercase().contains("replay") => {
            vec![breach(file, tests + at, "a random test that does not say how it is replayed")]
        }
        _ => Vec::new(),
    }
}

#[test]
fn every_random_test_says_how_it_is_replayed() {
    none(&all(replayable));
}

#[test]
fn every_citation_of_the_spec_names_a_heading_that_exists() {
    let files = files();
    let headings = citations::headings(&files);
    assert!(headings.len() >= 4, "the documents in spec are gone");
    let cited: Vec<_> = files.iter().flat_map(citations::of).collect();
    assert!(cited.len() >= 20, "only {} citations: are they still looked for?", cited.len());
    none(&cited.iter().filter_map(|citation| citation.breach(&headings)).collect::<Vec<_>>());
}

/// Each rule finds what it is for, so that none of them can pass because it has gone blind.
#[test]
fn the_rules_can_see() {
    let at = |path: &str, text: &str| File::new(path.to_owned(), text.to_owned());
    let rust = |text: &str| at("src/wire/sample.rs", text);
    let hit = |breaches: Vec<Breach>, line: usize| {
        assert!(breaches.iter().any(|breach| breach.contains(&format!(":{line}: "))), "line {line}: {breaches:?}");
    };
    let clean = |breaches: Vec<Breach>| assert_eq!(breaches, Vec::<Breach>::new());

    hit(size(&rust(&"\n".repeat(FILE_LINES_MAX + 1))), FILE_LINES_MAX + 1);
    clean(size(&rust(&"\n".repeat(FILE_LINES_MAX))));
    hit(size(&rust(&format!("\n{}\n", "x".repeat(LINE_WIDTH_MAX + 1)))), 2);
    clean(size(&rust(&format!("\n{}\n", "x".repeat(LINE_WIDTH_MAX)))));
    hit(size(&rust("a")), 1);
    hit(size(&rust("a \n")), 1);

    for word in UNFINISHED {
        hit(unfinished(&rust(&format!("\n{word}\n"))), 2);
        clean(unfinished(&rust(&format!("// {word}\nlet _ = \"{word}\"; /* {word}\n {word} */\n"))));
    }
    hit(machine(&rust(concat!("// /wo", "rk/x\n"))), 1);
    hit(machine(&rust(concat!("// https:", "//10.0.0.1:3141/index\n"))), 1);
    clean(machine(&rust("// https://docs.rs/udpair.\n")));

    let test = |body: &str| rust(&format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{body}\n}}\n"));
    hit(replayable(&test("let seed = rand::random();")), 4);
    hit(replayable(&test("let seed = std::env::var(\"SEED\");")), 4);
    clean(replayable(&test("let seed = rand::random(); // replay with SEED=1")));
    clean(replayable(&test("StdRng::seed_from_u64(1)")));
    clean(replayable(&rust("let seed = rand::random();\n")));
    hit(replayable(&at("tests/a.rs", "rand::rng()\n")), 1);

    for (line, text) in [
        (1, "use crate::message::Messages;\n"),
        (2, "use crate::{\n    time, message::Messages};\n"),
        (2, "\nuse super::super::proto::Endpoint;\n"),
        (1, "mod tests { use super::super::super::network::World; }\n"),
        (1, "fn f() -> crate::Connection {}\n"),
        (1, "use crate::nowhere::At;\n"),
        (1, "use crate::node::Channels;\n"),
    ] {
        hit(floors::paths_upward(&rust(text)), line);
    }
    clean(floors::paths_upward(&rust("use crate::time::Timestamp; // crate::proto\nuse super::codec::{Reader};\n")));
    clean(floors::paths_upward(&at("src/proto/a/b.rs", "use super::super::rtt::Rtt; use crate::{wire, message};\n")));

    for text in ["std::thread::spawn", "Instant::now()", "HashMap<u8, u8>", "static mut X", "rand::rng()", "UdpSocket"]
    {
        hit(floors::outside_world(&rust(&format!("\n{text}\n"))), 2);
        clean(floors::outside_world(&at("src/transport/a.rs", &format!("{text}\n"))));
        hit(floors::outside_world(&at("src/node/a.rs", &format!("{text}\n"))), 1);
    }
    clean(floors::outside_world(&rust("use std::net::SocketAddr; // HashMap\n")));

    let spec = at("spec/wire.md", "# Wire\n\n## Frames\n");
    let headings = citations::headings(&[spec]);
    let breaches = |text: &str| citations::of(&rust(text)).iter().filter_map(|cited| cited.breach(&headings)).collect();
    clean(breaches("//! `spec/wire.md`, section \"Frames\".\n"));
    hit(breaches("\n//! As `spec/wire.md`,\n//! section \"Fames\" says.\n"), 2);
    hit(breaches("/// spec/nothing.md\n"), 1);
}
