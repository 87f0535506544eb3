//! vswitch: a virtual switch for the containers of a Linux host.

pub mod api;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod datapath;
pub mod netlink;
pub mod sys;
