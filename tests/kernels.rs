//! Every kernel against its CPU twin on a Vulkan device, software or not, and against reference arrays made by scipy.
//! Without Vulkan these tests fail: a kernel nobody ran is not a tested kernel.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as expected")]

use std::sync::OnceLock;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use hairline::gpu::kernels::{self, Term, fuse_maps, launch, nearest_patch, smooth_map};
use hairline::gpu::{DevicePolicy, choose};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A Vulkan device whose fresh buffers hold noise: a kernel that leaves something unwritten must be seen.
fn vulkan() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            launch::fill_fresh_buffers_with_noise();
            match choose(DevicePolicy::Gpu) {
                Ok(compute) => compute.device,
                Err(error) => panic!(
                    "The shaders are tested on Vulkan, which is not to be had here: {error}\nSoftware Vulkan is enough: \
                     apt-get install mesa-vulkan-drivers libvulkan1"
                ),
            }
        })
        .clone()
}

fn noise(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn ints(tensor: Tensor<1, Int>) -> Vec<i32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Largest difference; NaN and infinity anywhere are a failure of their own.
fn largest_difference(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    assert!(got.iter().all(|value| value.is_finite()), "every value is finite");
    got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn nearest_patch_agrees_with_its_twin() {
    let (gpu, cpu) = (vulkan(), Device::flex());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (n, m, d) in [(1, 1, 1), (37, 5, 70), (16, 512, 32), (17, 513, 33), (196, 1300, 96), (65, 2050, 384)] {
        let (queries, references) = (noise(&mut rng, n * d), noise(&mut rng, m * d));
        let on = |device: &Device| {
            let (distance, index) =
                nearest_patch(tensor(&queries, [n, d], device), tensor(&references, [m, d], device));
            (floats(distance), ints(index))
        };
        let ((distance, index), (twin_distance, twin_index)) = (on(&gpu), on(&cpu));
        let largest = twin_distance.iter().copied().fold(0.0, f32::max);
        let error = largest_difference(&distance, &twin_distance);
        assert!(error <= 2e-6 * largest, "{n} x {m} x {d}: off by {error}");
        assert_eq!(index, twin_index, "{n} x {m} x {d}");
        let plain = kernels::nearest_patch::on_cpu(&queries, n, &references, m, d);
        assert_eq!(plain.iter().map(|(distance, _)| *distance).collect::<Vec<_>>(), twin_distance);
    }
}

#[test]
fn nearest_patch_finds_itself_at_zero_on_both_devices() {
    let (m, d) = (700, 40);
    let references = noise(&mut ChaCha8Rng::seed_from_u64(2), m * d);
    for device in [vulkan(), Device::flex()] {
        let all = tensor(&references, [m, d], &device);
        let (distance, index) = nearest_patch(all.clone().slice_dim(0, 100..m), all);
        assert!(floats(distance).into_iter().all(|distance| distance == 0.0));
        assert_eq!(ints(index), (100..m as i32).collect::<Vec<_>>());
    }
}

#[test]
fn nearest_patch_reads_strided_tensors_and_joins_other_operations() {
    let (n, m, d) = (33, 70, 50);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (queries, references) = (noise(&mut rng, n * d), noise(&mut rng, m * d));
    let want: Vec<f32> = kernels::nearest_patch::on_cpu(&queries, n, &references, m, d)
        .into_iter()
        .map(|(distance, _)| distance.sqrt() * 2.0 + 1.0)
        .collect();
    for device in [vulkan(), Device::flex()] {
        let transposed = tensor(&queries, [n, d], &device).transpose() * 3.0;
        let (distance, _) = nearest_patch((transposed / 3.0).transpose(), tensor(&references, [m, d], &device));
        let error = largest_difference(&floats(distance.sqrt() * 2.0 + 1.0), &want);
        assert!(error < 1e-4, "off by {error}");
    }
}

#[test]
fn smooth_map_agrees_with_its_twin() {
    let (gpu, cpu) = (vulkan(), Device::flex());
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for (height, width, sigma_px) in [(1, 1, 1.0), (3, 50, 8.0), (37, 5, 0.6), (100, 133, 4.0), (64, 64, 0.0)] {
        let map = noise(&mut rng, height * width);
        let on = |device: &Device| floats(smooth_map(tensor(&map, [height, width], device), sigma_px));
        let twin = on(&cpu);
        let error = largest_difference(&on(&gpu), &twin);
        assert!(error < 2e-6, "{height} x {width}, sigma {sigma_px}: off by {error}");
        assert_eq!(kernels::smooth_map::on_cpu(&map, height, width, sigma_px), twin);
    }
}

#[derive(serde::Deserialize)]
struct Smoothed {
    height: usize,
    width: usize,
    sigma_px: f32,
    map: Vec<f32>,
    smooth: Vec<f32>,
}

#[derive(serde::Deserialize)]
struct SmoothedByScipy {
    cases: Vec<Smoothed>,
}

#[test]
fn smooth_map_is_scipys_gaussian_filter() {
    let fixture: SmoothedByScipy = serde_json::from_str(include_str!("fixtures/kernels/smooth_map.json")).unwrap();
    for case in fixture.cases {
        let Smoothed { height, width, sigma_px, map, smooth } = case;
        let twin = kernels::smooth_map::on_cpu(&map, height, width, sigma_px);
        let gpu = floats(smooth_map(tensor(&map, [height, width], &vulkan()), sigma_px));
        for got in [twin, gpu] {
            let error = largest_difference(&got, &smooth);
            assert!(error < 1e-6, "{height} x {width}, sigma {sigma_px}: off by {error}");
        }
    }
}

#[test]
fn fuse_maps_agrees_with_its_twin() {
    let (gpu, cpu) = (vulkan(), Device::flex());
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (components, height, width) in [(1, 1, 1), (2, 37, 5), (5, 64, 130), (3, 1500, 1500)] {
        let maps = noise(&mut rng, components * height * width);
        let inside: Vec<bool> = (0..height * width).map(|_| rng.random_bool(0.7)).collect();
        let terms: Vec<Term> = (0..components)
            .map(|c| Term { weight: 0.3 + c as f32, median: 0.1 * c as f32, scale: if c == 3 { 0.0 } else { 0.5 } })
            .collect();
        let on = |device: &Device, masked: bool| {
            let mask = Tensor::<2, Bool>::from_data(TensorData::new(inside.clone(), [height, width]), device);
            floats(fuse_maps(tensor(&maps, [components, height, width], device), &terms, masked.then_some(mask), -3.5))
        };
        for masked in [true, false] {
            let twin = on(&cpu, masked);
            let error = largest_difference(&on(&gpu, masked), &twin);
            assert!(error < 1e-5, "{components} x {height} x {width}: off by {error}");
            let planes: Vec<&[f32]> = maps.chunks_exact(height * width).collect();
            let plain = kernels::fuse_maps::on_cpu(&planes, &terms, masked.then_some(&inside), -3.5);
            assert_eq!(plain, twin);
            if masked {
                assert!(twin.iter().zip(&inside).all(|(value, inside)| *inside || *value == -3.5));
            }
        }
    }
}
