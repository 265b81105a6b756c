//! A code as the user gives it: as an argument, or, so that it stands neither in `ps` nor in a shell's history, as a
//! line of standard input, which is asked for where that is a terminal.

use std::convert::Infallible;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::str::FromStr;

use udpair::pairing::{Code, CodeAt, CodeError};
use zeroize::Zeroizing;

use crate::cli::args::scope_as_number;
use crate::cli::exit::{Exit, Failure, complain};

/// What stands for a code that is to be asked for.
const ASK: &str = "-";
/// The longest line that may hold a code, in bytes.
const LINE_LEN_MAX: usize = 512;
/// How often a user is asked who mistypes.
const TRIES_MAX: usize = 5;

/// A code or a part of one, as it was typed. Never debugged, and erased when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Spoken(Zeroizing<String>);

impl fmt::Debug for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spoken(..)")
    }
}

impl From<String> for Spoken {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl FromStr for Spoken {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.to_owned().into())
    }
}

impl Spoken {
    /// What stands in several arguments, or `None` where that is nothing.
    pub(crate) fn of(parts: &[Self]) -> Option<Self> {
        let mut text = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.0.len() + 1).sum()));
        for part in parts {
            text.push_str(&part.0);
            text.push(' ');
        }
        Some(Self(text)).filter(|all| !all.as_str().is_empty())
    }

    /// As it was typed, without the blanks around it.
    pub(crate) fn as_str(&self) -> &str {
        self.0.trim()
    }

    /// It is to be asked for.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.as_str() == ASK
    }

    /// The code that was meant, found to be one before anything is sent; an interface after the @ as its number.
    pub(crate) fn checked(&self) -> Result<Self, Failure> {
        let numbered = Zeroizing::new(scope_as_number(self.as_str())?.into_owned());
        check(&numbered).map_err(|error| no_code(&error))?;
        Ok(Self(numbered))
    }

    /// It says where the other side is.
    pub(crate) fn has_address(&self) -> bool {
        self.0.contains('@')
    }
}

/// What was typed is no code; to whoever typed it, who may be told which word was meant.
pub(crate) fn no_code(error: &CodeError) -> Failure {
    let meant = match error {
        CodeError::Word(unknown) => unknown.suggestion(),
        _ => None,
    };
    let meant = meant.map_or_else(String::new, |word| format!("; is it \"{word}\"?"));
    Failure::new(Exit::Usage, format!("{error}{meant}"))
}

fn check(text: &str) -> Result<(), CodeError> {
    if text.contains('@') { text.parse::<CodeAt>().map(drop) } else { text.parse::<Code>().map(drop) }
}

/// True for what a user who forgot an option would have meant as a code.
pub(crate) fn is_code(text: &str) -> bool {
    check(text).is_ok()
}

/// Somebody sits where standard input comes from.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// Asks the user for a code, `take`s it, and asks again where that fails; where standard input is no terminal its first
/// line is the code, and the rest of it stays unread. Blocks.
pub(crate) fn ask<T>(take: impl FnMut(&Spoken) -> Result<T, Failure>) -> Result<T, Failure> {
    let failed = |error: io::Error| Failure::of_io("cannot read standard input", &error);
    let stdin = io::stdin();
    // Nothing but this line may be read of it: what follows is somebody else's.
    let mut line = File::from(stdin.as_fd().try_clone_to_owned().map_err(failed)?);
    ask_of(&mut line, stdin.is_terminal().then(io::stderr), take)
}

/// As [`ask`], of `input`; `user` is where somebody sits who can be asked.
fn ask_of<T>(
    input: &mut impl Read,
    mut user: Option<impl Write>,
    mut take: impl FnMut(&Spoken) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut tries_left = TRIES_MAX;
    loop {
        tries_left -= 1;
        if let Some(user) = &mut user {
            // Where nobody sees the question there is still the answer.
            let _ = write!(user, "code: ").and_then(|()| user.flush());
        }
        let Some(line) = line(input)? else {
            return Err(Failure::new(Exit::Usage, "standard input ended before there was a code"));
        };
        match take(&line) {
            Err(failure) if user.is_some() && tries_left > 0 && failure.exit == Exit::Usage => {
                complain(&failure.message);
            }
            taken => return taken,
        }
    }
}

/// The next line of `input`, and not a byte after it; `None` at the end.
fn line(input: &mut impl Read) -> Result<Option<Spoken>, Failure> {
    // It is erased as it is, so it must not move while it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LINE_LEN_MAX));
    loop {
        let mut byte = Zeroizing::new([0]);
        match input.read(&mut *byte) {
            Ok(0) if bytes.is_empty() => return Ok(None),
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if bytes.len() == LINE_LEN_MAX => {
                return Err(Failure::new(Exit::Usage, "the first line of standard input is too long for a code"));
            }
            Ok(_) => bytes.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::of_io("cannot read standard input", &error)),
        }
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| Failure::new(Exit::Usage, "what was typed is no text"))?;
    Ok(Some(text.to_owned().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(input: &mut &[u8], user: Option<&mut Vec<u8>>) -> Result<String, Failure> {
        ask_of(input, user, |typed| typed.checked().map(|code| code.as_str().to_owned()))
    }

    #[test]
    fn the_first_line_is_the_code_and_not_a_byte_more_is_read() {
        for (input, code, rest) in [
            ("42-maple-otter\ndata", "42-maple-otter", "data"),
            ("  42 maple otter \r\n\n", "42 maple otter", "\n"),
            ("42-maple-otter", "42-maple-otter", ""),
        ] {
            let mut left = input.as_bytes();
            assert_eq!(asked(&mut left, None).unwrap(), code);
            assert_eq!(left, rest.as_bytes());
        }
    }

    #[test]
    fn who_cannot_be_asked_again_is_told_what_is_wrong() {
        for input in ["", "\n", "42-mapel-otter\n42-maple-otter\n", "\u{0}", &"4".repeat(LINE_LEN_MAX + 1)] {
            assert_eq!(asked(&mut input.as_bytes(), None).unwrap_err().exit, Exit::Usage, "{input:?}");
        }
        assert_eq!(asked(&mut &b"\xff\n"[..], None).unwrap_err().exit, Exit::Usage);
        let full = format!("{:width$}\n", "42-maple-otter", width = LINE_LEN_MAX);
        assert_eq!(asked(&mut full.as_bytes(), None).unwrap(), "42-maple-otter");
    }

    #[test]
    fn a_user_is_asked_again_a_few_times() {
        let mut screen = Vec::new();
        let mut input = &b"42-mapel-otter\n\n42-maple-otter\nhello\n"[..];
        assert_eq!(asked(&mut input, Some(&mut screen)).unwrap(), "42-maple-otter");
        assert_eq!((screen.as_slice(), input), (&b"code: code: code: "[..], &b"hello\n"[..]));
        let mut screen = Vec::new();
        let always = "x\n".repeat(TRIES_MAX + 1);
        let mut input = always.as_bytes();
        assert_eq!(asked(&mut input, Some(&mut screen)).unwrap_err().exit, Exit::Usage);
        assert_eq!(input, b"x\n");
    }

    #[test]
    fn what_was_typed_is_not_debugged() {
        let parts = ["42", "maple-otter"].map(|part| part.parse::<Spoken>().unwrap());
        let all = Spoken::of(&parts).unwrap();
        assert_eq!(
            (all.as_str(), format!("{all:?} {parts:?}")),
            ("42 maple-otter", "Spoken(..) [Spoken(..), Spoken(..)]".to_owned())
        );
        assert_eq!((Spoken::of(&[]), Spoken::of(&[" ".parse().unwrap()])), (None, None));
    }

    #[test]
    fn an_interface_may_be_named_after_the_at_of_a_code() {
        let checked = |text: &str| text.parse::<Spoken>().unwrap().checked();
        let code = checked("42-maple-otter@[fe80::1%lo]:7000/tcp").unwrap();
        assert!(code.has_address() && !code.as_str().contains("%lo"));
        assert!(checked("42-maple-otter@[fe80::1%none-such]:7000").unwrap_err().message.contains("none-such"));
        assert_eq!(checked("42-maple").unwrap_err().exit, Exit::Usage);
        assert!(is_code("42-maple-otter") && is_code("42-maple-otter@host:7") && !is_code("Cargo.toml"));
    }
}
