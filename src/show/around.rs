//! Of many rows those around the one that matters, and the last; a gap stands for whatever is left out. Knows no report.

use crate::show::page::Row;

/// Rows on either side, where there is no room for all.
pub const AROUND: usize = 4;

/// What is shown of `all`: everything, or the rows around number `middle` and the last one. `None` is a gap.
pub fn rows<T>(all: &[T], whole: bool, middle: Option<usize>, row: impl Fn(&T) -> Row) -> Vec<Option<Row>> {
    let near = |at: usize| middle.map_or(at < 2 * AROUND, |middle| at.abs_diff(middle) <= AROUND);
    let mut rows: Vec<Option<Row>> = Vec::new();
    for (at, one) in all.iter().enumerate() {
        match whole || near(at) || at + 1 == all.len() {
            true => rows.push(Some(row(one))),
            // At the top too: nobody is to think that the table begins here.
            false if rows.last().is_none_or(Option::is_some) => rows.push(None),
            false => {}
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_on_either_side() {
        let check = |of: usize, whole: bool, middle: Option<usize>, want: &str| {
            let all: Vec<usize> = (0..of).collect();
            let row = |number: &usize| Row { cells: vec![number.to_string().into()], ..Row::default() };
            let told = |row: Option<Row>| row.map_or("…".to_string(), |row| row.cells[0].0[0].text().to_string());
            let rows: Vec<String> = rows(&all, whole, middle, row).into_iter().map(told).collect();
            assert_eq!(rows.join(" "), want, "{of} {whole} {middle:?}");
        };
        check(3, false, Some(1), "0 1 2");
        check(30, false, Some(12), "… 8 9 10 11 12 13 14 15 16 … 29");
        check(30, false, Some(28), "… 24 25 26 27 28 29");
        check(12, false, None, "0 1 2 3 4 5 6 7 … 11");
        check(12, true, Some(11), "0 1 2 3 4 5 6 7 8 9 10 11");
        check(0, false, None, "");
    }
}
