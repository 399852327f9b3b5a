//! Lines over the number of ports, as SVG.

use std::error::Error;

use anyhow::{Result, anyhow};
use plotters::prelude::{
    BLACK, ChartBuilder, Circle, IntoDrawingArea as _, IntoLogRange as _, LineSeries, PathElement, RGBColor,
    SVGBackend, SeriesLabelPosition, WHITE,
};
use plotters::style::Color as _;

const SIZE: (u32, u32) = (760, 400);
/// Told apart by people who see colours differently, too (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// A line; x is a number of ports, at least 1.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// A plot with a logarithmic axis of ports from 1 to 10,000 and a linear one from 0.
pub fn plot(title: &str, unit: &str, series: &[Series]) -> Result<String> {
    let mut svg = String::new();
    draw(&mut svg, title, unit, series).map_err(|error| anyhow!("drawing {title:?}: {error}"))?;
    Ok(svg)
}

fn draw(svg: &mut String, title: &str, unit: &str, series: &[Series]) -> Result<(), Box<dyn Error>> {
    let highest = series.iter().flat_map(|line| &line.points).map(|(_, y)| *y).fold(1.0, f64::max);
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((1.0..10_000.0).log_scale(), 0.0..highest * 1.1)?;
    chart
        .configure_mesh()
        .x_desc("ports deleted at once")
        .y_desc(unit)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .draw()?;
    for (line, colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let mark = move |(x, y)| Circle::new((x, y), 3, colour.filled());
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(2)))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(line.points.iter().copied().map(mark))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_names_its_lines() {
        let series = [Series { name: "one account".to_owned(), points: vec![(1.0, 9.0), (10_000.0, 1.1)] }];
        let svg = plot("Calls", "calls per port", &series).expect("it can be drawn");
        for text in ["<svg", "one account", "calls per port", "</svg>"] {
            assert!(svg.contains(text), "{text} is missing from\n{svg}");
        }
    }

    #[test]
    fn a_plot_of_nothing_is_a_plot() {
        assert!(plot("Calls", "calls per port", &[]).expect("it can be drawn").contains("<svg"));
    }
}
