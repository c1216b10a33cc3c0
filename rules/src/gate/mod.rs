//! The gate: may this step start, may it go on? Judged on answers that were read a moment ago.

mod accept;
mod ask;
mod check;
mod etcd;
mod history;
mod lock;
mod permit;
mod proof;
mod result;
mod selected;

pub use accept::*;
pub use ask::*;
pub use check::*;
pub use etcd::*;
pub use lock::{LOCK_NAME, LOCK_RUN_ANNOTATION, LockView, lock_view};
pub use permit::*;
pub use result::*;
