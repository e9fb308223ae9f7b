//! What comparisons with another implementation share: the made-up pixels, the arrays it wrote, and differences.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

/// A folder or file beside the scripts that made the numbers.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model").join(name)
}

/// The same numbers as `pixels` in networks.py.
pub fn pixels(batch: usize, height: usize, width: usize) -> Tensor<4> {
    let values = (0..(batch * 3 * height * width) as u64).map(|index| {
        let mixed = (index * 2_654_435_761 + 1_013_904_223) % (1 << 32);
        let mixed = ((mixed ^ (mixed >> 15)) * 2_246_822_519) % (1 << 32);
        (mixed as f64 / 4_294_967_296.0 * 4.0 - 2.0) as f32
    });
    Tensor::from_data(TensorData::new(values.collect(), [batch, 3, height, width]), &Device::flex())
}

/// The arrays that a script wrote as `expected.safetensors`.
pub struct Expected(Vec<u8>);

impl Expected {
    pub fn read(folder: &Path) -> Self {
        Self::open(&folder.join("expected.safetensors"))
    }

    /// The arrays of a file with another name.
    pub fn open(file: &Path) -> Self {
        Self(std::fs::read(file).expect("run the script beside the folder"))
    }

    pub fn names(&self) -> Vec<String> {
        SafeTensors::deserialize(&self.0).expect("whole").names().into_iter().map(ToString::to_string).collect()
    }

    pub fn floats(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.0).expect("whole");
        let view = file.tensor(name).expect(name);
        assert_eq!(view.dtype(), Dtype::F32);
        view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    pub fn ints(&self, name: &str) -> (Vec<i32>, Vec<usize>) {
        let file = SafeTensors::deserialize(&self.0).expect("whole");
        let view = file.tensor(name).expect(name);
        let values = view.data().as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes));
        (values.collect(), view.shape().to_vec())
    }
}

/// Row by row.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().expect("f32")
}

/// Largest difference of two arrays, which must not be all but zero.
pub fn largest_difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    assert!(theirs.iter().any(|value| value.abs() > 0.05), "the reference is all but zero");
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Largest difference of rows of `width` after L2 normalisation.
pub fn unit_difference(ours: &[f32], theirs: &[f32], width: usize) -> f32 {
    let unit = |values: &[f32]| -> Vec<f32> {
        values
            .chunks_exact(width)
            .flat_map(|row| {
                let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
                row.iter().map(move |v| v / length)
            })
            .collect()
    };
    largest_difference(&unit(ours), &unit(theirs))
}
