//! The contract between the vswitch data path and its controller, and the switch's decisions as pure code.
//!
//! Nothing here performs I/O or reads a clock: the same functions run in XDP, in tc, in host tests and in the fuzzer.
//! Byte order: values in maps and events are in host order; whatever has wire order is an octet array.

#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "user")]
extern crate std;

pub mod mac;
pub mod vlan;
#[cfg(feature = "user")]
pub mod text;
