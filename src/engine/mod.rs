//! The engine thread: requests in, events out, caches between.
