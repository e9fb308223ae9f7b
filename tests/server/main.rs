//! The HTTP API from outside: the program is started on a free port and asked as strangers would ask it.

#[path = "../support/mod.rs"]
mod support;

mod client;
mod durability;
mod hostile;
mod inspecting;
mod rules;
mod segments;
mod words;
