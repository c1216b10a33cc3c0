//! What leaves a node, in which order, and what stands in the way.

pub(crate) mod budget;
mod eviction;
mod forecast;
mod place;
mod placement;
mod plan;
mod pod;
mod volume;

pub(crate) use budget::overlap;
pub use budget::{Amount, Budget, Demand, is_of_budgets};
pub use eviction::*;
pub use forecast::*;
pub use place::*;
pub use placement::*;
pub use plan::*;
pub use pod::*;
pub use volume::*;
