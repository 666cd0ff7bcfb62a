//! The tables of the pages: whoever adds a reason, a flag, a metric or an alert adds it there.

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
