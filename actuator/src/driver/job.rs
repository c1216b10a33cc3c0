//! The Job driver: every order is refused. The first one is the look before anything is touched, so that nothing ever is.

use lockkeeper_rules::reason::{Finding, Reason};
use lockkeeper_rules::words::name::NodeName;

pub(super) fn refusal(node: &NodeName) -> Finding {
    Finding::new(Reason::PreflightFailed, node.0.clone(), "this version cannot run Jobs")
}
