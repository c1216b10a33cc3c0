//! The gate: may this step start, may it go on? Judged on answers that were read a moment ago.

mod accept;
mod ask;
mod check;
mod class;
mod etcd;
mod history;
mod permit;

pub use accept::*;
pub use ask::*;
pub use check::*;
pub use class::*;
pub use etcd::*;
pub use permit::*;
