//! The tables of the pages: whoever adds a reason, a flag, a metric or an alert adds it there.

use std::collections::{BTreeMap, BTreeSet};

/// Names of metrics, each with its labels.
pub type Metrics = BTreeMap<String, BTreeSet<String>>;

/// Those of the table below a heading of docs/operations.md.
pub fn metrics_said(heading: &str) -> Metrics {
    let page = include_str!("../../docs/operations.md");
    let labels = column_of(page, heading, 2).into_iter();
    let labels = labels.map(|cell| cell.split(", ").map(|label| label.trim_matches('`').to_owned()));
    let labels = labels.map(|cell| cell.filter(|label| !label.is_empty()).collect());
    column_of(page, heading, 1).into_iter().map(str::to_owned).zip(labels).collect()
}

/// Those that are served in a text. Of those that have counted nothing yet no labels are known.
pub fn metrics_served(text: &str) -> Metrics {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let name = |(name, kind)| match kind {
        "counter" => format!("{name}_total"),
        "info" => format!("{name}_info"),
        _ => String::from(name),
    };
    let labels = |name: &str| {
        let samples = text.lines().filter(|line| line.starts_with(name));
        let inner = samples.filter_map(|line| line.split_once('{')?.1.split_once('}'));
        let pairs = inner.flat_map(|(labels, _)| labels.split(','));
        let names = pairs.filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()));
        names.filter(|name| name != "le").collect()
    };
    types.map(name).map(|name| (name.clone(), labels(&name))).collect()
}

/// A column of a table of docs/controller.md.
pub fn column(heading: &str, number: usize) -> Vec<&'static str> {
    column_of(include_str!("../../docs/controller.md"), heading, number)
}

/// A column of the table below a heading of a page, without its head and without quotes.
pub fn column_of(page: &'static str, heading: &str, number: usize) -> Vec<&'static str> {
    let (_, section) = page.split_once(&format!("\n{heading}\n")).unwrap_or_default();
    let rows =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cell = |row: &'static str| row.split('|').nth(number).unwrap_or_default().trim().trim_matches('`');
    rows.skip(2).map(cell).collect()
}
