//! Inner loops compiled several times, of which the widest version that the processor has is picked at run time: the
//! package is built for the oldest x86-64, whose vectors are four floats wide and know no fused multiply-add. The
//! functions below are written so that the compiler turns their loops into vector code.

#![expect(clippy::inline_always, reason = "bodies must be inlined into the function compiled for each processor")]

/// `a * b + c`, fused where the surrounding function was compiled for a processor that can.
#[inline(always)]
pub fn mul_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    // Without the instruction `f32::mul_add` is a slow library call.
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Defines `$name`, which runs the `#[inline(always)]` function `$body::<FUSED>` compiled for AVX-512, AVX2 with FMA,
/// or the baseline, whichever the processor has.
macro_rules! widest {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? { $body::<true>($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { $body::<true>($($arg),*) }
                if is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("fma")
                {
                    // SAFETY: the processor has the features the function was compiled for.
                    #[expect(unsafe_code, reason = "calling a function compiled for more than the baseline")]
                    return unsafe { avx512($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has the features the function was compiled for.
                    #[expect(unsafe_code, reason = "calling a function compiled for more than the baseline")]
                    return unsafe { avx2($($arg),*) };
                }
            }
            $body::<{ cfg!(target_arch = "aarch64") }>($($arg),*)
        }
    };
}
pub(crate) use widest;

/// 2 to the power of `x`, relative error 3e-7, for any `x` up to 127; below -126 it is as good as 0.
#[inline(always)]
fn exp2<const FUSED: bool>(x: f32) -> f32 {
    /// Adding it rounds to the nearest integer, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-126.0, 127.0);
    let rounded = x + ROUND;
    let part = x - (rounded - ROUND);
    // Taylor's series of 2^part, |part| <= 1/2.
    let mut p = 1.540_353e-4;
    for c in [1.333_355_8e-3, 9.618_129e-3, 5.550_411e-2, 2.402_265e-1, std::f32::consts::LN_2, 1.0] {
        p = mul_add::<FUSED>(p, part, c);
    }
    // The lowest bits, made the exponent; what stands above them falls out.
    p * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23)
}

widest!(
    /// x · sigmoid(1.702 x) in place.
    pub fn quick_gelu(values: &mut [f32]) = quick_gelu_body
);

#[inline(always)]
fn quick_gelu_body<const FUSED: bool>(values: &mut [f32]) {
    for value in values {
        *value /= 1.0 + exp2::<FUSED>(*value * (-1.702 * std::f32::consts::LOG2_E));
    }
}

widest!(
    /// x · Φ(x) in place, Φ from the error function to 2e-7 (Abramowitz and Stegun 1964, formula 7.1.26).
    pub fn gelu(values: &mut [f32]) = gelu_body
);

#[inline(always)]
fn gelu_body<const FUSED: bool>(values: &mut [f32]) {
    for value in values {
        let (tail, _) = normal_tail::<FUSED>(value.abs());
        *value *= if *value < 0.0 { tail } else { 1.0 - tail };
    }
}

/// 1 - Φ(x) and exp(-x² / 2) for x >= 0.
#[inline(always)]
fn normal_tail<const FUSED: bool>(x: f32) -> (f32, f32) {
    let x = x * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / mul_add::<FUSED>(x, 0.327_591_1, 1.0);
    let mut p = 1.061_405_4;
    for c in [-1.453_152, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
        p = mul_add::<FUSED>(p, t, c);
    }
    let bell = exp2::<FUSED>(x * x * -std::f32::consts::LOG2_E);
    (0.5 * p * t * bell, bell)
}

widest!(
    /// Multiplies `slopes` by the derivative of x · sigmoid(1.702 x) at `sums`.
    pub fn quick_gelu_slopes(sums: &[f32], slopes: &mut [f32]) = quick_gelu_slopes_body
);

#[inline(always)]
fn quick_gelu_slopes_body<const FUSED: bool>(sums: &[f32], slopes: &mut [f32]) {
    for (x, slope) in sums.iter().zip(slopes) {
        let sigmoid = 1.0 / (1.0 + exp2::<FUSED>(x * (-1.702 * std::f32::consts::LOG2_E)));
        *slope *= sigmoid * mul_add::<FUSED>(1.702 * x, 1.0 - sigmoid, 1.0);
    }
}

widest!(
    /// Multiplies `slopes` by the derivative of x · Φ(x) at `sums`, which is Φ(x) + x · φ(x).
    pub fn gelu_slopes(sums: &[f32], slopes: &mut [f32]) = gelu_slopes_body
);

#[inline(always)]
fn gelu_slopes_body<const FUSED: bool>(sums: &[f32], slopes: &mut [f32]) {
    /// 1 / √(2π)
    const PEAK: f32 = 0.398_942_3;
    for (x, slope) in sums.iter().zip(slopes) {
        let (tail, bell) = normal_tail::<FUSED>(x.abs());
        let below = if *x < 0.0 { tail } else { 1.0 - tail };
        *slope *= mul_add::<FUSED>(x * PEAK, bell, below);
    }
}

/// The numbers of one step of Adam with decoupled weight decay.
#[derive(Clone, Copy, Debug)]
pub struct AdamStep {
    pub beta_1: f32,
    pub beta_2: f32,
    pub epsilon: f32,
    /// The share of a weight that its decay leaves.
    pub keep: f32,
    /// The learning rate over 1 - beta_1 to the power of the steps.
    pub rate: f32,
    /// 1 over 1 - beta_2 to the power of the steps.
    pub unbias: f32,
}

widest!(
    /// One step: both moments of `gradients` move on, and `weights` with them. All have one length.
    pub fn adam_step(step: &AdamStep, weights: &mut [f32], gradients: &[f32], first: &mut [f32], second: &mut [f32]) =
        adam_step_body
);

#[inline(always)]
fn adam_step_body<const FUSED: bool>(
    step: &AdamStep,
    weights: &mut [f32],
    gradients: &[f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    // Where no gradient comes any more, moments would fade into denormal numbers.
    let unless_faded = |x: f32| if x.abs() > f32::MIN_POSITIVE { x } else { 0.0 };
    let (new_1, new_2) = (1.0 - step.beta_1, 1.0 - step.beta_2);
    for (((w, g), m), v) in weights.iter_mut().zip(gradients).zip(first).zip(second) {
        *m = unless_faded(mul_add::<FUSED>(*m, step.beta_1, new_1 * g));
        *v = unless_faded(mul_add::<FUSED>(*v, step.beta_2, new_2 * g * g));
        let scale = (*v * step.unbias).sqrt() + step.epsilon;
        *w = mul_add::<FUSED>(*w, step.keep, -step.rate * *m / scale);
    }
}

widest!(
    /// Turns `scores` into exp(scale · (score - largest)) in place, [`NOTHING`] and less into 0; the sum of the results.
    pub fn exponentials(scores: &mut [f32], scale: f32) -> f32 = exponentials_body
);

/// What is too little beside 1 to matter. Kept, products of such numbers become denormal, which processors compute a
/// hundred times as slowly.
const NOTHING: f32 = 1e-20;

#[inline(always)]
fn exponential<const FUSED: bool>(x: f32) -> f32 {
    let value = exp2::<FUSED>(x);
    if value > NOTHING { value } else { 0.0 }
}

#[inline(always)]
fn exponentials_body<const FUSED: bool>(scores: &mut [f32], scale: f32) -> f32 {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (groups, rest) = scores.as_chunks::<16>();
    for group in groups {
        for i in 0..16 {
            lanes[i] = larger(group[i], lanes[i]);
        }
    }
    let largest = lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, larger);
    let scale = scale * std::f32::consts::LOG2_E;
    let mut sums = [0.0; 16];
    let (groups, rest) = scores.as_chunks_mut::<16>();
    for group in groups {
        for i in 0..16 {
            group[i] = exponential::<FUSED>((group[i] - largest) * scale);
            sums[i] += group[i];
        }
    }
    for score in &mut *rest {
        *score = exponential::<FUSED>((*score - largest) * scale);
    }
    sums.iter().chain(&*rest).sum()
}

widest!(
    /// Takes `slopes` of the chances that softmax gave back to those of the scores it was given, times `scale`, in place:
    /// scale · chance · (slope - Σ chance · slope).
    pub fn softmax_slopes(chances: &[f32], slopes: &mut [f32], scale: f32) = softmax_slopes_body
);

#[inline(always)]
fn softmax_slopes_body<const FUSED: bool>(chances: &[f32], slopes: &mut [f32], scale: f32) {
    let mut sums = [0.0_f32; 16];
    let ((chance_groups, chance_rest), (groups, rest)) = (chances.as_chunks::<16>(), slopes.as_chunks_mut::<16>());
    for (group, chances) in groups.iter_mut().zip(chance_groups) {
        for i in 0..16 {
            group[i] *= chances[i];
            sums[i] += group[i];
        }
    }
    for (slope, chance) in rest.iter_mut().zip(chance_rest) {
        *slope *= chance;
        sums[0] += *slope;
    }
    let mean: f32 = sums.iter().sum();
    for (slope, chance) in slopes.iter_mut().zip(chances) {
        *slope = mul_add::<FUSED>(-mean, *chance, *slope) * scale;
    }
}

/// Σ term(i) for i < n, in sixteen sums side by side.
#[inline(always)]
fn total(n: usize, term: impl Fn(usize) -> f32) -> f32 {
    let mut sums = [0.0_f32; 16];
    let whole = n / 16 * 16;
    for at in (0..whole).step_by(16) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += term(at + i);
        }
    }
    let rest: f32 = (whole..n).map(&term).sum();
    sums.iter().sum::<f32>() + rest
}

/// Mean and inverse deviation of a row.
#[inline(always)]
fn row_statistics(row: &[f32], epsilon: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = total(row.len(), |i| row[i]) / count;
    let variance = total(row.len(), |i| {
        let centred = row[i] - mean;
        centred * centred
    }) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

widest!(
    /// Each row of `x`, as long as `gamma`: gamma · (x - mean) / √(variance + epsilon) + beta.
    pub fn layer_norm_rows(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32, out: &mut [f32]) = layer_norm_rows_body
);

#[inline(always)]
fn layer_norm_rows_body<const FUSED: bool>(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = gamma.len();
    for (row, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let (mean, inverse) = row_statistics(row, epsilon);
        for (((out, x), gamma), beta) in out.iter_mut().zip(row).zip(gamma).zip(beta) {
            *out = mul_add::<FUSED>((x - mean) * inverse, *gamma, *beta);
        }
    }
}

widest!(
    /// Takes `slopes` of [`layer_norm_rows`] back to those of `x`, and adds up those of gamma and beta.
    pub fn layer_norm_slopes(
        x: &[f32],
        slopes: &[f32],
        gamma: &[f32],
        epsilon: f32,
        back: &mut [f32],
        of_gamma: &mut [f32],
        of_beta: &mut [f32],
    ) = layer_norm_slopes_body
);

#[inline(always)]
fn layer_norm_slopes_body<const FUSED: bool>(
    x: &[f32],
    slopes: &[f32],
    gamma: &[f32],
    epsilon: f32,
    back: &mut [f32],
    of_gamma: &mut [f32],
    of_beta: &mut [f32],
) {
    let width = gamma.len();
    let count = width as f32;
    for ((row, slopes), back) in x.chunks_exact(width).zip(slopes.chunks_exact(width)).zip(back.chunks_exact_mut(width))
    {
        let (mean, inverse) = row_statistics(row, epsilon);
        let plain = total(width, |i| slopes[i] * gamma[i]) / count;
        let along = total(width, |i| slopes[i] * gamma[i] * ((row[i] - mean) * inverse)) / count;
        let sums = of_gamma.iter_mut().zip(of_beta.iter_mut());
        for ((((back, x), slope), gamma), (of_gamma, of_beta)) in
            back.iter_mut().zip(row).zip(slopes).zip(gamma).zip(sums)
        {
            let standard = (x - mean) * inverse;
            *back = inverse * (mul_add::<FUSED>(*slope, *gamma, -plain) - standard * along);
            *of_gamma += slope * standard;
            *of_beta += slope;
        }
    }
}

widest!(
    /// Adds the rows of `x` to `sums`, channel by channel.
    pub fn channel_sums(x: &[f32], sums: &mut [f32]) = channel_sums_body
);

#[inline(always)]
fn channel_sums_body<const FUSED: bool>(x: &[f32], sums: &mut [f32]) {
    for row in x.chunks_exact(sums.len()) {
        row.iter().zip(sums.iter_mut()).for_each(|(x, sum)| *sum += x);
    }
}

widest!(
    /// Adds to `squares`, over all rows, each channel's (x - mean)².
    pub fn channel_squares(x: &[f32], mean: &[f32], squares: &mut [f32]) = channel_squares_body
);

#[inline(always)]
fn channel_squares_body<const FUSED: bool>(x: &[f32], mean: &[f32], squares: &mut [f32]) {
    for row in x.chunks_exact(mean.len()) {
        for ((x, mean), square) in row.iter().zip(mean).zip(squares.iter_mut()) {
            let centred = x - mean;
            *square = mul_add::<FUSED>(centred, centred, *square);
        }
    }
}

widest!(
    /// Adds to `along` and `plain`, over all rows, each channel's slope · (x - mean) · inverse and slope.
    pub fn channel_sums_with_slopes(
        x: &[f32],
        slopes: &[f32],
        mean: &[f32],
        inverse: &[f32],
        along: &mut [f32],
        plain: &mut [f32],
    ) = channel_sums_with_slopes_body
);

#[inline(always)]
fn channel_sums_with_slopes_body<const FUSED: bool>(
    x: &[f32],
    slopes: &[f32],
    mean: &[f32],
    inverse: &[f32],
    along: &mut [f32],
    plain: &mut [f32],
) {
    let channels = mean.len();
    for (row, slopes) in x.chunks_exact(channels).zip(slopes.chunks_exact(channels)) {
        let numbers = row.iter().zip(slopes).zip(mean).zip(inverse);
        for ((((x, slope), mean), inverse), (along, plain)) in numbers.zip(along.iter_mut().zip(plain.iter_mut())) {
            *along = mul_add::<FUSED>(*slope, (x - mean) * inverse, *along);
            *plain += slope;
        }
    }
}

widest!(
    /// Each row of `x` times `scale` plus `offset`, per channel.
    pub fn scale_rows(x: &[f32], scale: &[f32], offset: &[f32], out: &mut [f32]) = scale_rows_body
);

#[inline(always)]
fn scale_rows_body<const FUSED: bool>(x: &[f32], scale: &[f32], offset: &[f32], out: &mut [f32]) {
    let channels = scale.len();
    for (row, out) in x.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
        for (((out, x), scale), offset) in out.iter_mut().zip(row).zip(scale).zip(offset) {
            *out = mul_add::<FUSED>(*x, *scale, *offset);
        }
    }
}

widest!(
    /// a · slope + b · x + c per channel, row by row.
    pub fn group_slopes(x: &[f32], slopes: &[f32], a: &[f32], b: &[f32], c: &[f32], out: &mut [f32])
        = group_slopes_body
);

#[inline(always)]
fn group_slopes_body<const FUSED: bool>(x: &[f32], slopes: &[f32], a: &[f32], b: &[f32], c: &[f32], out: &mut [f32]) {
    let channels = a.len();
    let rows = x.chunks_exact(channels).zip(slopes.chunks_exact(channels)).zip(out.chunks_exact_mut(channels));
    for ((x, slopes), out) in rows {
        for (((out, x), slope), ((a, b), c)) in out.iter_mut().zip(x).zip(slopes).zip(a.iter().zip(b).zip(c)) {
            *out = mul_add::<FUSED>(*a, *slope, mul_add::<FUSED>(*b, *x, *c));
        }
    }
}

widest!(
    /// out += a · b, element by element.
    pub fn add_products(a: &[f32], b: &[f32], out: &mut [f32]) = add_products_body
);

#[inline(always)]
fn add_products_body<const FUSED: bool>(a: &[f32], b: &[f32], out: &mut [f32]) {
    for ((a, b), out) in a.iter().zip(b).zip(out) {
        *out = mul_add::<FUSED>(*a, *b, *out);
    }
}

widest!(
    /// Rounds to the nearest bf16 (ties to even), as bits. For finite values.
    pub fn to_bf16(values: &[f32], narrow: &mut [u16]) = to_bf16_body
);

#[inline(always)]
fn to_bf16_body<const FUSED: bool>(values: &[f32], narrow: &mut [u16]) {
    for (value, narrow) in values.iter().zip(narrow) {
        let bits = value.to_bits();
        *narrow = (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16;
    }
}

widest!(
    /// `wide = narrow + bias` for one row.
    pub fn from_bf16_with_bias(narrow: &[u16], bias: &[f32], wide: &mut [f32]) = from_bf16_with_bias_body
);

#[inline(always)]
fn from_bf16_with_bias_body<const FUSED: bool>(narrow: &[u16], bias: &[f32], wide: &mut [f32]) {
    for ((narrow, bias), wide) in narrow.iter().zip(bias).zip(wide) {
        *wide = f32::from_bits(u32::from(*narrow) << 16) + bias;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range() -> Vec<f32> {
        (-40_000..40_000).map(|i| i as f32 * 5e-4).collect()
    }

    #[test]
    fn quick_gelu_is_x_times_sigmoid() {
        let mut values = range();
        quick_gelu(&mut values);
        for (x, got) in range().into_iter().zip(values) {
            let x = f64::from(x);
            let want = x / (1.0 + (-1.702 * x).exp());
            assert!((f64::from(got) - want).abs() < 1e-6 * want.abs().max(1.0), "at {x}: {got} instead of {want}");
        }
    }

    #[test]
    fn slopes_are_those_of_the_activations() {
        type Activate = fn(&mut [f32]);
        type Slopes = fn(&[f32], &mut [f32]);
        for (activate, slopes) in [(gelu as Activate, gelu_slopes as Slopes), (quick_gelu, quick_gelu_slopes)] {
            let mut got = vec![2.0; range().len()];
            slopes(&range(), &mut got);
            let moved = |by: f32| {
                let mut values: Vec<f32> = range().into_iter().map(|x| x + by).collect();
                activate(&mut values);
                values
            };
            for ((x, got), (above, below)) in range().iter().zip(got).zip(moved(5e-3).into_iter().zip(moved(-5e-3))) {
                let want = 2.0 * (above - below) / 1e-2;
                assert!((got - want).abs() < 1e-3, "at {x}: {got} instead of {want}");
            }
        }
    }

    /// erf by its Maclaurin series, in f64, for |x| below 5.
    fn erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn gelu_is_x_times_the_normal_distribution() {
        let mut values = range();
        gelu(&mut values);
        for (x, got) in range().into_iter().zip(values) {
            let wide = f64::from(x);
            let phi = if wide.abs() < 6.0 {
                0.5 * (1.0 + erf(wide * std::f64::consts::FRAC_1_SQRT_2))
            } else {
                f64::from(u8::from(wide > 0.0))
            };
            assert!((f64::from(got) - wide * phi).abs() < 1e-6 * wide.abs().max(1.0), "at {x}: {got}");
        }
    }

    #[test]
    fn exponentials_survive_large_scores_and_odd_lengths() {
        for n in [1, 15, 16, 17, 197] {
            let scores: Vec<f32> = (0..n).map(|i| 1000.0 - 3.0 * i as f32).collect();
            let mut got = scores.clone();
            let sum = exponentials(&mut got, 0.125);
            let want: Vec<f64> = (0..n).map(|i| (-0.375 * f64::from(i)).exp()).collect();
            for (got, want) in got.iter().zip(&want) {
                assert!((f64::from(*got) - want).abs() < 1e-6, "{got} instead of {want}");
            }
            assert!((f64::from(sum) - want.iter().sum::<f64>()).abs() < 1e-5);
        }
    }

    #[test]
    fn bf16_rounds_like_half() {
        let values: Vec<f32> = range().into_iter().chain([0.0, -0.0, 1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0]).collect();
        let mut narrow = vec![0; values.len()];
        to_bf16(&values, &mut narrow);
        for (value, bits) in values.into_iter().zip(narrow) {
            assert_eq!(bits, half::bf16::from_f32(value).to_bits(), "{value}");
        }
    }
}
