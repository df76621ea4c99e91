//! Text to tokens.

/// A token and where it begins, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub kind: Kind,
    pub at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Int(u64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Name(String),
    /// Punctuation and operators.
    Sign(&'static str),
    End,
}

const SIGNS: [&str; 27] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ",", ".",
    "(", ")", "[", "]", "{", "}", "&", "|", "=",
];

/// All tokens, with [`Kind::End`] as the last.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut lexer = Lexer { text, at: 0 };
    let mut all = Vec::new();
    loop {
        lexer.skip();
        let at = lexer.at;
        let kind = lexer.token()?;
        let end = kind == Kind::End;
        all.push(Token { kind, at });
        if end {
            return Ok(all);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn skip(&mut self) {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{c}'));
            if !self.rest().starts_with("//") {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn token(&mut self) -> Result<Kind, String> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Kind::End);
        };
        if let Some(kind) = self.string()? {
            return Ok(kind);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
            return Ok(Kind::Name(name.to_owned()));
        }
        let second = rest.chars().nth(1);
        if first.is_ascii_digit() || (first == '.' && second.is_some_and(|c| c.is_ascii_digit())) {
            return self.number();
        }
        match SIGNS.iter().find(|s| rest.starts_with(**s)) {
            Some(&sign) if !matches!(sign, "&" | "|" | "=") => {
                self.at += sign.len();
                Ok(Kind::Sign(sign))
            }
            _ => Err(format!("unexpected {first:?}")),
        }
    }

    fn number(&mut self) -> Result<Kind, String> {
        let start = self.at;
        let rest = self.rest();
        if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
            let end = hex
                .find(|c: char| !c.is_ascii_hexdigit())
                .unwrap_or(hex.len());
            let digits = hex.get(..end).unwrap_or_default();
            self.at += 2 + end;
            let value = u64::from_str_radix(digits, 16).map_err(|_| "a number is too large")?;
            return Ok(self.integer(value));
        }
        self.take_while(|c| c.is_ascii_digit());
        let mut double = false;
        let rest = self.rest();
        if rest.starts_with('.') && rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) {
            double = true;
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
        }
        let rest = self.rest();
        if rest.starts_with(['e', 'E']) {
            let signed = rest.get(1..).unwrap_or_default();
            let digits = signed.strip_prefix(['+', '-']).unwrap_or(signed);
            if digits.starts_with(|c: char| c.is_ascii_digit()) {
                double = true;
                self.at += 1 + (signed.len() - digits.len());
                self.take_while(|c| c.is_ascii_digit());
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if double {
            let value: f64 = text.parse().map_err(|_| "a malformed number")?;
            return Ok(Kind::Double(value));
        }
        let value = text.parse().map_err(|_| "a number is too large")?;
        Ok(self.integer(value))
    }

    fn integer(&mut self, value: u64) -> Kind {
        if self.rest().starts_with(['u', 'U']) {
            self.at += 1;
            Kind::Uint(value)
        } else {
            Kind::Int(value)
        }
    }

    /// A string or bytes literal, if one begins here.
    fn string(&mut self) -> Result<Option<Kind>, String> {
        let rest = self.rest();
        let prefix = rest
            .find(|c: char| !matches!(c, 'r' | 'R' | 'b' | 'B'))
            .unwrap_or(rest.len());
        let letters = rest.get(..prefix).unwrap_or_default().to_ascii_lowercase();
        let (raw, bytes) = match letters.as_str() {
            "" => (false, false),
            "r" => (true, false),
            "b" => (false, true),
            "rb" | "br" => (true, true),
            _ => return Ok(None),
        };
        let body = rest.get(prefix..).unwrap_or_default();
        let Some(quote) = ["\"\"\"", "'''", "\"", "'"]
            .into_iter()
            .find(|q| body.starts_with(q))
        else {
            return Ok(None);
        };
        self.at += prefix + quote.len();
        let mut out = Vec::new();
        loop {
            let rest = self.rest();
            if rest.starts_with(quote) {
                self.at += quote.len();
                break;
            }
            let next = rest.chars().next().ok_or("a string without an end")?;
            if quote.len() == 1 && matches!(next, '\n' | '\r') {
                return Err("a string without an end".into());
            }
            self.at += next.len_utf8();
            if next == '\\' && !raw {
                self.escape(bytes, &mut out)?;
            } else {
                push(&mut out, next);
            }
        }
        if bytes {
            return Ok(Some(Kind::Bytes(out)));
        }
        let text = String::from_utf8(out).map_err(|_| "a string that is no text")?;
        Ok(Some(Kind::Text(text)))
    }

    fn escape(&mut self, bytes: bool, out: &mut Vec<u8>) -> Result<(), String> {
        const BAD: &str = "an unknown escape in a string";
        let letter = self.peek().ok_or(BAD)?;
        self.at += letter.len_utf8();
        let simple = match letter {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '\\' | '?' | '"' | '\'' | '`' => letter,
            'x' | 'X' => return self.code(16, 2, bytes, out),
            'u' if !bytes => return self.code(16, 4, bytes, out),
            'U' if !bytes => return self.code(16, 8, bytes, out),
            '0'..='3' => {
                self.at -= 1;
                return self.code(8, 3, bytes, out);
            }
            _ => return Err(BAD.into()),
        };
        push(out, simple);
        Ok(())
    }

    fn code(
        &mut self,
        radix: u32,
        digits: usize,
        bytes: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        const BAD: &str = "an unknown escape in a string";
        let text = self.rest().get(..digits).ok_or(BAD)?;
        if !text.chars().all(|c| c.is_digit(radix)) {
            return Err(BAD.into());
        }
        let value = u32::from_str_radix(text, radix).map_err(|_| BAD)?;
        self.at += digits;
        if bytes {
            out.push(u8::try_from(value).map_err(|_| BAD)?);
        } else {
            push(out, char::from_u32(value).ok_or(BAD)?);
        }
        Ok(())
    }
}

fn push(out: &mut Vec<u8>, c: char) {
    let mut buffer = [0; 4];
    out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
}
