//! Numbers as a person likes to read them: grouped digits, sparklines, tables.

use comfy_table::{CellAlignment, Table, presets};

/// Eight heights of a bar.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One bar a value, the tallest for `top`.
pub(super) fn sparkline(values: &[f64], top: f64) -> String {
    values.iter().map(|value| BARS[height(*value, top)]).collect()
}

fn height(value: f64, top: f64) -> usize {
    if top <= 0.0 {
        return 0;
    }
    let share = (value / top).clamp(0.0, 1.0);
    (0..BARS.len()).rfind(|step| share * BARS.len() as f64 >= *step as f64 + 0.5).unwrap_or(0)
}

/// 1234567 -> "1,234,567".
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A table without lines inside; the columns of `right` hold numbers.
pub(super) fn table<const N: usize>(header: [&str; N], right: impl IntoIterator<Item = usize>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
    for column in right {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The same without a header.
pub(super) fn bare_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn the_tallest_bar_is_the_top() {
        assert_eq!(sparkline(&[0.0, 25.0, 50.0, 100.0], 100.0), "▁▂▄█");
        assert_eq!(sparkline(&[0.0, 0.0], 0.0), "▁▁");
    }
}
