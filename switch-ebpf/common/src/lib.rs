//! The contract between the vswitch data path and its controller, and the switch's decisions as pure code.
//!
//! Nothing here performs I/O or reads a clock: the same functions run in XDP, in tc, in host tests and in the fuzzer.
//! Byte order: values in maps and events are in host order; whatever has wire order is an octet array.

#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "user")]
extern crate std;

pub mod limits;

pub mod domain;
pub mod mac;
pub mod port;
pub mod vlan;

pub mod fdb;
pub mod flap;
pub mod frame;
pub mod guard;
pub mod membership;
pub mod multicast;
pub mod nd;
pub mod neighbour;
pub mod policy;
pub mod recent;
pub mod storm;
pub mod verdict;

pub mod abi;
pub mod event;
#[cfg(feature = "user")]
pub mod pod;
pub mod stats;
pub mod trace;
#[cfg(feature = "user")]
pub mod text;
