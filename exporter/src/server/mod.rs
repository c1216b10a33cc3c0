//! How both programs are asked: a listener with a limit on everything, and its web config file. What it answers is none
//! of its business.

pub mod http;
pub mod web_config;
