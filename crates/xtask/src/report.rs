//! Figures, printed as a table for people or one JSON line each.

use serde::Serialize;

/// One measured figure and what it is compared with.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: String,
    /// What it is compared with: a peer's name and version, or `required`.
    pub peer: String,
    /// The peer's value from the same run, or the requirement.
    pub peer_value: Option<f64>,
    /// value / peer_value.
    pub ratio: Option<f64>,
    /// Whether a requirement holds; none where there is only an aim.
    pub holds: Option<bool>,
}

impl Figure {
    /// A figure that must be at least `bound`.
    pub fn at_least(name: &str, value: f64, unit: &str, bound: f64) -> Self {
        Self::required(name, value, unit, bound, value >= bound)
    }

    /// A figure that must be under `bound`.
    pub fn under(name: &str, value: f64, unit: &str, bound: f64) -> Self {
        Self::required(name, value, unit, bound, value < bound)
    }

    /// A figure without a requirement.
    pub fn plain(name: &str, value: f64, unit: &str) -> Self {
        Self {
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
            peer: "-".to_owned(),
            peer_value: None,
            ratio: None,
            holds: None,
        }
    }

    fn required(name: &str, value: f64, unit: &str, bound: f64, holds: bool) -> Self {
        Self {
            peer: "required".to_owned(),
            peer_value: Some(bound),
            ratio: (bound != 0.0).then(|| value / bound),
            holds: Some(holds),
            ..Self::plain(name, value, unit)
        }
    }
}

/// Prints the figures; returns how many requirements do not hold.
pub fn print(figures: &[Figure], json: bool) -> usize {
    for figure in figures {
        if json {
            println!("{}", serde_json::to_string(figure).unwrap_or_default());
            continue;
        }
        let verdict = match figure.holds {
            Some(true) => "holds",
            Some(false) => "DOES NOT HOLD",
            None => "",
        };
        println!(
            "{:<58} {:>14} {:<10} {:>10} {:>12} {:>8} {verdict}",
            figure.name,
            number(figure.value),
            figure.unit,
            figure.peer,
            figure.peer_value.map(number).unwrap_or_default(),
            figure.ratio.map(|r| format!("{r:.2}x")).unwrap_or_default(),
        );
    }
    figures.iter().filter(|f| f.holds == Some(false)).count()
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
