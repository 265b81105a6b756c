//! What the user named on the command line, looked at before anybody is met: who mistypes a name should know before
//! somebody else types a code.

use std::path::PathBuf;

use super::message::Totals;
use super::outcome::{Notice, What};
use super::tree::{Entry, Tree};
use crate::cli::exit::{Exit, Failure, complain};
use crate::cli::peer::is_code;

/// Complains of the `paths` that cannot be sent, and ends the run where that is all of them.
pub(crate) fn look_at(paths: &[PathBuf]) -> Result<(), Failure> {
    let mut totals = Totals::default();
    for path in paths {
        let Some(Notice { name, what: What::Failed(reason, text) }) = unsendable(path.clone()) else { continue };
        if path.to_str().is_some_and(is_code) {
            return Err(Failure::new(Exit::Usage, "one of the paths is no file but a code, which goes behind --code"));
        }
        totals.fail(reason);
        complain(&format_args!("{name}: {text}"));
    }
    if totals.failed == paths.len() as u64 {
        return Err(Failure::new(totals.exit(), "there is nothing to send"));
    }
    Ok(())
}

/// Why nothing of `path` can be sent, if that shows at once.
fn unsendable(path: PathBuf) -> Option<Notice> {
    match Tree::new(vec![path]).next()? {
        Entry::Left(notice) => Some(notice),
        Entry::File { name, source, .. } => source.open().err().map(|error| Notice::of(name.to_string(), &error)),
        Entry::Begin { .. } | Entry::End { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_run_ends_where_nothing_is_left_to_send() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "").unwrap();
        fs::create_dir(at("empty")).unwrap();
        for good in [&["file"][..], &["empty"], &["missing", "file"], &["file", "missing", "missing, too"]] {
            assert_eq!(look_at(&good.iter().map(|name| at(name)).collect::<Vec<_>>()), Ok(()), "{good:?}");
        }
        assert_eq!(look_at(&[at("missing")]).unwrap_err().exit, Exit::SomeFailed);
        assert_eq!(look_at(&["/dev/null".into(), at("missing")]).unwrap_err().exit, Exit::SomeFailed);
    }

    #[test]
    fn a_code_among_the_paths_is_not_taken_for_a_file() {
        let failure = look_at(&["Cargo.toml".into(), "42-maple-otter".into()]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("--code") && !failure.message.contains("maple"), "{failure:?}");
    }
}
