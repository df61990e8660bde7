//! A chart of ratios as SVG: one bar for each row and peer, from "as fast" to how much faster or slower ours is.
//!
//! The scale is logarithmic, since ratios are: twice as fast is as far from the middle as half as fast.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

/// Ours to a peer's, in one row.
pub(crate) struct Bar {
    pub(crate) row: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) ratio: f64,
}

/// Where the bars begin and end, and how high each is with the space below it, in pixels.
const LEFT: f64 = 370.0;
const RIGHT: f64 = 700.0;
const STEP: f64 = 24.0;
/// Above the first bar: the heading and the axis. Left and right of everything: nothing.
const TOP: f64 = 64.0;
const MARGIN: f64 = 16.0;
/// Room for the ratio's text behind the longest bar.
const WIDTH: f64 = 764.0;

/// Plain colours that stand out from both backgrounds.
const STYLE: &str = "\
    text { font: 12px system-ui, sans-serif; fill: #1f2328 }
    .back { fill: #ffffff } .grid { stroke: #d1d9e0 } .even { stroke: #59636e; stroke-width: 2 }
    .heading { font-weight: 600; font-size: 14px } .peer, .axis { fill: #59636e }
    .faster { fill: #1a7f5a } .slower { fill: #bc4c00 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc } .back { fill: #0d1117 } .grid { stroke: #3d444d } .even { stroke: #9198a1 }
      .peer, .axis { fill: #9198a1 } .faster { fill: #3fb98a } .slower { fill: #f0883e }
    }";

/// Writes the chart to a file.
pub(crate) fn write(file: &Path, heading: &str, bars: &[Bar]) -> io::Result<()> {
    fs::write(file, svg(heading, bars))
}

/// Returns the chart as text.
fn svg(heading: &str, bars: &[Bar]) -> String {
    let scale = Scale::of(bars);
    let bottom = TOP + STEP * bars.len() as f64;
    let height = bottom + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\">\n<title>{0}</title>\n<style>\n{STYLE}\n</style>\n\
         <rect class=\"back\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"heading\" x=\"{MARGIN}\" y=\"26\">{0}</text>\n",
        escaped(heading)
    );
    for decade in scale.least..=scale.most {
        let (x, class) = (scale.x(10_f64.powi(decade)), if decade == 0 { "even" } else { "grid" });
        let label = if decade == 0 { "as fast".to_owned() } else { format!("{}", 10_f64.powi(decade)) };
        line(&mut svg, class, x, bottom);
        push(
            &mut svg,
            &format!("<text class=\"axis\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", TOP - 14.0),
        );
    }
    for (index, bar) in bars.iter().enumerate() {
        bar_at(&mut svg, &scale, TOP + STEP * index as f64, bar);
    }
    svg.push_str("</svg>\n");
    svg
}

/// From the power of ten below all ratios to the one above; at least a decade each way.
struct Scale {
    least: i32,
    most: i32,
}

impl Scale {
    fn of(bars: &[Bar]) -> Self {
        let exponents = || bars.iter().map(|bar| bar.ratio.log10());
        let least = exponents().fold(-1.0, f64::min).floor();
        let most = exponents().fold(1.0, f64::max).ceil();
        Self { least: least as i32, most: most as i32 }
    }

    fn x(&self, ratio: f64) -> f64 {
        let part = (ratio.log10() - f64::from(self.least)) / f64::from(self.most - self.least);
        LEFT + part * (RIGHT - LEFT)
    }
}

fn bar_at(svg: &mut String, scale: &Scale, y: f64, bar: &Bar) {
    let (even, end) = (scale.x(1.0), scale.x(bar.ratio));
    let class = if bar.ratio <= 1.0 { "faster" } else { "slower" };
    let (x, width) = (even.min(end), (even - end).abs().max(1.0));
    let text = y + 15.0;
    push(
        svg,
        &format!(
            "<text x=\"{MARGIN}\" y=\"{text}\">{} <tspan class=\"peer\">{}</tspan></text>",
            escaped(bar.row),
            escaped(bar.peer)
        ),
    );
    push(svg, &format!("<rect class=\"{class}\" x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"16\"/>", y + 3.0));
    let number = if bar.ratio < 0.01 { format!("{:.3}", bar.ratio) } else { format!("{:.2}", bar.ratio) };
    push(svg, &format!("<text x=\"{:.1}\" y=\"{text}\">{number}</text>", even.max(end) + 6.0));
}

fn line(svg: &mut String, class: &str, x: f64, bottom: f64) {
    let top = TOP - 8.0;
    push(svg, &format!("<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/>"));
}

fn push(svg: &mut String, element: &str) {
    writeln!(svg, "{element}").expect("a string takes all that is written to it");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{Bar, LEFT, RIGHT, Scale, svg};

    const BARS: [Bar; 3] = [
        Bar { row: "round_trip", peer: "CPython <Pool>", ratio: 0.005 },
        Bar { row: "nested", peer: "rayon & scope", ratio: 1.0 },
        Bar { row: "submits", peer: "our thread pool", ratio: 2.5 },
    ];

    /// The values of an attribute of the elements that begin as given.
    fn values(chart: &str, begin: &str, attribute: &str) -> Vec<f64> {
        let elements = chart.lines().filter(|line| line.starts_with(begin));
        let value = |line: &str| line.split(&format!(" {attribute}=\"")).nth(1)?.split('"').next()?.parse().ok();
        elements.filter_map(value).collect()
    }

    #[test]
    fn bars_go_from_as_fast_to_the_ratio() {
        let chart = svg("Ratios", &BARS);
        let scale = Scale { least: -3, most: 1 };
        let [even, fast, slow] = [1.0, 0.005, 2.5].map(|ratio| scale.x(ratio));
        assert!((even - (LEFT + 0.75 * (RIGHT - LEFT))).abs() < 0.1);
        let close = |found: Vec<f64>, wanted: &[f64]| {
            assert_eq!(found.len(), wanted.len());
            assert!(
                found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 0.1),
                "{found:?} {wanted:?}"
            );
        };
        close(values(&chart, "<rect class=\"faster\"", "x"), &[fast, even]);
        close(values(&chart, "<rect class=\"faster\"", "width"), &[even - fast, 1.0]);
        close(values(&chart, "<rect class=\"slower\"", "x"), &[even]);
        close(values(&chart, "<rect class=\"slower\"", "width"), &[slow - even]);
        close(values(&chart, "<line class=\"even\"", "x1"), &[even]);
        for number in [">0.005<", ">1.00<", ">2.50<", ">as fast<", ">0.001<", ">10<"] {
            assert!(chart.contains(number), "{number}");
        }
    }

    #[test]
    fn each_bar_has_a_line_of_its_own_inside_the_picture() {
        let chart = svg("Ratios", &BARS);
        let places = values(&chart, "<text x=\"16\"", "y");
        assert_eq!(places.len(), BARS.len());
        assert!(places.is_sorted_by(|above, below| below - above >= 16.0), "{places:?}");
        let height = values(&chart, "<svg", "height")[0];
        assert!(places.iter().all(|place| *place < height), "{places:?} {height}");
    }

    #[test]
    fn names_are_text_and_every_element_ends() {
        let chart = svg("Ours < theirs", &BARS);
        for name in ["CPython &lt;Pool&gt;", "rayon &amp; scope", "<title>Ours &lt; theirs</title>"] {
            assert!(chart.contains(name), "{name}");
        }
        let (opened, closed) =
            (chart.matches('<').count(), chart.matches("/>").count() + 2 * chart.matches("</").count());
        assert_eq!(opened, closed, "{chart}");
    }

    #[test]
    fn it_is_legible_on_a_dark_page() {
        let chart = svg("Ratios", &BARS);
        let dark = chart.split("prefers-color-scheme: dark").nth(1).expect("colours for a dark page");
        for class in ["text", ".back", ".grid", ".even", ".peer", ".axis", ".faster", ".slower"] {
            assert!(dark.split("</style>").next().is_some_and(|style| style.contains(class)), "{class}");
        }
    }
}
