//! The kubeadm driver: what is done on nodes, over SSH.
//!
//! Work is a transient unit on the node, so that it outlives this connection and this process; what became of it is
//! read from the node's ledger. A connection that is lost, or a deadline of ours that passes, says nothing about it.

mod session;
mod survey;
mod unit;

pub use session::{ScriptOutput, Ssh};
pub use survey::survey;
pub use unit::{read_ledger, restore_source, start_unit};
