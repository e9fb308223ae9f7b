//! What is kept of an inspection: text, JSON, CSV, HTML and pictures.
