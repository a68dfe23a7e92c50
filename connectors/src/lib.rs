//! Iceshop's boundary: public messages, and the sources and sinks that carry them.
//!
//! A publisher or a worker depends on this crate alone. It knows no market and no dataflow.

pub mod wire;
