//! What leaves a node, in which order, and what stands in the way.

mod eviction;
mod forecast;
mod plan;
mod pod;

pub use eviction::*;
pub use forecast::*;
pub use plan::*;
pub use pod::*;
