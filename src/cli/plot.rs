//! One channel over time as SVG text: fee beside the oracle's, balance, revenue. Draws what it is given.

use std::fmt::Write as _;

use crate::sim::law::Law;
use crate::sim::play::Frame;

const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 200.0;
const MARGIN: f64 = 50.0;

/// Three panels, one below the other.
pub(super) fn svg(title: &str, frames: &[Frame], law: &Law) -> String {
    let fee: Vec<f64> = frames.iter().map(|frame| f64::from(frame.ppm)).collect();
    let oracle: Vec<f64> = frames.iter().map(|frame| f64::from(law.at(frame.at, frame.local_share))).collect();
    let balance: Vec<f64> = frames.iter().map(|frame| frame.local_share * 100.0).collect();
    let earned: Vec<f64> = frames.iter().map(|frame| frame.earned as f64 / 1000.0).collect();
    let (width, height) = (WIDTH + 2.0 * MARGIN, 3.0 * (HEIGHT + MARGIN) + MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"22\" font-size=\"16\">{title}, {} days</text>\n",
        frames.len() / 24
    );
    panel(&mut text, 0, "fee, ppm (grey: the oracle's)", &[(&oracle, "#999999"), (&fee, "#1f77b4")]);
    panel(&mut text, 1, "local balance, %", &[(&balance, "#2ca02c")]);
    panel(&mut text, 2, "earned, sat", &[(&earned, "#d62728")]);
    text + "</svg>\n"
}

fn panel(text: &mut String, number: u32, name: &str, lines: &[(&Vec<f64>, &str)]) {
    let top = MARGIN + f64::from(number) * (HEIGHT + MARGIN);
    let most = lines.iter().flat_map(|(values, _)| values.iter()).copied().fold(1.0, f64::max);
    let written = writeln!(
        text,
        "<rect x=\"{MARGIN}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"none\" stroke=\"#cccccc\"/>\n\
         <text x=\"{MARGIN}\" y=\"{:.0}\">{name}; top: {most:.0}</text>",
        top - 6.0
    );
    written.expect("a text takes what is written");
    for (values, colour) in lines {
        let step = WIDTH / (values.len().max(2) - 1) as f64;
        let point = |(place, value): (usize, &f64)| {
            format!("{:.1},{:.1}", MARGIN + place as f64 * step, top + HEIGHT * (1.0 - value / most))
        };
        let points: Vec<String> = values.iter().enumerate().map(point).collect();
        *text += &format!("<polyline fill=\"none\" stroke=\"{colour}\" points=\"{}\"/>\n", points.join(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Time;

    #[test]
    fn a_drawing_has_a_line_for_each_thing_told() {
        let frame = |hour: i64| Frame { at: Time(hour * 3_600_000), ppm: 200, local_share: 0.5, earned: 1_000 };
        let drawing = svg("a rule", &(0..48).map(frame).collect::<Vec<_>>(), &Law::fixed(Time(0), 100.0));
        assert_eq!(drawing.matches("<polyline").count(), 4);
        assert!(drawing.contains("a rule, 2 days") && drawing.ends_with("</svg>\n") && !drawing.contains("NaN"));
    }
}
