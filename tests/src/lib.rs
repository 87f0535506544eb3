//! The lab the switch is tested in: hosts in network namespaces, unprepared links, a switch under test and real traffic.
//!
//! A test reads as the experiment it is:
//!
//! ```no_run
//! use vswitch_tests::prelude::*;
//!
//! let mut lab = Lab::new("two-hosts");
//! let (a, b) = (lab.host("a"), lab.host("b"));
//! lab.connect(&a, PortOptions::default());
//! lab.connect(&b, PortOptions::default());
//! ping(&a, &b, 56, 3);
//! ```
//!
//! Everything here panics with the reason instead of returning errors: a lab that cannot be built is a failed test.
//! Nothing outside the lab's own namespaces is touched, and all of it goes away on drop, on panic and on SIGINT.

pub mod bpf;
pub mod conformance;
pub mod docker;
pub mod footprint;
pub mod frame;
pub mod fuzz;
pub mod hooks;
pub mod lab;
pub mod machine;
pub mod model;
pub mod namespace;
pub mod process;
pub mod program;
pub mod proof;
pub mod resources;
pub mod scratch;
pub mod sniff;
pub mod stations;
pub mod switch;
pub mod sys;
pub mod systemd;
pub mod tap;
pub mod traffic;
pub mod wait;
pub mod world;

/// What nearly every test needs.
pub mod prelude {
    pub use std::time::Duration;

    pub use vswitch::api::types::{FdbEntry, FdbKind, Hook, Port, PortState, Status};
    pub use vswitch_common::mac::MacAddr;

    pub use crate::each_hook;
    pub use crate::footprint::Footprint;
    pub use crate::frame;
    pub use crate::hooks::Hooks;
    pub use crate::lab::{Host, HostOptions, Lab, PortOptions, Wire};
    pub use crate::proof;
    pub use crate::sniff::{Captured, Sniffer};
    pub use crate::stations::Stations;
    pub use crate::switch::{Rival, Switch};
    pub use crate::traffic::{
        self, checksum_errors, parallel_flows, ping, ping6, tcp_transfer, udp_exchange,
    };
    pub use crate::wait::{SOON, until};
}
