//! From an inspection to words: what was found, how sure, where, and what to do about it. By rules, so that equal results
//! always read equally; on request a vision-language model describes the strongest regions, and every explanation says
//! whose words it holds. Words decide nothing.

mod rules;
mod vlm;

pub use rules::{Explanation, RegionExplanation, Source, explain};
pub use vlm::VlmClient;
