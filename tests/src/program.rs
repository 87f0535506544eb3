//! The programs of the data path by themselves: loaded as the controller loads them, run by `BPF_PROG_TEST_RUN` over
//! frames of our making, attached to nothing.
//!
//! ```no_run
//! use vswitch_tests::program::*;
//!
//! Fixture::run(3, |fixture| {
//!     let run = fixture.tc(A, &plain(MacAddr::BROADCAST, station(1)));
//!     assert_eq!(run.end, End::Shot);
//!     assert_eq!(fixture.tally(), Tally::new().rx(A, 60).tx(B, 60).tx(C, 60));
//! });
//! ```

mod apart;

mod fixture;
mod links;
mod raw;
mod run;
mod tally;

mod budget;
mod cost;

pub use apart::{apart, obstacle};
pub use budget::{Budget, Finding, Row};
pub use cost::{Costs, MapCost, ProgramCost, cpus};
pub use fixture::{AWARE_DOMAIN, Fixture, MOST_PORTS, MOST_STATIONS, NETWORK, domain_of, key};
pub use links::{LINK_MTU, Link, Listener};
pub use run::{End, Gso, Run};
pub use tally::Tally;

pub use vswitch::api::types::Hook;
pub use vswitch::datapath::Datapath;
pub use vswitch_common::mac::MacAddr;
pub use vswitch_common::port::PortId;
pub use vswitch_common::port::flag;
pub use vswitch_common::verdict::DropReason;

use crate::frame;

/// The first ports.
pub const A: PortId = PortId(1);
/// The second.
pub const B: PortId = PortId(2);
/// The third.
pub const C: PortId = PortId(3);
/// The fourth.
pub const D: PortId = PortId(4);

/// A station's address.
#[must_use]
pub const fn station(number: u8) -> MacAddr {
    MacAddr::from_octets([2, 0, 0, 0, 0xaa, number])
}

/// A shortest frame that no stage looks into.
#[must_use]
pub fn plain(to: MacAddr, from: MacAddr) -> Vec<u8> {
    frame::raw(to, from, frame::EXPERIMENTAL, &[0x5a; 46])
}
