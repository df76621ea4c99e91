//! The table: what hits, what could not be told, what is excused, and the answer at the end.

use super::{Row, Software, Standing, version};
use crate::terminal::{Options, paint, style};
use crate::text::{clean, counted, shape};
use anstyle::{AnsiColor, Style};
use bartizan_model::Severity;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

/// Rows of what could not be read that are shown.
const UNREAD: usize = 50;

/// Lays it out for a terminal.
pub fn table(software: &Software, options: &Options) -> String {
    let page = Page {
        options: Options {
            width: options.width.max(60),
            ..*options
        },
    };
    page.whole(software)
}

struct Page {
    options: Options,
}

impl Page {
    fn whole(&self, software: &Software) -> String {
        let of = |wanted: fn(&Standing) -> bool| -> Vec<&Row> {
            let rows = software.rows.iter();
            rows.filter(|row| wanted(&row.standing)).collect()
        };
        let hits = of(|s| *s == Standing::Affected);
        let unsure = of(|s| matches!(s, Standing::Unknown { .. }));
        let excused = of(|s| matches!(s, Standing::Excused { .. }));
        let kind = clean(&software.kind.to_lowercase());
        let name = self.paint(Style::new().bold(), &clean(&software.name));
        let mut out = format!("{name}  {kind}  {}\n", clean(&software.generator));
        if !hits.is_empty() {
            let rows = hits.iter().map(|row| self.hit(row)).collect();
            self.grid(
                &mut out,
                [
                    "Severity",
                    "Vulnerability",
                    "Package",
                    "Installed",
                    "Fixed in",
                    "Why",
                ],
                rows,
            );
        }
        self.section(
            &mut out,
            Style::new()
                .bold()
                .fg_color(Some(AnsiColor::Magenta.into())),
            &format!("? UNKNOWN {}  not judged, which is no pass", unsure.len()),
            &unsure,
            |standing| match standing {
                Standing::Unknown { why } => clean(why),
                Standing::Affected | Standing::Excused { .. } => String::new(),
            },
        );
        self.section(
            &mut out,
            Style::new().bold(),
            &format!(
                "- EXCUSED {}  affected, and said not to matter",
                excused.len()
            ),
            &excused,
            |standing| match standing {
                Standing::Excused { by, why } => format!("{} (said by {})", clean(why), clean(by)),
                Standing::Affected | Standing::Unknown { .. } => String::new(),
            },
        );
        let unread = &software.unread;
        if !unread.is_empty() {
            let head = format!("? NOT READ {}  whatever is in it is unknown", unread.len());
            self.head(&mut out, Style::new().bold(), &head);
            for one in unread.iter().take(UNREAD) {
                out.push_str(&format!("  {}\n", clean(one)));
            }
            if unread.len() > UNREAD {
                out.push_str(&format!("  … and {} more\n", unread.len() - UNREAD));
            }
        }
        self.summary(&mut out, software, &hits, unsure.len(), excused.len());
        out
    }

    fn hit(&self, row: &Row) -> [String; 6] {
        let word = format!("{} {}", shape(row.severity), row.severity.word());
        let mut why = clean(&row.urgency);
        let reasons: Vec<String> = row.reasons.iter().take(4).map(|r| clean(r)).collect();
        if !reasons.is_empty() {
            why = format!("{why}: {}", reasons.join("; "));
        }
        let title = clean(&row.title);
        if !title.is_empty() {
            why = format!("{why}. {title}");
        }
        [
            word,
            clean(&row.vulnerability),
            clean(&row.component.name()),
            version(&row.component),
            row.fixed.as_deref().map_or("no fix known".into(), clean),
            why,
        ]
    }

    fn grid(&self, out: &mut String, head: [&str; 6], rows: Vec<[String; 6]>) {
        let all = rows.len();
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(self.options.width)
            .set_header(head);
        let most = |percent| ColumnConstraint::UpperBoundary(Width::Percentage(percent));
        table.set_constraints([
            ColumnConstraint::ContentWidth,
            most(18),
            most(20),
            most(14),
            most(14),
            most(40),
        ]);
        for row in rows.into_iter().take(self.options.max_rows) {
            table.add_row(row);
        }
        out.push('\n');
        for line in table.to_string().lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        if all > self.options.max_rows {
            let more = counted(all - self.options.max_rows, "more row", "more rows");
            out.push_str(&format!("… and {more}\n"));
        }
    }

    fn section(
        &self,
        out: &mut String,
        style: Style,
        head: &str,
        rows: &[&Row],
        why: fn(&Standing) -> String,
    ) {
        if rows.is_empty() {
            return;
        }
        self.head(out, style, head);
        for row in rows.iter().take(self.options.max_rows) {
            out.push_str(&format!(
                "  {}  {} {}  {}\n",
                clean(&row.vulnerability),
                clean(&row.component.name()),
                version(&row.component),
                why(&row.standing)
            ));
        }
        if rows.len() > self.options.max_rows {
            let more = counted(rows.len() - self.options.max_rows, "more row", "more rows");
            out.push_str(&format!("  … and {more}\n"));
        }
    }

    fn summary(
        &self,
        out: &mut String,
        software: &Software,
        hits: &[&Row],
        unsure: usize,
        excused: usize,
    ) {
        self.head(out, Style::new().bold(), "SUMMARY");
        let counts: Vec<String> = Severity::ALL
            .into_iter()
            .map(|severity| {
                let n = hits.iter().filter(|row| row.severity == severity).count();
                let words = format!("{} {} {n}", shape(severity), severity.word());
                let style = match n {
                    0 => Style::new().dimmed(),
                    _ => style(severity),
                };
                self.paint(style, &words)
            })
            .collect();
        out.push_str(&counts.join("   "));
        let fixable = hits.iter().filter(|row| row.fixed.is_some()).count();
        out.push_str(&format!(
            "\n{}: affected {} ({fixable} with a fix), unknown {unsure}, excused {excused}, \
             not read {}\n",
            counted(software.packages, "package", "packages"),
            hits.len(),
            software.unread.len()
        ));
    }

    fn head(&self, out: &mut String, style: Style, text: &str) {
        out.push_str(&format!("\n{}\n", self.paint(style, text)));
    }

    fn paint(&self, style: Style, text: &str) -> String {
        paint(self.options.colour, style, text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{row, software, three};
    use super::*;
    use crate::HOSTILE;

    #[test]
    fn every_standing_is_told_and_the_end_counts() {
        let mut three = three();
        three.unread = vec!["/x.jar: broken".into()];
        let out = table(
            &three,
            &Options {
                width: 160,
                ..Options::default()
            },
        );
        for part in [
            "▲ high",
            "CVE-2024-0001",
            "1.0.1",
            "Act now: it is exploited; CVSS 7.5. A hole",
            "? UNKNOWN 1",
            "b latest  no order",
            "- EXCUSED 1",
            "not reached (said by Example)",
            "/x.jar: broken",
            "3 packages: affected 1 (1 with a fix), unknown 1, excused 1, not read 1",
        ] {
            assert!(out.contains(part), "{part}: {out}");
        }
        assert!(table(&software(vec![]), &Options::default()).contains("0 packages: affected 0"));
    }

    #[test]
    fn hostile_text_controls_nothing() {
        let standing = Standing::Excused {
            by: HOSTILE.into(),
            why: HOSTILE.into(),
        };
        let mut rows = vec![
            row("pkg:npm/a@1.0.0", "npm", Standing::Affected),
            row("pkg:npm/a@1.0.0", "npm", standing),
        ];
        for row in &mut rows {
            row.vulnerability = HOSTILE.into();
            row.title = HOSTILE.into();
            row.fixed = Some(HOSTILE.into());
            row.reasons = vec![HOSTILE.into()];
        }
        let mut software = software(rows);
        software.name = HOSTILE.into();
        software.unread = vec![HOSTILE.into()];
        let out = table(&software, &Options::default());
        assert!(!out.contains('\u{1b}') && !out.contains('\u{202e}') && !out.contains('\u{7}'));
    }
}
