//! The generated rules and the route, held by the programs that read them: promtool and amtool.

mod callers;
mod etcd;
mod gates;
mod history;
mod mutations;
mod people;
mod promtool;
mod ready;
mod route;
mod table;
mod verdict;
mod webhook_calls;
