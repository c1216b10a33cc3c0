//! Every test on the real parts, in one program: they run side by side, each in a World of its own, and are linked once.

mod addons;
mod bad_input;
mod blind;
mod cordoned;
mod crash;
mod crd;
mod dashboard;
mod deploy;
mod exporter;
mod facts;
mod gate;
mod gate_live;
mod hand_over;
mod hands;
mod harness;
mod kubelets;
mod listener;
mod people;
mod readme;
mod removed_apis;
mod rules;
mod shape;
mod unreadable;
mod upgrade;
mod verdict;
mod webhook;
