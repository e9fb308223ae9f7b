//! Compiles an inner loop several times and picks the widest version the processor has, at run time.
//! The package is built for the oldest x86-64, whose vectors are four floats wide and know no fused multiply-add.

#![expect(clippy::inline_always, reason = "must be inlined into the function compiled for each processor")]

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
                if is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("fma") {
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
