//! Figures of merit, exact.
