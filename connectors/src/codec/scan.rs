//! A text as far as it is JSON: which value stands at which path, and where it stops being JSON.
//!
//! `serde_json` says at which column an object goes wrong, but not in which field; this says which,
//! and gives every value as it was typed. It knows the grammar and no meanings: numbers of any
//! size, halves of surrogate pairs and keys that occur twice pass, as they do in `serde_json` when
//! it skips a value (a property test compares the two).
//!
//! **Cost** one pass without recursion, and a copy of the path of every value down to
//! [`MAX_DEPTH`]. Only what has been refused is scanned.

use std::ops::Range;

use super::shorten;

/// How many containers a value lies in, at most, to be kept: `tiers[1].price` lies in three.
const MAX_DEPTH: usize = 3;

/// Why a text is no JSON: it is over before it is complete.
pub(super) const ENDS: &str = "it ends too early";
const NO_VALUE: &str = "no value is written like this";
const MISSING: &str = "a value is missing";
const NO_NUMBER: &str = "no number is written like this";
const NO_KEY: &str = "a key in quotes is missing";
const NO_COLON: &str = "a colon is missing after a key";
const NO_COMMA: &str = "a comma or the end of a list is missing";
const NO_BRACE: &str = "a comma or the end of an object is missing";
const NO_ESCAPE: &str = "no character is escaped like this";
const CONTROL: &str = "a control character is not escaped";
const TRAILING: &str = "something follows the object";

/// What a scan has found.
pub(super) struct Scan<'a> {
    text: &'a str,
    /// How far it has come.
    at: usize,
    /// The path of the innermost value that is not complete, names shortened.
    path: String,
    /// Where that value starts.
    start: usize,
    /// The field of the outermost object that is read, or was read last, and its start.
    outer: (String, usize),
    /// Complete values with their paths, inner ones before the outer one.
    values: Vec<(String, Range<usize>)>,
    /// Why the text is no JSON, if it is not.
    stop: Option<&'static str>,
}

/// A list or an object that is not complete.
struct Open {
    start: usize,
    /// The length of its path.
    path: usize,
    /// The place of the value that is read, from 0; none in an object.
    index: Option<usize>,
}

impl<'a> Scan<'a> {
    /// Scans the text to its end, or to where it stops being JSON.
    pub(super) fn new(text: &'a str) -> Self {
        let mut scan = Self {
            text,
            at: 0,
            path: String::new(),
            start: 0,
            outer: (String::new(), 0),
            values: Vec::new(),
            stop: None,
        };
        scan.stop = scan.run().err();
        scan
    }

    /// Why the text is no JSON; none if it is.
    pub(super) fn stop(&self) -> Option<&'static str> {
        self.stop
    }

    /// The path of the value in which the text stops being JSON; empty: in none of them.
    pub(super) fn stop_path(&self) -> &str {
        &self.path
    }

    /// The column at which it does, in bytes from 1.
    pub(super) fn stop_column(&self) -> usize {
        self.at + 1
    }

    /// What `text` (this one, or one that begins like it) holds there; none if nothing.
    pub(super) fn stop_value<'t>(&self, text: &'t str) -> Option<&'t str> {
        let rest = &text[self.start..];
        let length = match rest.bytes().next()? {
            b'{' | b'[' => rest.len(),
            b'"' => {
                let after = (self.at - self.start).clamp(1, rest.len());
                rest[after..].find('"').map_or(rest.len(), |quote| after + quote + 1)
            }
            _ => rest.find([',', '}', ']', ' ', '\t', '\r', '\n']).unwrap_or(rest.len()),
        };
        Some(&rest[..length]).filter(|value| !value.is_empty())
    }

    /// The value at a path such as `tiers[1].price`, as typed; of two the later.
    pub(super) fn value(&self, path: &str) -> Option<&'a str> {
        let found = self.values.iter().rev().find(|value| value.0 == path)?;
        Some(&self.text[found.1.clone()])
    }

    /// The text at a path; none if something else stands there.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        serde_json::from_str(self.value(path)?).ok()
    }

    /// The field of the outermost object that takes up more than half of the text.
    pub(super) fn longest(&self) -> Option<(&str, &'a str)> {
        // The outermost of the complete ones comes last; or it is the one in which the text ends.
        let complete = self.values.iter().map(|(path, span)| (path, span.clone())).rev();
        let last =
            Some((&self.outer.0, self.outer.1..self.text.len())).filter(|_| !self.path.is_empty());
        let (path, span) = last
            .into_iter()
            .chain(complete)
            .find(|(path, span)| span.len() > self.text.len() / 2 && !path.is_empty())?;
        Some((path, &self.text[span]))
    }

    fn run(&mut self) -> Result<(), &'static str> {
        let mut open: Vec<Open> = Vec::new();
        'value: loop {
            self.skip_blanks();
            self.start = self.at;
            if open.len() == 1 {
                self.outer = (self.path.clone(), self.start);
            }
            match self.peek()? {
                opening @ (b'{' | b'[') => {
                    self.at += 1;
                    self.skip_blanks();
                    if self.peek()? == opening + 2 {
                        self.at += 1;
                    } else {
                        let index = (opening == b'[').then_some(0);
                        open.push(Open { start: self.start, path: self.path.len(), index });
                        self.step(index)?;
                        continue 'value;
                    }
                }
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                b',' | b':' | b'}' | b']' => return Err(MISSING),
                _ => return Err(NO_VALUE),
            }
            // A value is complete, and with it perhaps what it lies in.
            loop {
                if open.len() <= MAX_DEPTH {
                    self.values.push((self.path.clone(), self.start..self.at));
                }
                let Some(holder) = open.last_mut() else { return self.end() };
                self.path.truncate(holder.path);
                self.start = holder.start;
                self.skip_blanks();
                match (self.peek()?, &mut holder.index) {
                    (b',', index) => {
                        self.at += 1;
                        *index = index.map(|n| n + 1);
                        let index = *index;
                        self.step(index)?;
                        continue 'value;
                    }
                    (b'}', None) | (b']', Some(_)) => {
                        self.at += 1;
                        open.pop();
                    }
                    (_, None) => return Err(NO_BRACE),
                    (_, Some(_)) => return Err(NO_COMMA),
                }
            }
        }
    }

    /// Goes on to the value of that place in a list, or to the next key's in an object.
    fn step(&mut self, index: Option<usize>) -> Result<(), &'static str> {
        if let Some(index) = index {
            self.path.push_str(&format!("[{index}]"));
            return Ok(());
        }
        self.skip_blanks();
        if self.peek()? != b'"' {
            return Err(NO_KEY);
        }
        let from = self.at;
        self.string()?;
        let typed = &self.text[from..self.at];
        let name: String = serde_json::from_str(typed).unwrap_or_else(|_| typed.to_owned());
        self.skip_blanks();
        let colon = self.peek().map(|byte| byte == b':');
        // A text in an inner object that no colon follows may be anything; a field's name is known.
        if colon == Ok(true) || self.path.is_empty() {
            extend(&mut self.path, &name);
            self.start = self.at;
        }
        if !colon? {
            return Err(NO_COLON);
        }
        self.at += 1;
        Ok(())
    }

    /// The next byte.
    fn peek(&self) -> Result<u8, &'static str> {
        self.text.as_bytes().get(self.at).copied().ok_or(ENDS)
    }

    /// Whether the next byte is one of these; if so it is taken.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let taken = self.peek().is_ok_and(|byte| bytes.contains(&byte));
        self.at += usize::from(taken);
        taken
    }

    fn skip_blanks(&mut self) {
        while self.take(b" \t\r\n") {}
    }

    fn string(&mut self) -> Result<(), &'static str> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    self.at += 1;
                    let digits = if self.peek()? == b'u' { 4 } else { 0 };
                    if !self.take(br#""\/bfnrtu"#) {
                        return Err(NO_ESCAPE);
                    }
                    for _ in 0..digits {
                        if !self.peek()?.is_ascii_hexdigit() {
                            return Err(NO_ESCAPE);
                        }
                        self.at += 1;
                    }
                }
                0..0x20 => return Err(CONTROL),
                _ => self.at += 1,
            }
        }
    }

    fn number(&mut self) -> Result<(), &'static str> {
        self.take(b"-");
        let mut good = self.take(b"0") || self.digits();
        if self.take(b".") {
            good &= self.digits();
        }
        if self.take(b"eE") {
            self.take(b"+-");
            good &= self.digits();
        }
        if good { self.end_of_word(NO_NUMBER) } else { Err(NO_NUMBER) }
    }

    /// Takes digits; whether there was one.
    fn digits(&mut self) -> bool {
        let from = self.at;
        while self.take(b"0123456789") {}
        self.at > from
    }

    fn word(&mut self, word: &str) -> Result<(), &'static str> {
        if !self.text[self.start..].starts_with(word) {
            return Err(NO_VALUE);
        }
        self.at += word.len();
        self.end_of_word(NO_VALUE)
    }

    /// A word or number that goes on is blamed on its own field, not on the object around it.
    fn end_of_word(&mut self, reason: &'static str) -> Result<(), &'static str> {
        match self.peek() {
            Ok(b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') | Err(_) => Ok(()),
            Ok(_) => Err(reason),
        }
    }

    /// Nothing may follow.
    fn end(&mut self) -> Result<(), &'static str> {
        self.skip_blanks();
        if self.at < self.text.len() { Err(TRAILING) } else { Ok(()) }
    }
}

/// Appends a name to a path.
pub(super) fn extend(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(&shorten(name));
}
