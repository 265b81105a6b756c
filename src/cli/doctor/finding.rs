//! One line of what was found.

use std::fmt;

/// How good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grade {
    Good,
    /// It works, and could work better; or it is worth knowing.
    Fair,
    Bad,
}

/// What was found, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    grade: Grade,
    subject: String,
    text: String,
    remedy: Option<String>,
}

impl Finding {
    /// As it should be.
    pub(super) fn good(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { grade: Grade::Good, subject: subject.into(), text: text.into(), remedy: None }
    }

    /// Good enough.
    pub(super) fn fair(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { grade: Grade::Fair, ..Self::good(subject, text) }
    }

    /// Not good enough.
    pub(super) fn bad(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self { grade: Grade::Bad, ..Self::good(subject, text) }
    }

    /// What to do about it.
    pub(super) fn mend(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub(super) fn is_bad(&self) -> bool {
        self.grade == Grade::Bad
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grade = match self.grade {
            Grade::Good => "ok",
            Grade::Fair => "note",
            Grade::Bad => "FAIL",
        };
        write!(f, "{grade:<5} {:<16} {}", self.subject, self.text)?;
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(f, " -> {remedy}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_grade_its_subject_and_its_remedy() {
        assert_eq!(Finding::good("AES", "in hardware").to_string(), "ok    AES              in hardware");
        let fair = Finding::fair("descriptors", "256").mend("ulimit -n 4096");
        assert_eq!(fair.to_string(), "note  descriptors      256 -> ulimit -n 4096");
        let bad = Finding::bad("pairing", "would not work");
        assert!(bad.is_bad() && !fair.is_bad());
        assert_eq!(bad.to_string(), "FAIL  pairing          would not work");
    }
}
