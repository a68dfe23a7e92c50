//! RFC 3339 instants, read strictly: what the wire's grammar does not allow is no instant.

use dataflows::market::{Invalid, Time};

/// An instant as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instant {
    /// Nanoseconds since 1970.
    pub(super) nanos: i128,
    /// Seconds east of Greenwich that the text shows.
    pub(super) offset_s: i32,
}

impl Instant {
    /// Reads `text` of that field.
    ///
    /// # Errors
    /// When it is not RFC 3339 with an offset.
    pub(super) fn read(field: &str, text: &str) -> Result<Self, Invalid> {
        let refuse = || Invalid::new(field, text, "a time is rfc 3339 with an offset");
        let offset_s = shape(text.as_bytes()).ok_or_else(refuse)?;
        let instant: jiff::Timestamp = text.parse().map_err(|_| refuse())?;
        Ok(Self { nanos: instant.as_nanosecond(), offset_s })
    }

    /// Reads an instant between 2000 and 2100, in milliseconds.
    ///
    /// # Errors
    /// When it is no instant, or out of that range.
    pub(super) fn time(field: &str, text: &str) -> Result<Time, Invalid> {
        Time::from_nanos(field, Self::read(field, text)?.nanos)
    }
}

/// The offset in seconds, if the bytes are `dddd-dd-ddTdd:dd:dd[.d+](Z|+dd:dd|-dd:dd)`.
fn shape(text: &[u8]) -> Option<i32> {
    let (date, mut rest) = text.split_at_checked(19)?;
    let fits = date.iter().enumerate().all(|(n, &b)| match n {
        4 | 7 => b == b'-',
        10 => matches!(b, b'T' | b't'),
        13 | 16 => b == b':',
        _ => b.is_ascii_digit(),
    });
    if let [b'.', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        rest = &fraction[digits..];
    }
    let offset_s = match *rest {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), a, b, b':', c, d] => {
            let digit = |b: u8| b.is_ascii_digit().then(|| (b - b'0') as i32);
            let (hours, minutes) = (digit(a)? * 10 + digit(b)?, digit(c)? * 10 + digit(d)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3600 + minutes * 60) * if sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    fits.then_some(offset_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rfc_3339_is_an_instant() {
        let offset = |text: &str| Instant::read("at", text).map(|i| (i.nanos, i.offset_s)).ok();
        assert_eq!(offset("1970-01-01T00:00:01Z"), Some((1_000_000_000, 0)));
        assert_eq!(offset("1970-01-01T03:00:00.5+03:00"), Some((500_000_000, 10_800)));
        for bad in [
            "1970-01-01",
            "1970-01-01T00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00+3",
            "1970-01-01T00:00:00+03:00[Europe/Istanbul]",
            "1970-13-01T00:00:00Z",
            "1970-01-01T00:00:00.Z",
            "",
        ] {
            assert_eq!(offset(bad), None, "{bad}");
        }
    }
}
