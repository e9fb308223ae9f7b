//! Results that tasks write piece by piece, each zeroed by the task that writes it. A vector of zeros would be zeroed by one
//! thread while the others wait.

use rayon::prelude::*;

/// `len` numbers, made by calling `write` with each stretch of `piece` of them (the last may be shorter), zeroed, and its
/// index.
///
/// # Panics
/// If `piece` is 0 and `len` is not.
pub fn by_pieces(len: usize, piece: usize, write: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    let mut out = Vec::with_capacity(len);
    if len > 0 {
        let pieces = out.spare_capacity_mut()[..len].par_chunks_mut(piece).enumerate();
        pieces.for_each(|(index, piece)| {
            for number in piece.iter_mut() {
                number.write(0.0);
            }
            // SAFETY: every number of the piece has just been written.
            #[expect(unsafe_code, reason = "only the task that writes a piece may zero it")]
            write(index, unsafe { piece.assume_init_mut() });
        });
    }
    // SAFETY: the pieces are all of the first `len` numbers, and each has been written.
    #[expect(unsafe_code, reason = "as above")]
    unsafe {
        out.set_len(len);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_written_once() {
        for (len, piece) in [(0, 3), (1, 3), (3, 3), (10, 3), (10_000, 7)] {
            let out = by_pieces(len, piece, |index, out| {
                assert!(out.iter().all(|number| *number == 0.0));
                for (at, number) in out.iter_mut().enumerate() {
                    *number += (index * piece + at) as f32;
                }
            });
            assert!(out.len() == len && out.iter().enumerate().all(|(at, number)| *number == at as f32));
        }
    }
}
