//! From an inspection to words: what was found, how sure, where, and what to do about it. Rules only, so that equal
//! results always read equally; a language model has no part in it.

mod rules;

pub use rules::{Explanation, RegionExplanation, explain};
