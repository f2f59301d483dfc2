//! Lengths of time, as people type them: `30s`, `5m`, `12h`, `7d`.

use starling_proto::time::Span;

const EXPECTED: &str = "write a whole number and s, m, h or d, such as 30s or 7d";

/// A length of time above zero, as the parser wants it.
pub(crate) fn parse(text: &str) -> Result<Span, String> {
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(EXPECTED)?;
    let unit_s: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(EXPECTED.to_owned()),
    };
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(EXPECTED.to_owned());
    }
    match number.parse::<u64>().map(|number| number.checked_mul(unit_s)) {
        Ok(Some(0)) => Err("it must be longer than that".to_owned()),
        Ok(Some(seconds)) => Ok(Span::from_secs(seconds)),
        Ok(None) => Err("it is too long".to_owned()),
        Err(_) if number.is_empty() => Err(EXPECTED.to_owned()),
        Err(_) => Err("it is too long".to_owned()),
    }
}

/// In the largest unit in which it is a whole number.
pub(crate) fn text(span: Span) -> String {
    let seconds = span.as_secs();
    for (unit, unit_s) in [("d", 86_400), ("h", 3600), ("m", 60)] {
        if seconds > 0 && seconds.is_multiple_of(unit_s) {
            return format!("{}{unit}", seconds.div_euclid(unit_s));
        }
    }
    format!("{seconds}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_round_trip() {
        for (written, seconds) in [("1s", 1), ("90s", 90), ("5m", 300), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(parse(written), Ok(Span::from_secs(seconds)));
            assert_eq!(text(Span::from_secs(seconds)), written);
        }
        assert_eq!(text(Span::from_secs(3600)), "1h");
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for written in ["", "s", "7", "d7", "-1s", "+1s", "1.5h", "7 d", "7w", "7é", "0s", "00d"] {
            assert!(parse(written).is_err(), "{written}");
        }
        for long in ["99999999999999999999s", "999999999999999999d"] {
            assert_eq!(parse(long).unwrap_err(), "it is too long");
        }
    }
}
