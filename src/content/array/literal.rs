//! The few words of Python in which an NPY header is written. Nothing is evaluated: every token is one of a handful,
//! and what is read is bounded by the header's length.

/// Reads tokens off the front of a header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Literal<'a> {
    rest: &'a [u8],
}

/// The header is not written as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// An integer of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Integer {
    /// Its value.
    Value(u64),
    /// Written properly, and more than 64 bits hold.
    TooLarge,
}

impl<'a> Literal<'a> {
    pub(super) const fn new(header: &'a [u8]) -> Self {
        Self { rest: header }
    }

    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// The next sign, which is left where it is.
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.rest.first().copied()
    }

    /// Takes `sign` if it is the next.
    pub(super) fn takes(&mut self, sign: u8) -> bool {
        let found = self.peek() == Some(sign);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    /// Takes `sign`, which must be the next.
    pub(super) fn expect(&mut self, sign: u8) -> Result<(), Malformed> {
        if self.takes(sign) { Ok(()) } else { Err(Malformed) }
    }

    /// A string in either quotes, without escapes.
    pub(super) fn string(&mut self) -> Result<&'a str, Malformed> {
        let quote = self.peek().filter(|sign| matches!(sign, b'\'' | b'"')).ok_or(Malformed)?;
        let inner = &self.rest[1..];
        let len = inner.iter().position(|byte| *byte == quote).ok_or(Malformed)?;
        let (text, rest) = (&inner[..len], &inner[len + 1..]);
        if text.iter().any(|byte| !(0x20..0x7f).contains(byte) || *byte == b'\\') {
            return Err(Malformed);
        }
        self.rest = rest;
        core::str::from_utf8(text).map_err(|_| Malformed)
    }

    /// `True` or `False`.
    pub(super) fn truth(&mut self) -> Result<bool, Malformed> {
        self.skip_blanks();
        for (word, value) in [(b"True".as_slice(), true), (b"False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                let ends = !rest.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
                self.rest = rest;
                return if ends { Ok(value) } else { Err(Malformed) };
            }
        }
        Err(Malformed)
    }

    /// Digits, without sign and leading zeros; an `L` behind them is passed over.
    fn integer(&mut self) -> Result<Integer, Malformed> {
        self.skip_blanks();
        let len = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(len);
        if digits.is_empty() || (digits[0] == b'0' && len > 1) {
            return Err(Malformed);
        }
        self.rest = rest.strip_prefix(b"L").unwrap_or(rest);
        let value =
            digits.iter().try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        Ok(value.map_or(Integer::TooLarge, Integer::Value))
    }

    /// A tuple of integers, `()`, `(3,)` or `(3, 4)`, each given to `each`, which says whether to go on.
    pub(super) fn tuple<E: From<Malformed>>(
        &mut self,
        mut each: impl FnMut(Integer) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'(')?;
        if self.takes(b')') {
            return Ok(());
        }
        each(self.integer()?)?;
        // A single one in parentheses is no tuple without its comma.
        self.expect(b',')?;
        while !self.takes(b')') {
            each(self.integer()?)?;
            if !self.takes(b',') {
                return Ok(self.expect(b')')?);
            }
        }
        Ok(())
    }

    /// True when nothing but blanks is left.
    pub(super) fn is_over(&mut self) -> bool {
        self.peek().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(text: &str) -> Result<Vec<Integer>, Malformed> {
        let mut literal = Literal::new(text.as_bytes());
        let mut items = Vec::new();
        literal.tuple(|item| {
            items.push(item);
            Ok::<_, Malformed>(())
        })?;
        if literal.is_over() { Ok(items) } else { Err(Malformed) }
    }

    #[test]
    fn tuples_as_python_writes_them() {
        let values = |values: &[u64]| Ok(values.iter().copied().map(Integer::Value).collect::<Vec<_>>());
        for (text, items) in [
            ("()", &[][..]),
            (" ( ) ", &[]),
            ("(3,)", &[3]),
            ("(3L,)", &[3]),
            ("(3, 4)", &[3, 4]),
            ("(\n3 ,\t4 , )\r", &[3, 4]),
            ("(0,18446744073709551615)", &[0, u64::MAX]),
        ] {
            assert_eq!(tuple(text), values(items), "{text}");
        }
        assert_eq!(tuple("(18446744073709551616,)"), Ok(vec![Integer::TooLarge]));
        for text in [
            "", "(", ")", "(,)", "(3", "(3)", "(3,", "(3,,)", "(3 4)", "(3,4", "(-3,)", "(+3,)", "(03,)", "(3_0,)",
            "(3.,)", "(0x3,)", "(L,)", "(3LL,)", "[3,]", "(3,))", "3,", "((3,),)",
        ] {
            assert_eq!(tuple(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn words_and_strings() {
        assert_eq!(Literal::new(b" True").truth(), Ok(true));
        assert_eq!(Literal::new(b"False,").truth(), Ok(false));
        for text in ["", "true", "Tru", "Trueish", "False_", "1", "'True'"] {
            assert_eq!(Literal::new(text.as_bytes()).truth(), Err(Malformed), "{text}");
        }
        assert_eq!(Literal::new(b" 'a\"b' ").string(), Ok("a\"b"));
        assert_eq!(Literal::new(b"\"it's\"").string(), Ok("it's"));
        assert_eq!(Literal::new(b"''").string(), Ok(""));
        for text in [&b"'"[..], b"'a", b"a'", b"'a\"", b"'\\''", b"'\xc3\xa9'", b"'\n'", b"u'a'", b""] {
            assert_eq!(Literal::new(text).string(), Err(Malformed), "{text:?}");
        }
    }
}
