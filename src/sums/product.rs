//! Rows times columns, with an accumulator of FP16. Columns are packed a few at a time, so that whoever has them need not have
//! them as a matrix.

use rayon::prelude::*;

use super::half::Partial;
use crate::interrupt;

/// Products, or values, that are added up before the sum is rounded.
pub const STEP: usize = 16;

/// What is computed at a time: it stays in registers.
const ROWS: usize = 4;
pub(super) const WIDTH: usize = 8;

/// Rows that one thread takes.
const SHARE: usize = 16 * ROWS;

/// So many columns, term by term.
pub(super) type Panel = [[f32; WIDTH]];

/// The right operand.
pub(super) trait Columns: Sync {
    /// Fills in the columns from this one on; those that there are not stay zero.
    fn pack(&self, from: usize, panel: &mut Panel);
}

/// `rows`, of `terms` each, times `count` columns.
pub(super) fn product<P: Partial>(
    rows: &[f32],
    terms: usize,
    columns: &impl Columns,
    count: usize,
    partial: &P,
) -> Vec<f32> {
    let height = rows.len() / terms.max(1);
    let strips: Vec<Vec<[f32; WIDTH]>> = (0..count.div_ceil(WIDTH))
        .into_par_iter()
        .map(|strip| {
            // Whoever asked will not look at it.
            if interrupt::requested() {
                return vec![[0.0; WIDTH]; height];
            }
            let mut panel = vec![[0.0; WIDTH]; terms];
            columns.pack(strip * WIDTH, &mut panel);
            let shares = rows.par_chunks(SHARE * terms.max(1));
            shares.flat_map_iter(|share| of_share(share, &panel, partial)).collect()
        })
        .collect();
    let mut made = vec![0.0; height * count];
    made.par_chunks_mut(count.max(1)).enumerate().for_each(|(row, made)| {
        made.chunks_mut(WIDTH).zip(&strips).for_each(|(to, from)| to.copy_from_slice(&from[row][..to.len()]));
    });
    made
}

fn of_share<P: Partial>(share: &[f32], panel: &Panel, partial: &P) -> Vec<[f32; WIDTH]> {
    let rows: Vec<&[f32]> = share.chunks(panel.len()).collect();
    let mut made = Vec::with_capacity(rows.len());
    for rows in rows.chunks(ROWS) {
        // What is missing of the last rows is computed of others, and left out.
        let full = std::array::from_fn(|row| rows[row.min(rows.len() - 1)]);
        made.extend_from_slice(&of_rows(full, panel, partial)[..rows.len()]);
    }
    made
}

#[inline(always)]
fn of_rows<P: Partial>(rows: [&[f32]; ROWS], panel: &Panel, partial: &P) -> [[f32; WIDTH]; ROWS] {
    let mut sums = [[0.0; WIDTH]; ROWS];
    for (step, panel) in panel.chunks(STEP).enumerate() {
        let mut some = [[0.0; WIDTH]; ROWS];
        let rows = rows.map(|row| &row[step * STEP..][..panel.len()]);
        for (term, columns) in panel.iter().enumerate() {
            for (some, row) in some.iter_mut().zip(&rows) {
                let factor = row[term];
                some.iter_mut().zip(columns).for_each(|(sum, column)| *sum += factor * column);
            }
        }
        let (sums, some) = (sums.as_flattened_mut(), some.as_flattened());
        sums.iter_mut().zip(some).for_each(|(sum, some)| *sum += some);
        partial.settle(sums);
    }
    sums
}

/// A matrix that lies in memory, its columns anywhere.
pub(super) struct Matrix<'a> {
    pub values: &'a [f32],
    pub columns: usize,
    /// From a term to the next, and from a column to the next.
    pub steps: (usize, usize),
}

impl Columns for Matrix<'_> {
    fn pack(&self, from: usize, panel: &mut Panel) {
        let width = WIDTH.min(self.columns - from);
        for (term, columns) in panel.iter_mut().enumerate() {
            for (i, value) in columns[..width].iter_mut().enumerate() {
                *value = self.values[term * self.steps.0 + (from + i) * self.steps.1];
            }
        }
    }
}
