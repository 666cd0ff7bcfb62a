//! The tables of docs/controller.md: whoever adds a reason, a flag or a metric adds it there.

/// A column of the table below a heading, without its head and without quotes.
pub fn column(heading: &str, number: usize) -> Vec<&'static str> {
    let page = include_str!("../../docs/controller.md");
    let (_, section) = page.split_once(&format!("\n{heading}\n")).unwrap_or_default();
    let rows =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cell = |row: &'static str| row.split('|').nth(number).unwrap_or_default().trim().trim_matches('`');
    rows.skip(2).map(cell).collect()
}
