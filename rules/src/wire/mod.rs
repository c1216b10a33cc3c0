//! What others answer, parsed: bytes in, values or a clear error out. No judgement.

pub mod alertmanager;
pub mod api_requests;
pub mod command_line;
pub mod helm;
pub mod kubelet;
pub mod packages;
pub mod prometheus;
pub mod risk;
pub mod webhook_calls;
