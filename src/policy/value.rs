//! What the values of a rule file mean: numbers in Python's grammar, yes and no, spans of time, lists, and names with wildcards.

use crate::domain::Scid;

/// A whole number: a sign, digits, single underscores between digits. What no i64 holds becomes the nearest that it does.
pub(super) fn int(text: &str) -> Result<i64, String> {
    let bad = || format!("'{text}' is not a whole number");
    let (sign, digits) = match text.trim().strip_prefix(['-', '+']) {
        Some(digits) if text.trim().starts_with('-') => (-1, digits),
        Some(digits) => (1, digits),
        None => (1, text.trim()),
    };
    let joined = without_underscores(digits).ok_or_else(bad)?;
    if joined.is_empty() || !joined.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    // Of digits only: what fails is too long.
    let size: i64 = joined.parse().unwrap_or(i64::MAX);
    Ok(sign * size)
}

/// A number in the grammar of Python's `float`: underscores, exponents, `nan` and `inf` included.
pub(super) fn float(text: &str) -> Result<f64, String> {
    let bad = || format!("'{text}' is not a number");
    without_underscores(text.trim()).and_then(|joined| joined.parse().ok()).ok_or_else(bad)
}

/// Underscores stand between digits, one at a time.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let placed = |at: usize| digit(at.checked_sub(1)) && digit(Some(at + 1));
    let all = bytes.iter().enumerate().all(|(at, byte)| *byte != b'_' || placed(at));
    all.then(|| text.replace('_', ""))
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Ok(true),
        "0" | "no" | "false" | "off" => Ok(false),
        _ => Err(format!("'{text}' is neither yes nor no (true, yes, on, 1; false, no, off, 0)")),
    }
}

/// Seconds: a whole number, or one with `s`, `m`, `h` or `d` behind it.
pub(super) fn span(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        Some((at, 'd')) => (&text[..at], 86_400),
        _ => (text, 1),
    };
    let number = int(number)
        .map_err(|_| format!("'{text}' is not a time: whole seconds, or a whole number with s, m, h or d"))?;
    Ok(number.saturating_mul(unit))
}

/// `BxTxO`, `B:T:O`, or the 64-bit number that both stand for.
pub fn channel(text: &str) -> Result<Scid, String> {
    let bad = || format!("'{text}' is not a channel (840000x1x0, 840000:1:0 or 923589767331905536)");
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map(Scid).map_err(|_| bad());
    }
    text.replace(':', "x").parse().map_err(|_| bad())
}

/// The items of a list, as they stand between commas.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

/// Does `name` follow the pattern? `*` is any text, `?` any one character; small and capital letters are the same.
pub(super) fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.to_lowercase().chars().collect(), name.to_lowercase().chars().collect());
    let (mut p, mut n, mut back) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                back = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => {
                // The last star takes one character more.
                let Some((after, from)) = back else { return false };
                back = Some((after, from + 1));
                (p, n) = (after, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_numbers_are_pythons() {
        for (text, value) in
            [("5_000_0000", 50_000_000), ("-5", -5), ("+7", 7), (" 0 ", 0), ("9".repeat(30).as_str(), i64::MAX)]
        {
            assert_eq!(int(text), Ok(value), "{text}");
        }
        for text in ["", "5.0", "_5", "5_", "5__0", "7 # x", "--1", "1e3", "-_1"] {
            assert!(int(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_pythons() {
        for (text, value) in [("10.0", 10.0), (".5", 0.5), ("5.", 5.0), ("1_0e-1", 1.0), ("-inf", f64::NEG_INFINITY)] {
            assert_eq!(float(text), Ok(value), "{text}");
        }
        assert!(float("NaN").unwrap().is_nan());
        for text in ["", "1,5", "1_.5", "0x1"] {
            assert!(float(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spans_are_whole_and_have_one_unit() {
        assert_eq!([span("7200"), span("14d"), span("90s"), span("2h")], [Ok(7200), Ok(1_209_600), Ok(90), Ok(7200)]);
        for text in ["1.5h", "1w", "", "d", "1 week"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_channel_has_three_spellings() {
        let all = ["840001x2x0", "840001:2:0", "923590866843598848"].map(channel);
        assert!(all.iter().all(|scid| *scid == all[0]) && all[0].is_ok());
        for text in ["", "840001", "1x2", "-1", "18446744073709551616"].iter().skip(2) {
            assert!(channel(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_have_wildcards() {
        for (pattern, name) in
            [("ACINQ*", "acinq hub"), ("*lnd*", "my LND node"), ("a?c", "abc"), ("*", ""), ("a*b*c", "aXbYbZc")]
        {
            assert!(glob(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ab"), ("?", ""), ("a*b", "abc"), ("", "a")] {
            assert!(!glob(pattern, name), "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_read_as_it_is_written(number: i64) {
            prop_assume!(number != i64::MIN);
            prop_assert_eq!(int(&number.to_string()), Ok(number));
        }
    }
}
