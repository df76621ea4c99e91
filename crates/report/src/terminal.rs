//! A report for a terminal: findings by severity, what could not be told, what was left,
//! then scores and the summary, so that the end of the output holds the answer.

use crate::text::{self, clean, counted};
use crate::{FrameworkSection, Row, Snapshot, Subject, UnknownRow};
use anstyle::{AnsiColor, Style};
use bartizan_model::framework::Score;
use bartizan_model::{Asset, FindingStatus, Severity};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

/// How to lay it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether to colour. The caller knows of terminals and `NO_COLOR`.
    pub colour: bool,
    /// Columns; below 60 is taken as 60.
    pub width: u16,
    /// The most rows in each list; how many were left out is said.
    pub max_rows: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            colour: false,
            width: 100,
            max_rows: usize::MAX,
        }
    }
}

/// Renders a snapshot as text.
pub fn render(snapshot: &Snapshot, options: &Options) -> String {
    let mut page = Page {
        out: String::new(),
        colour: options.colour,
        width: options.width.max(60),
        max_rows: options.max_rows,
    };
    page.head(snapshot);
    for severity in Severity::ALL {
        page.severity(snapshot, severity);
    }
    page.unknown(snapshot);
    page.suppressed(snapshot);
    page.unused(snapshot);
    page.frameworks(&snapshot.frameworks);
    page.summary(snapshot);
    page.out
}

struct Page {
    out: String,
    colour: bool,
    width: u16,
    max_rows: usize,
}

impl Page {
    fn head(&mut self, snapshot: &Snapshot) {
        let scope = self.paint(Style::new().bold(), &clean(snapshot.scope.as_str()));
        let scanned = snapshot.scan.as_ref().map_or_else(
            || "never scanned".to_owned(),
            |scan| format!("scanned {}", text::minute(scan.finished)),
        );
        let by = clean(&snapshot.generator);
        self.line(&format!("{scope}  {scanned}  {by}"));
        for notice in &snapshot.notices {
            let mark = self.paint(colour(AnsiColor::Yellow), "!");
            self.line(&format!("{mark} {}", clean(notice)));
        }
    }

    fn severity(&mut self, snapshot: &Snapshot, severity: Severity) {
        let rows: Vec<&Row> = snapshot
            .failing
            .iter()
            .filter(|row| row.finding.severity == severity)
            .collect();
        if rows.is_empty() {
            return;
        }
        let head = format!(
            "{} {} {}",
            text::shape(severity),
            severity.word().to_uppercase(),
            rows.len()
        );
        self.section(style(severity), &head);
        let shown = rows.get(..self.max_rows).unwrap_or(&rows);
        for group in shown.chunk_by(|a, b| a.finding.check == b.finding.check) {
            let Some(of) = group.first().map(|row| &row.finding) else {
                continue;
            };
            let rule = self.paint(Style::new().bold(), &text::rule(&of.check));
            self.line(&format!("  {rule}  {}", clean(&of.title)));
            let is_plain = |row: &&Row| row.finding.locus.is_empty() && row.location.is_none();
            let of_one = snapshot.counts.assets == 1 && group.iter().all(is_plain);
            let cells = group.iter().map(|row| {
                let mut message = clean(&row.finding.message);
                if row.finding.status == FindingStatus::Reopened {
                    message = format!("(came back) {message}").trim_end().to_owned();
                }
                if of_one {
                    // The head names the one object that there is.
                    return [String::new(), String::new(), message];
                }
                [
                    object(&row.asset, &row.finding.locus),
                    row.location.as_ref().map_or(String::new(), text::place),
                    message,
                ]
            });
            match of_one {
                true => cells.for_each(|[_, _, message]| self.wrapped(&message)),
                false => self.rows(cells.collect()),
            }
        }
        self.left_out(rows.len());
    }

    /// A text under its rule, wrapped.
    fn wrapped(&mut self, text: &str) {
        const INDENT: &str = "    ";
        let width = usize::from(self.width).saturating_sub(INDENT.len());
        let mut line = String::new();
        let words = text.split_whitespace().flat_map(|word| {
            let chars: Vec<char> = word.chars().collect();
            let pieces = chars.chunks(width.max(1));
            pieces.map(String::from_iter).collect::<Vec<String>>()
        });
        for word in words {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                self.line(&format!("{INDENT}{line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        if !line.is_empty() {
            self.line(&format!("{INDENT}{line}"));
        }
    }

    fn unknown(&mut self, snapshot: &Snapshot) {
        let rows = &snapshot.unknown;
        if rows.is_empty() {
            return;
        }
        self.section(
            colour(AnsiColor::Magenta).bold(),
            &format!("? UNKNOWN {}  not judged, which is no pass", rows.len()),
        );
        let is_plain =
            |row: &UnknownRow| row.subject.locus.is_empty() && row.subject.location.is_none();
        if snapshot.counts.assets == 1 && rows.iter().all(is_plain) {
            self.unknown_of_one(rows);
            return;
        }
        let cells = rows.iter().take(self.max_rows).map(|row| {
            [
                text::rule(&row.subject.check),
                subject(&row.subject),
                clean(&row.why),
            ]
        });
        self.table(["Check", "Where", "Why"], cells.collect());
        self.left_out(rows.len());
    }

    /// Of one object many checks are unknown for one reason, which is said once.
    fn unknown_of_one(&mut self, rows: &[UnknownRow]) {
        let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
        for row in rows.iter().take(self.max_rows) {
            let rule = text::rule(&row.subject.check);
            match reasons.iter_mut().find(|(why, _)| *why == row.why) {
                Some((_, rules)) => rules.push(rule),
                None => reasons.push((&row.why, vec![rule])),
            }
        }
        for (why, rules) in reasons {
            self.line(&format!("  {}", clean(why)));
            self.wrapped(&rules.join(", "));
        }
        self.left_out(rows.len());
    }

    fn suppressed(&mut self, snapshot: &Snapshot) {
        let rows = &snapshot.suppressed;
        if rows.is_empty() {
            return;
        }
        self.section(
            Style::new().bold(),
            &format!(
                "- SUPPRESSED {}  known and left, which is no pass",
                rows.len()
            ),
        );
        let cells = rows.iter().take(self.max_rows).map(|row| {
            [
                text::rule(&row.finding.check),
                object(&row.asset, &row.finding.locus),
                reason(row),
            ]
        });
        self.table(["Check", "Where", "Reason"], cells.collect());
        self.left_out(rows.len());
    }

    fn unused(&mut self, snapshot: &Snapshot) {
        let rows = &snapshot.unused_suppressions;
        if rows.is_empty() {
            return;
        }
        self.section(
            colour(AnsiColor::Yellow).bold(),
            &format!(
                "! UNUSED SUPPRESSIONS {}  nothing needs them any more",
                rows.len()
            ),
        );
        let cells = rows.iter().take(self.max_rows).map(|row| {
            let mut what = clean(&row.what);
            if let Some(location) = &row.location {
                what.push('\n');
                what.push_str(&text::place(location));
            }
            [clean(&row.by), what, clean(&row.reason)]
        });
        self.table(["By", "What", "Reason"], cells.collect());
        self.left_out(rows.len());
    }

    fn frameworks(&mut self, sections: &[FrameworkSection]) {
        if sections.is_empty() {
            return;
        }
        self.section(Style::new().bold(), "FRAMEWORKS");
        let names: Vec<String> = sections.iter().map(|s| clean(&s.title)).collect();
        let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
        let column = longest.min(usize::from(self.width).saturating_sub(52).max(16));
        let mut untouched: Vec<&str> = Vec::new();
        for (section, name) in sections.iter().zip(&names) {
            let counts = &section.counts;
            if counts.passed + counts.failed + counts.accepted == 0 {
                untouched.push(name);
                continue;
            }
            let name = cut(name, column);
            let bar = self.bar(counts);
            self.line(&format!(
                "{name:column$}  {bar} {:>7}  coverage {:>5} %",
                format!("{} %", text::percent(counts.percent())),
                text::percent(counts.coverage()),
            ));
            self.line(&format!(
                "{:column$}  passed {}, failed {}, accepted {}, not assessed {}, manual {}, not applicable {}",
                "",
                counts.passed,
                counts.failed,
                counts.accepted,
                counts.not_assessed,
                counts.manual,
                counts.not_applicable
            ));
        }
        if !untouched.is_empty() {
            let names = untouched.join(", ");
            self.wrapped(&format!("nothing judged of: {names}"));
        }
    }

    fn summary(&mut self, snapshot: &Snapshot) {
        self.section(Style::new().bold(), "SUMMARY");
        let counts = &snapshot.counts;
        let severities: Vec<String> = snapshot
            .by_severity()
            .into_iter()
            .map(|(severity, n)| {
                let words = format!("{} {} {n}", text::shape(severity), severity.word());
                if n == 0 {
                    self.paint(Style::new().dimmed(), &words)
                } else {
                    self.paint(style(severity), &words)
                }
            })
            .collect();
        self.line(&severities.join("   "));
        self.line(&format!(
            "{}: pass {}, fail {} ({} suppressed), unknown {}, not applicable {}",
            counted(
                usize::try_from(counts.assets).unwrap_or(usize::MAX),
                "object",
                "objects"
            ),
            counts.pass,
            counts.fail,
            snapshot.suppressed.len(),
            counts.unknown,
            counts.not_applicable
        ));
    }

    /// Twenty cells: passed, failed, and what has no verdict.
    fn bar(&self, counts: &Score) -> String {
        const CELLS: u64 = 20;
        let judged = u64::from(counts.passed) + u64::from(counts.failed);
        let passed = (u64::from(counts.passed) * CELLS).checked_div(judged);
        let cells = |n: u64, c: &str| c.repeat(usize::try_from(n).unwrap_or(0));
        match passed {
            None => self.paint(Style::new().dimmed(), &cells(CELLS, "·")),
            Some(passed) => format!(
                "{}{}",
                self.paint(colour(AnsiColor::Green), &cells(passed, "█")),
                self.paint(colour(AnsiColor::Red), &cells(CELLS - passed, "░"))
            ),
        }
    }

    /// Rows without a head, whose columns stand under those of the rows before.
    fn rows(&mut self, rows: Vec<[String; 3]>) {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(self.width.saturating_sub(3));
        let share = [36, 26, 38];
        table.set_constraints(
            share.map(|percent| ColumnConstraint::Absolute(Width::Percentage(percent))),
        );
        for row in rows {
            table.add_row(row);
        }
        for line in table.to_string().lines() {
            self.line(format!("   {line}").trim_end());
        }
    }

    fn table(&mut self, head: [&str; 3], rows: Vec<[String; 3]>) {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(self.width)
            .set_header(head);
        let share = [28, 36, 36];
        table.set_constraints(
            share.map(|percent| ColumnConstraint::UpperBoundary(Width::Percentage(percent))),
        );
        for row in rows {
            table.add_row(row);
        }
        for line in table.to_string().lines() {
            self.line(line.trim_end());
        }
    }

    fn left_out(&mut self, all: usize) {
        if all > self.max_rows {
            let rest = counted(all - self.max_rows, "more row", "more rows");
            self.line(&format!("… and {rest}"));
        }
    }

    fn section(&mut self, style: Style, text: &str) {
        let painted = self.paint(style, text);
        self.out.push('\n');
        self.line(&painted);
    }

    fn paint(&self, style: Style, text: &str) -> String {
        paint(self.colour, style, text)
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }
}

fn object(asset: &Asset, locus: &str) -> String {
    let name = match asset.kind.as_str() {
        "" => text::qualified(asset),
        kind => format!("{} {}", clean(kind), text::qualified(asset)),
    };
    match locus {
        "" => name,
        locus => format!("{name}\n{}", clean(locus)),
    }
}

fn subject(of: &Subject) -> String {
    let mut text = object(&of.asset, &of.locus);
    if let Some(location) = &of.location {
        text.push('\n');
        text.push_str(&text::place(location));
    }
    text
}

fn reason(row: &Row) -> String {
    match (&row.finding.acceptance, row.finding.status) {
        (Some(by), _) => {
            let until = by
                .expires
                .map_or(String::new(), |at| format!(", until {}", text::minute(at)));
            format!("{}\nby {}{until}", clean(&by.reason), clean(&by.owner))
        }
        (None, FindingStatus::FalsePositive) => "ruled a false positive".to_owned(),
        (None, _) => String::new(),
    }
}

fn cut(text: &str, to: usize) -> String {
    if text.chars().count() <= to {
        return text.to_owned();
    }
    let kept: String = text.chars().take(to.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn colour(of: AnsiColor) -> Style {
    Style::new().fg_color(Some(of.into()))
}

/// A text in a style, where colours are wanted.
pub(crate) fn paint(colour: bool, style: Style, text: &str) -> String {
    if colour && !text.is_empty() {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

pub(crate) fn style(severity: Severity) -> Style {
    match severity {
        Severity::Critical => colour(AnsiColor::BrightRed).bold(),
        Severity::High => colour(AnsiColor::Red).bold(),
        Severity::Medium => colour(AnsiColor::Yellow).bold(),
        Severity::Low => colour(AnsiColor::Blue).bold(),
        Severity::Info => colour(AnsiColor::Cyan).bold(),
    }
}

#[cfg(test)]
mod tests;
