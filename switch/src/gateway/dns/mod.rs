//! Names on a gateway: hosts of the network by name and address, everything else by asking on.
//!
//! A server belongs to one network and knows that one only. It reads the names that the controller's loop publishes and
//! never asks the loop; it keeps no answer, so there is none to go stale or be poisoned. Its life is a [`Server`]'s.

mod answer;
mod server;
mod upstream;
mod resolv;
mod follow;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, RwLock};

use ipnet::IpNet;

pub use answer::{Reply, reply};
pub use server::{Server, start};
pub use upstream::Upstreams;

/// The names of one network at one moment.
#[derive(Debug, Default)]
pub struct Names {
    /// The network's name, which may follow a host's: `web.blue`.
    pub network: String,
    /// Its subnets: who is in none of them is not answered, and their reverse names are nobody else's business.
    pub subnets: Vec<IpNet>,
    /// Addresses by name in lower case.
    pub addresses: HashMap<String, Vec<IpAddr>>,
    /// Names by address.
    pub hosts: HashMap<IpAddr, String>,
}

/// Names as they are now, for the server to read and the loop to replace.
#[derive(Debug, Default, Clone)]
pub struct CurrentNames(Arc<RwLock<Arc<Names>>>);

impl CurrentNames {
    /// The names now.
    #[must_use]
    pub fn get(&self) -> Arc<Names> {
        // Held for the copy of a pointer only; what a panic left behind is whole.
        Arc::clone(&self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// From now on these.
    pub fn set(&self, names: Names) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Arc::new(names);
    }
}
