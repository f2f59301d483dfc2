//! Plots, as SVG that needs nothing from outside.

use std::error::Error;

use plotters::prelude::*;

const SIZE: (u32, u32) = (640, 400);
const FONT: &str = "sans-serif";
const COLOURS: [RGBColor; 5] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 90, 20),
    RGBColor(44, 140, 60),
    RGBColor(140, 80, 170),
    RGBColor(90, 90, 90),
];
/// Places at which a law is drawn.
const STEPS: u32 = 64;

/// A measure over the size of the network.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    /// Nodes and measure.
    pub(super) points: Vec<(f64, f64)>,
    /// The law through the points, if one is known.
    pub(super) law: Option<Box<dyn Fn(f64) -> f64>>,
}

/// Draws lines over the number of nodes; both axes are logarithmic. Points that are not above zero have no place there
/// and are left out. `None` if nothing is left.
pub(super) fn draw(title: &str, unit: &str, lines: &[Line<'_>]) -> Result<Option<String>, Box<dyn Error>> {
    let shown = |line: &Line<'_>| line.points.iter().copied().filter(|&(x, y)| x > 0.0 && y > 0.0).collect();
    let points: Vec<Vec<(f64, f64)>> = lines.iter().map(shown).collect();
    let all = || points.iter().flatten();
    if all().next().is_none() {
        return Ok(None);
    }
    let (left, right) = range(all().map(|point| point.0));
    let (low, high) = decades(all().map(|point| point.1));
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut builder = ChartBuilder::on(&area);
        builder.caption(title, (FONT, 18)).margin(14).x_label_area_size(42).y_label_area_size(76);
        let mut chart = builder.build_cartesian_2d((left..right).log_scale(), (low..high).log_scale())?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("nodes").y_desc(unit).label_style((FONT, 12)).light_line_style(TRANSPARENT);
        mesh.x_label_formatter(&|nodes| format!("{nodes}"))
            .y_label_formatter(&|measure| format!("{measure}"))
            .draw()?;
        for ((line, points), colour) in lines.iter().zip(&points).zip(COLOURS) {
            let marks = points.iter().map(|&point| Circle::new(point, 4, colour.filled()));
            let mark = move |(x, y): (i32, i32)| Circle::new((x.saturating_add(9), y), 4, colour.filled());
            chart.draw_series(marks)?.label(line.name).legend(mark);
            let drawn = match &line.law {
                Some(law) => curve(law, left, right),
                None => points.clone(),
            };
            chart.draw_series(LineSeries::new(drawn, &colour))?;
        }
        let mut legend = chart.configure_series_labels();
        legend.background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).label_font((FONT, 12));
        legend.position(SeriesLabelPosition::UpperLeft).draw()?;
        area.present()?;
    }
    Ok(Some(svg))
}

/// Draws shares, in percent, over a share of attackers, in percent. `None` without points.
pub(super) fn draw_shares(
    title: &str,
    unit: &str,
    lines: &[Line<'_>],
) -> Result<Option<String>, Box<dyn Error>> {
    draw_plain(title, (unit, "% found"), (60.0, 105.0), lines)
}

/// Draws a measure over days, from zero. `None` without points.
pub(super) fn draw_days(
    title: &str,
    unit: &str,
    lines: &[Line<'_>],
) -> Result<Option<String>, Box<dyn Error>> {
    let most = |of: fn(&(f64, f64)) -> f64| {
        lines.iter().flat_map(|line| &line.points).map(of).fold(f64::MIN_POSITIVE, f64::max)
    };
    draw_plain(title, ("days", unit), (most(|point| point.0), most(|point| point.1) * 1.05), lines)
}

/// Both axes begin at zero and are linear.
fn draw_plain(
    title: &str,
    (x_unit, y_unit): (&str, &str),
    (right, top): (f64, f64),
    lines: &[Line<'_>],
) -> Result<Option<String>, Box<dyn Error>> {
    if lines.iter().all(|line| line.points.is_empty()) {
        return Ok(None);
    }
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut builder = ChartBuilder::on(&area);
        builder.caption(title, (FONT, 18)).margin(14).x_label_area_size(42).y_label_area_size(76);
        let mut chart = builder.build_cartesian_2d(0.0..right, 0.0..top)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(x_unit).y_desc(y_unit).label_style((FONT, 12)).light_line_style(TRANSPARENT).draw()?;
        for (line, colour) in lines.iter().zip(COLOURS.into_iter().cycle()) {
            let marks = line.points.iter().map(|&point| Circle::new(point, 4, colour.filled()));
            let mark = move |(x, y): (i32, i32)| Circle::new((x.saturating_add(9), y), 4, colour.filled());
            chart.draw_series(marks)?.label(line.name).legend(mark);
            chart.draw_series(LineSeries::new(line.points.clone(), &colour))?;
        }
        let mut legend = chart.configure_series_labels();
        legend.background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).label_font((FONT, 12));
        legend.position(SeriesLabelPosition::LowerLeft).draw()?;
        area.present()?;
    }
    Ok(Some(svg))
}

/// From half of the least to twice the most.
fn range(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = numbers.fold((f64::MAX, 0.0), |(low, high), n| (n.min(low), n.max(high)));
    (low / 2.0, high * 2.0)
}

/// From a power of ten to a power of ten: a logarithmic axis has its marks there.
fn decades(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = numbers.fold((f64::MAX, 0.0), |(low, high), n| (n.min(low), n.max(high)));
    let (low, high) = (low.log10().floor(), high.log10().ceil());
    (10_f64.powf(low), 10_f64.powf(high.max(low + 1.0)))
}

fn curve(law: &dyn Fn(f64) -> f64, left: f64, right: f64) -> Vec<(f64, f64)> {
    let ratio = (right / left).powf(1.0 / f64::from(STEPS));
    let places = (0..=STEPS).scan(left, |place, _| Some(std::mem::replace(place, *place * ratio)));
    places.map(|x| (x, law(x))).filter(|point| point.1 > 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_stands_for_itself() {
        let law: Box<dyn Fn(f64) -> f64> = Box::new(|n| 10.0 + n.ln());
        let line = Line { name: "lookups", points: vec![(10.0, 12.3), (100.0, 14.6)], law: Some(law) };
        let svg = draw("Requests", "requests", &[line]).unwrap().unwrap();
        assert!(svg.starts_with("<svg ") && svg.contains("lookups") && svg.contains("<polyline"));
        assert!(!svg.contains("href"), "nothing from outside");
    }

    #[test]
    fn shares_stand_for_themselves() {
        let line = Line { name: "starling", points: vec![(10.0, 100.0), (50.0, 99.1)], law: None };
        let svg = draw_shares("Found", "% of nodes collude", &[line]).unwrap().unwrap();
        assert!(svg.contains("starling") && svg.contains("<polyline") && !svg.contains("href"));
        assert!(draw_shares("Found", "%", &[]).unwrap().is_none());
    }

    #[test]
    fn without_points_there_is_no_plot() {
        let line = Line { name: "memory", points: vec![(10.0, 0.0)], law: None };
        assert!(draw("Memory", "bytes", &[line]).unwrap().is_none());
    }
}
