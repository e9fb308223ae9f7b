//! From features to a verdict: prompts, text map, memory, fusion, calibration, regions.
