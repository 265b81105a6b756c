//! Tests of the parts that need no descriptor.

mod duty;
mod model;
mod races;
