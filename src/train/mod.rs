//! Training loops in burn.
