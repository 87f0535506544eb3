//! Networks with a subnet: the gateway, its addresses, and what is reached through it.

mod addresses;
mod families;
mod firewall;
mod link;
mod names;
mod nat;
mod publish;
mod segments;
mod tools;
mod upstreams;
