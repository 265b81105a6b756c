//! The codes by which a connection ends, the same in all protocols of the tool: `spec/files.md` and `spec/pipe.md`,
//! section "Ending early".

/// All is said.
pub(crate) const DONE: u32 = 0;
/// The user or the system stopped it.
pub(crate) const INTERRUPTED: u32 = 1;
/// The other side broke the protocol.
pub(crate) const VIOLATION: u32 = 2;
/// The version is not spoken.
pub(crate) const VERSION: u32 = 3;
/// A reason of its own: the disk, an input that cannot be read, an output that cannot be written.
pub(crate) const FAILED: u32 = 4;
/// Nothing came for too long. Of the file protocol alone.
pub(crate) const SILENT: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes that the section "Ending early" of `spec` lists, by name.
    fn listed(spec: &str) -> Vec<(u32, &str)> {
        let (_, section) = spec.split_once("## Ending early").unwrap();
        let section = section.split("\n## ").next().unwrap();
        section
            .lines()
            .filter_map(|line| {
                let mut words = line.strip_prefix("    ")?.split_whitespace();
                Some((words.next()?.parse().ok()?, words.next()?))
            })
            .collect()
    }

    #[test]
    fn both_specs_name_the_same_codes() {
        let all = [
            (DONE, "DONE"),
            (INTERRUPTED, "INTERRUPTED"),
            (VIOLATION, "VIOLATION"),
            (VERSION, "VERSION"),
            (FAILED, "FAILED"),
            (SILENT, "SILENT"),
        ];
        assert_eq!(listed(include_str!("../../spec/files.md")), all);
        assert_eq!(listed(include_str!("../../spec/pipe.md")), all[..5], "a pipe may be silent");
    }
}
