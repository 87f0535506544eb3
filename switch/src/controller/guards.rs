//! The anti-spoof guard in the controller's terms: a port whose host's addresses were said takes no other sources.

use std::collections::BTreeSet;
use std::net::IpAddr;

use vswitch_common::guard::GuardKey;
use vswitch_common::port::{PortId, flag};

use super::state::PortOptions;
use super::{Controller, datapath_failed};
use crate::api::error::ApiError;

impl Controller {
    /// Lets the port have just the addresses of its options. Addresses that are new come before the flags that make them
    /// matter, and old ones go before it is guarded no more; either way the port is never freer than before and after.
    pub(super) fn set_guards(&mut self, port: PortId) -> Result<(), ApiError> {
        let options = self.state.ports.get(&port.0).map(|state| &state.options);
        let options = options.filter(|options| !options.router);
        let wanted: BTreeSet<IpAddr> =
            options.map(|options| options.ips.iter().copied().collect()).unwrap_or_default();
        let given = self.live.get(&port.0).map(|live| live.guards.clone()).unwrap_or_default();
        for ip in given.symmetric_difference(&wanted) {
            self.set_guard(port, *ip, wanted.contains(ip))?;
        }
        Ok(())
    }

    /// One address, noted as soon as it is so: a failure at the next one leaves no doubt about this one.
    fn set_guard(&mut self, port: PortId, ip: IpAddr, is_given: bool) -> Result<(), ApiError> {
        self.datapath.set_guard(&key(port, ip), is_given).map_err(|e| datapath_failed(&e))?;
        let guards = &mut self.live.entry(port.0).or_default().guards;
        if is_given {
            guards.insert(ip);
        } else {
            guards.remove(&ip);
        }
        Ok(())
    }

    /// Takes every address back.
    pub(super) fn clear_guards(&mut self, port: PortId) -> Result<(), ApiError> {
        let given = self.live.get(&port.0).map(|live| live.guards.clone()).unwrap_or_default();
        given.into_iter().try_for_each(|ip| self.set_guard(port, ip, false))
    }
}

/// The guard's bits of a port's flags, and the MAC that it takes alone (0 is any).
pub(super) fn flags(options: &PortOptions) -> (u32, u64) {
    let mac = options.mac.map_or(0, |mac| mac.bits());
    let mut flags = if options.is_guarded() { flag::GUARDED } else { 0 };
    if !options.ips.is_empty() && !options.router {
        flags |= flag::GUARDED_IP;
    }
    if options.trusted {
        flags |= flag::TRUSTED;
    }
    (flags, mac)
}

pub(super) fn key(port: PortId, ip: IpAddr) -> GuardKey {
    match ip {
        IpAddr::V4(ip) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&ip.octets());
            GuardKey { ip: octets, port: port.0, family: 4 }
        }
        IpAddr::V6(ip) => GuardKey { ip: ip.octets(), port: port.0, family: 6 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_is_not_guarded_and_one_with_addresses_is() {
        let bare = PortOptions::default();
        assert_eq!(flags(&bare), (0, 0));
        let given = PortOptions { ips: vec![IpAddr::from([10, 0, 0, 1])], ..PortOptions::default() };
        assert_eq!(flags(&given), (flag::GUARDED | flag::GUARDED_IP, 0));
        let router = PortOptions { router: true, ..given.clone() };
        assert_eq!(flags(&router), (flag::GUARDED, 0));
        let trusted = PortOptions { trusted: true, ..given };
        assert_eq!(flags(&trusted).0 & flag::TRUSTED, flag::TRUSTED);
    }
}
