//! A table of features: one row of numbers per photo. What scaler, heads and cross-validation work on; where the numbers
//! came from is not known here.

use crate::{Error, Result};

/// Features of photos, `[rows, width]`, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    values: Vec<f64>,
    width: usize,
}

impl Features {
    /// Takes rows of equal length.
    ///
    /// # Errors
    /// [`Error::Bug`] for rows of different length; [`Error::Input`] naming the row for a value that is not finite.
    pub fn from_rows<'a>(rows: impl IntoIterator<Item = &'a [f32]>) -> Result<Self> {
        let mut features = Self::default();
        for (at, row) in rows.into_iter().enumerate() {
            if at == 0 {
                features.width = row.len();
            }
            if row.len() != features.width || row.is_empty() {
                return Err(Error::bug(format!(
                    "row {at} of the features has {} values, not {}.",
                    row.len(),
                    features.width
                )));
            }
            if row.iter().any(|value| !value.is_finite()) {
                return Err(Error::input(format!(
                    "The features of photo number {at} hold a value that is not finite. Leave that photo out."
                )));
            }
            features.values.extend(row.iter().map(|&value| f64::from(value)));
        }
        Ok(features)
    }

    /// Takes `[rows, width]` values; `values` are a whole number of rows.
    pub(super) fn from_values(values: Vec<f64>, width: usize) -> Self {
        Self { values, width }
    }

    /// Number of photos.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is no photo.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers per photo.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// One photo's numbers.
    pub fn row(&self, at: usize) -> &[f64] {
        &self.values[at * self.width..(at + 1) * self.width]
    }

    /// All rows in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// These rows, in this order.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self { values: rows.iter().flat_map(|&at| self.row(at)).copied().collect(), width: self.width }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn rows_go_in_and_come_out() {
        let features = Features::from_rows([&[1.0, 2.0][..], &[3.0, 4.0], &[5.0, 6.0]]).unwrap();
        assert_eq!((features.len(), features.width()), (3, 2));
        assert_eq!(features.select(&[2, 0]).values(), [5.0, 6.0, 1.0, 2.0]);
        assert_eq!(Features::default().len(), 0);
    }

    #[test]
    fn ragged_rows_and_values_that_are_no_numbers_are_refused() {
        assert!(Features::from_rows([&[1.0, 2.0][..], &[3.0]]).is_err());
        let error = Features::from_rows([&[1.0][..], &[f32::NAN]]).unwrap_err().to_string();
        assert!(error.contains("photo number 1"), "{error}");
    }
}
