//! Citations of the documents in `spec`, and the headings that they name.

use std::collections::{BTreeMap, BTreeSet};

use super::source::File;
use super::{Breach, breach};

/// The headings of each document.
pub(crate) type Headings = BTreeMap<String, BTreeSet<String>>;

/// A mention of a document.
#[derive(Debug)]
pub(crate) struct Citation<'a> {
    file: &'a File,
    line: usize,
    document: String,
    sections: Vec<String>,
}

/// The headings of all documents.
pub(crate) fn headings(files: &[File]) -> Headings {
    let documents = files.iter().filter(|file| file.path.starts_with("spec/") && file.path.ends_with(".md"));
    documents
        .map(|file| {
            let headings = file.text.lines().filter(|line| line.starts_with('#'));
            let headings = headings.map(|line| line.trim_start_matches('#').trim().to_owned()).collect();
            (file.path["spec/".len()..].to_owned(), headings)
        })
        .collect()
}

/// All citations in a file: `spec/wire.md` in code and texts, wire.md also among the documents themselves.
pub(crate) fn of(file: &File) -> Vec<Citation<'_>> {
    let among_documents = file.path.starts_with("spec/") && !file.path.ends_with(".txt");
    let is_text = file.path.ends_with(".md") || file.path.ends_with(".txt");
    if !(file.is_rust() || is_text) || file.path.starts_with("tests/tidy") {
        return Vec::new();
    }
    let text = joined(file);
    let mut citations = Vec::new();
    for (at, _) in text.match_indices(".md") {
        let name_from = text[..at].rfind(|c: char| !(c.is_ascii_lowercase() || c == '/')).map_or(0, |from| from + 1);
        let name = &text[name_from..at];
        let Some(document) = name.strip_prefix("spec/").or(among_documents.then_some(name)) else { continue };
        if document.is_empty() {
            continue;
        }
        citations.push(Citation {
            file,
            line: text[..name_from].matches('\u{1}').count(),
            document: format!("{document}.md"),
            sections: sections(&text[at + 3..]),
        });
    }
    citations
}

/// The text in one line: marks of comments taken out, ends of lines marked.
fn joined(file: &File) -> String {
    let mut text = String::with_capacity(file.text.len());
    for line in file.text.lines() {
        let line = line.trim();
        let line = ["//!", "///", "//", "#"].iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line);
        text.push_str(line.trim());
        text.push_str(" \u{1}");
    }
    text
}

/// The headings named behind a document's name: `, section "A"`, `, "A"`, `, sections "A" and "B"`.
fn sections(behind: &str) -> Vec<String> {
    let behind: String = behind.chars().take(300).filter(|c| *c != '\u{1}').collect();
    let Some(mut rest) = behind.trim_start_matches('`').strip_prefix(',') else { return Vec::new() };
    let mut sections = Vec::new();
    loop {
        rest = rest.trim_start();
        for word in ["sections", "section", "and"] {
            rest = rest.strip_prefix(word).unwrap_or(rest).trim_start();
        }
        let Some((section, more)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"')) else { break };
        sections.push(section.to_owned());
        rest = more.trim_start().strip_prefix(',').unwrap_or(more);
    }
    sections
}

impl Citation<'_> {
    /// What is wrong with it.
    pub(crate) fn breach(&self, headings: &Headings) -> Option<Breach> {
        let Some(known) = headings.get(&self.document) else {
            return Some(breach(self.file, self.line, &format!("spec has no {}", self.document)));
        };
        let missing = self.sections.iter().find(|section| !known.contains(*section))?;
        Some(breach(self.file, self.line, &format!("{} has no section \"{missing}\"", self.document)))
    }
}
