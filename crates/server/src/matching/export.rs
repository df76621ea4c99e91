//! Matches in the words of tables and of other tools' formats.

use super::{Kept, results};
use bartizan_model::Component;
use bartizan_report::software::{Row, Standing};
use bartizan_vuln::matching;

/// One vulnerability of one component.
pub fn row(component: &Component, kept: &Kept) -> Row {
    let matched = &kept.matched;
    Row {
        component: component.clone(),
        vulnerability: matched.vulnerability.clone(),
        names: matched.names.clone(),
        title: kept.title.clone(),
        severity: kept.severity,
        score: kept.score.map(|s| s.0),
        fixed: matched.fixed.clone(),
        urgency: results::level(&kept.priority).to_owned(),
        reasons: kept.priority.reasons.clone(),
        references: kept.references.clone(),
        standing: match &matched.standing {
            matching::Standing::Affected => Standing::Affected,
            matching::Standing::Unknown { why } => Standing::Unknown { why: why.clone() },
            matching::Standing::Excused { by, why } => Standing::Excused {
                by: by.clone(),
                why: why.clone(),
            },
        },
    }
}

/// All that is said of components, the most urgent first.
pub fn rows(components: &[Component], kept: &[Vec<Kept>]) -> Vec<Row> {
    let mut all: Vec<(&Component, &Kept)> = components
        .iter()
        .zip(kept)
        .flat_map(|(component, kept)| kept.iter().map(move |one| (component, one)))
        .collect();
    all.sort_by(|(a, x), (b, y)| {
        y.priority
            .order()
            .cmp(&x.priority.order())
            .then_with(|| x.matched.vulnerability.cmp(&y.matched.vulnerability))
            .then_with(|| a.cmp(b))
    });
    all.into_iter().map(|(c, k)| row(c, k)).collect()
}
