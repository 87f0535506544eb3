//! Real traffic between hosts by their own kernel's stack, and what the stack thought of it.
//!
//! Sockets are made on threads inside the hosts; only ping, the DHCP clients and the daemons are foreign programs.

mod dhcp;
mod long;
pub mod mirror;
pub mod multicast;
mod ping;
mod probe;
mod stack;
mod tcp;
mod udp;

pub use dhcp::{DhcpServer, RouterDaemon, dhclient, udhcpc};
pub use long::LongTransfer;
pub use ping::{ping, ping_address, ping6, try_ping};
pub use probe::{Probe, ProbeReport};
pub use stack::{assert_no_checksum_errors, checksum_errors, forwarded_by_stack, stack_counters};
pub use tcp::{parallel_flows, tcp_send, tcp_transfer};
pub use udp::udp_exchange;
