//! Chance and the few transcendental functions the generator needs, the same to the bit on every machine: a seeded
//! ChaCha8 stream and short polynomials instead of the platform's mathematical library. Not for general use: accuracy
//! is about 1e-6, which is far below what an 8-bit photo shows.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of random numbers that depends on four numbers alone.
#[derive(Clone, Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of (`seed`, `group`, `item`, `purpose`).
    pub fn new(seed: u64, group: u64, item: u64, purpose: u64) -> Self {
        let mut key = [0_u8; 32];
        for (slot, value) in key.chunks_exact_mut(8).zip([seed, group, item, purpose]) {
            slot.copy_from_slice(&value.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// 32 random bits.
    pub fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in [`low`, `high`).
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform on a logarithmic scale; both ends above 0.
    pub fn log_uniform(&mut self, low: f32, high: f32) -> f32 {
        low * exp(self.unit() * ln(high / low))
    }

    /// True with probability `p`.
    pub fn flip(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// −1 or 1.
    pub fn sign(&mut self) -> f32 {
        if self.flip(0.5) { 1.0 } else { -1.0 }
    }

    /// Uniform in 0..`n`; 0 for `n` = 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.bits()) * n as u64) >> 32) as usize
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// One value of a list that is not empty.
    pub fn choose<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Close to a standard normal variable: the sum of four uniform ones, so never beyond ±3.47.
    pub fn normal(&mut self) -> f32 {
        let (a, b) = (self.bits(), self.bits());
        let sum = (a & 0xffff) + (a >> 16) + (b & 0xffff) + (b >> 16);
        (sum as f32 - 131_070.0) * (1.0 / 37_837.23)
    }

    /// Like [`Chance::normal`] from a quarter of the bits, for noise on pixels.
    pub fn coarse_normal(&mut self) -> f32 {
        let [a, b, c, d] = self.bits().to_le_bytes();
        ((u32::from(a) + u32::from(b) + u32::from(c) + u32::from(d)) as f32 - 510.0) * (1.0 / 147.8)
    }

    /// Uniform variables in [0, 1).
    pub fn units<const N: usize>(&mut self) -> [f32; N] {
        std::array::from_fn(|_| self.unit())
    }
}

/// Sine of any angle of moderate size, in radians.
pub fn sin(x: f32) -> f32 {
    let turns = x * std::f32::consts::FRAC_1_PI;
    let whole = (turns + 0.5).floor();
    let r = x - whole * std::f32::consts::PI;
    let s = r * r;
    let value = r
        * (1.0
            + s * (-1.666_666_6e-1 + s * (8.333_331e-3 + s * (-1.984_091e-4 + s * (2.752_553e-6 - s * 2.388_986e-8)))));
    if (whole as i64) & 1 == 0 { value } else { -value }
}

/// Cosine, see [`sin`].
pub fn cos(x: f32) -> f32 {
    sin(x + std::f32::consts::FRAC_PI_2)
}

/// e^x, for x between −80 and 80; beyond that the value at the end.
pub fn exp(x: f32) -> f32 {
    let y = x.clamp(-80.0, 80.0) * std::f32::consts::LOG2_E;
    let whole = y.floor();
    let r = (y - whole) * std::f32::consts::LN_2;
    let value = 1.0
        + r * (1.0
            + r * (0.5
                + r * (0.166_666_67 + r * (0.041_666_67 + r * (0.008_333_33 + r * (0.001_388_89 + r * 0.000_198_4))))));
    value * f32::from_bits(((whole as i32 + 127) as u32) << 23)
}

/// Natural logarithm of a normal number above 0.
pub fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let mut exponent = ((bits >> 23) as i32 - 127) as f32;
    let mut mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000);
    if mantissa > std::f32::consts::SQRT_2 {
        mantissa *= 0.5;
        exponent += 1.0;
    }
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let s = z * z;
    exponent * std::f32::consts::LN_2
        + 2.0 * z * (1.0 + s * (0.333_333_34 + s * (0.2 + s * (0.142_857_15 + s * (0.111_111_11 + s * 0.090_909_09)))))
}

/// Hyperbolic tangent.
pub fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomials_follow_the_functions() {
        for i in -4000..4000 {
            let x = i as f32 * 0.01;
            assert!((sin(x) - x.sin()).abs() < 5e-6, "sin {x}");
            assert!((exp(x * 0.5) / (x * 0.5).exp() - 1.0).abs() < 5e-6, "exp {x}");
            assert!((tanh(x * 0.2) - (x * 0.2).tanh()).abs() < 5e-6, "tanh {x}");
            if x > 0.0 {
                assert!((ln(x) - x.ln()).abs() < 2e-6, "ln {x}");
            }
        }
    }

    #[test]
    fn streams_repeat_and_differ_in_every_coordinate() {
        let first = |a, b, c, d| Chance::new(a, b, c, d).bits();
        assert_eq!(first(1, 2, 3, 4), first(1, 2, 3, 4));
        let others = [first(0, 2, 3, 4), first(1, 0, 3, 4), first(1, 2, 0, 4), first(1, 2, 3, 0)];
        assert!(others.iter().all(|&other| other != first(1, 2, 3, 4)));
    }

    #[test]
    fn normals_have_mean_0_and_deviation_1() {
        let mut chance = Chance::new(7, 0, 0, 0);
        for draw in [Chance::normal, Chance::coarse_normal] {
            let values: Vec<f32> = (0..20_000).map(|_| draw(&mut chance)).collect();
            let mean = values.iter().sum::<f32>() / 20_000.0;
            let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / 20_000.0;
            assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "{mean} {variance}");
        }
    }
}
