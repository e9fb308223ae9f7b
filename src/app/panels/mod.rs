//! The parts of the window. Each reads the state and pushes wishes; none changes anything itself.

pub mod benchmark;
pub mod canvas;
pub mod classes_sheet;
pub mod classify;
pub mod decision_sections;
pub mod description;
pub mod evaluate;
pub mod film_strip;
pub mod findings_tab;
pub mod grid;
pub mod histogram;
pub mod inspector;
pub mod kept;
pub mod label_bar;
pub mod legend;
pub mod prompt_section;
pub mod quality_section;
pub mod references_section;
pub mod segment;
pub mod sheets;
pub mod status_bar;
pub mod toasts;
pub mod top_bar;
pub mod training;
pub mod welcome;
pub mod why;
