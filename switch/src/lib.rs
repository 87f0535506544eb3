//! vswitch: a virtual switch for the containers of a Linux host.
//!
//! One crate for one binary: the controller (`daemon`, `controller`) and its clients (`cli`), which share `api` and the question
//! to a Docker engine (`engine`).

pub mod capture;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod privileges;

pub mod api;
pub mod controller;
pub mod docker;
pub mod engine;
pub mod gateway;
pub mod multicast;
pub mod neighbours;

pub mod datapath;
pub mod netlink;

pub mod error;
pub mod sys;
