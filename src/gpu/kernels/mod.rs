//! One file per shader: launcher, CPU twin and the test that they agree.
