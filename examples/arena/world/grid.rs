//! Who is near a place, without asking everybody.

use super::rules::SIZE;

/// Side of a cell: no less than the largest thing is wide, so that a few cells are enough to look at.
const CELL: f64 = 150.0;

/// Things by the cell of the world that their centre is in. Filled anew with each tick.
#[derive(Debug)]
pub(crate) struct Grid<T> {
    side: usize,
    cells: Vec<Vec<(f64, f64, T)>>,
}

impl<T: Copy> Default for Grid<T> {
    fn default() -> Self {
        let side = cell(SIZE, usize::MAX) + 1;
        Self {
            side,
            cells: vec![Vec::new(); side * side],
        }
    }
}

impl<T: Copy> Grid<T> {
    pub(crate) fn clear(&mut self) {
        self.cells.iter_mut().for_each(Vec::clear);
    }

    pub(crate) fn insert(&mut self, x: f64, y: f64, thing: T) {
        let at = cell(y, self.side) * self.side + cell(x, self.side);
        self.cells[at].push((x, y, thing));
    }

    /// All whose centre is within `reach` of the place, and perhaps some beyond.
    pub(crate) fn near(&self, x: f64, y: f64, reach: f64) -> impl Iterator<Item = (f64, f64, T)> {
        let columns = cell(x - reach, self.side)..=cell(x + reach, self.side);
        let rows = cell(y - reach, self.side)..=cell(y + reach, self.side);
        rows.flat_map(move |row| columns.clone().map(move |column| (row, column)))
            .flat_map(|(row, column)| self.cells[row * self.side + column].iter().copied())
    }
}

/// The row or column of a place; places outside belong to the outermost ones.
fn cell(at: f64, side: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and a few dozen"
    )]
    let index = (at.max(0.0) / CELL) as usize;
    index.min(side - 1)
}
