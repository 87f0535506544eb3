//! The veth pair between a bridge and the network that stands for it: `vswb<N>` at the bridge, `vswp<N>` at the switch.
//!
//! The bridge's end has the bridge's own MTU, and the bridge is given the MAC that it has. A bridge takes both from its
//! ports unless somebody set them, and must not change them when its ports leave: the containers know their gateway by that
//! MAC. It is the one thing that a release leaves behind, and that every container engine does anyway.

use std::time::{Duration, Instant};

use vswitch_common::domain::DomainId;
use vswitch_common::port::PortId;

use super::{Controller, Pair};
use crate::api::error::{ApiError, ErrorCode};
use crate::controller::state::{EntryState, PortOptions};
use crate::controller::{datapath_failed, netlink_failed};
use crate::netlink::bridge::{self, BridgeFacts};
use crate::netlink::veth::{self, End};
use crate::netlink::{Link, LinkIndex};

/// Longest forward delay of STP that a takeover waits for, twice: what libvirt sets. Hundredths of a second.
pub(super) const FORWARD_DELAY_MOST_CS: u32 = 200;

/// How long a new link may take to have a carrier, which Linux tells up to a second late.
const CARRIER_LIMIT: Duration = Duration::from_secs(5);

/// Time between two looks at a link.
const PAUSE: Duration = Duration::from_millis(5);

/// Numbers tried for a pair; each other controller of this namespace has some.
const NUMBERS: u16 = 10_000;

fn names(number: u16) -> (String, String) {
    (format!("vswb{number}"), format!("vswp{number}"))
}

impl Controller {
    /// The lowest number whose names no link has.
    pub(super) async fn free_number(&self) -> Result<u16, ApiError> {
        let links = self.netlink.list().await.map_err(|e| netlink_failed(&e))?;
        let is_free = |number: &u16| {
            let (near, far) = names(*number);
            let is_reserved = self.state.takeovers.values().any(|taken| taken.number == *number);
            !is_reserved && links.iter().all(|link| link.name != near && link.name != far)
        };
        (1..=NUMBERS).find(is_free).ok_or_else(|| {
            ApiError::new(
                ErrorCode::LimitReached,
                "all names vswb1 to vswb10000 are taken: delete such links first",
            )
        })
    }

    /// The switch's port to a bridge that is taken over.
    pub(super) fn pair_port(&self, name: &str) -> Option<PortId> {
        let number = self.state.takeovers.get(name)?.number;
        self.state.port_by_link(&names(number).1).map(|(port, _)| port)
    }

    /// Makes the pair, joins its ends to both sides and waits until both forward.
    pub(super) async fn ensure_pair(
        &mut self,
        name: &str,
        bridge: &Link,
        links: &[Link],
    ) -> Result<Pair, ApiError> {
        let number = self.state.takeovers.get(name).map_or(0, |taken| taken.number);
        let (near, far) = names(number);
        let find = |name: &str| links.iter().find(|link| link.name == name);
        let is_there = find(&near).zip(find(&far)).is_some();
        let pair = match find(&near).zip(find(&far)) {
            Some((near, far)) => Pair { bridge: bridge.index, at_bridge: near.index, at_switch: far.index },
            None => self.make_pair(&near, &far, bridge).await?,
        };
        let failed = |e| netlink_failed(&e);
        if !is_there {
            self.netlink.set_mac(bridge.index, bridge.mac).await.map_err(failed)?;
        }
        if find(&near).is_none_or(|link| link.master != Some(bridge.index)) {
            self.netlink.set_master(pair.at_bridge, Some(bridge.index)).await.map_err(failed)?;
        }
        for (index, found) in [(pair.at_bridge, find(&near)), (pair.at_switch, find(&far))] {
            if found.is_none_or(|link| !link.is_up) {
                self.netlink.set_up(index).await.map_err(failed)?;
            }
            if found.is_some_and(|link| link.mtu < bridge.mtu) {
                self.netlink.set_mtu(index, bridge.mtu).await.map_err(failed)?;
            }
        }
        match self.pair_port(name) {
            Some(_) if is_there => {}
            Some(port) => {
                self.wait_for_pair(pair, bridge).await?;
                self.converge(port).await?;
                self.install_entries(port)?;
            }
            None => {
                self.wait_for_pair(pair, bridge).await?;
                let name_here = Some(name.to_owned());
                // DHCP and router advertisements for containers come from the host.
                let options = PortOptions { name: name_here, trusted: true, ..PortOptions::default() };
                self.make_port(&far, name, options).await?;
            }
        }
        self.follow_gateway(name, bridge).await?;
        Ok(pair)
    }

    async fn make_pair(&self, near: &str, far: &str, bridge: &Link) -> Result<Pair, ApiError> {
        let mtu = Some(bridge.mtu);
        let near = End { name: near.to_owned(), mac: None, mtu };
        let far = End { name: far.to_owned(), mac: None, mtu };
        let made = veth::create(&self.netlink, &near, &far).await.map_err(|e| netlink_failed(&e))?;
        Ok(Pair { bridge: bridge.index, at_bridge: made.0, at_switch: made.1 })
    }

    /// Waits until frames can pass from the switch to the bridge and back.
    async fn wait_for_pair(&mut self, pair: Pair, bridge: &Link) -> Result<(), ApiError> {
        let facts = bridge::facts(&self.netlink, bridge.index).await.map_err(|e| netlink_failed(&e))?;
        self.wait_for_bridge_ports(&[pair.at_bridge], &facts).await?;
        let until = Instant::now() + CARRIER_LIMIT;
        loop {
            let link = self.netlink.by_index(pair.at_switch).await.map_err(|e| netlink_failed(&e))?;
            if link.has_carrier || Instant::now() > until {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the bridge forwards by each of these ports.
    ///
    /// # Errors
    /// `kernel` when one does not in time.
    pub(super) async fn wait_for_bridge_ports(
        &mut self,
        ports: &[LinkIndex],
        facts: &BridgeFacts,
    ) -> Result<(), ApiError> {
        // Under STP a port listens for one forward delay and learns for another.
        let stp = if facts.has_stp { u64::from(facts.forward_delay_cs) * 20 } else { 0 };
        let until = Instant::now() + CARRIER_LIMIT + Duration::from_millis(stp);
        for port in ports {
            while !bridge::is_forwarding(&self.netlink, *port).await.map_err(|e| netlink_failed(&e))? {
                if Instant::now() > until {
                    let message =
                        format!("the bridge does not forward by its port {port}: see `bridge link`");
                    return Err(ApiError::new(ErrorCode::Kernel, message));
                }
                // Nothing else beats meanwhile.
                self.datapath.beat().map_err(|e| datapath_failed(&e))?;
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Says where the bridge's own MAC and addresses are: nobody but the bridge can have them. The port is not guarded:
    /// whatever the bridge forwards comes by it, with sources of every kind.
    async fn follow_gateway(&mut self, name: &str, bridge: &Link) -> Result<(), ApiError> {
        let Some(port) = self.pair_port(name) else { return Ok(()) };
        let given = self.netlink.addresses(bridge.index).await.map_err(|e| netlink_failed(&e))?;
        let ips: Vec<_> = given.iter().map(|given| given.address).collect();
        let gateway = EntryState { mac: bridge.mac, vlan: None, sticky: true };
        let Some(domain) = self.state.networks.get(name).map(|network| network.domain) else { return Ok(()) };
        let is_new_mac =
            self.state.ports.get(&port.0).is_some_and(|state| state.entries != [gateway.clone()]);
        let Some(taken) = self.state.takeovers.get_mut(name) else { return Ok(()) };
        if !is_new_mac && taken.addresses == ips {
            return Ok(());
        }
        // Known again when all of it is done.
        taken.addresses.clear();
        self.withdraw_entries(port)?;
        if let Some(state) = self.state.ports.get_mut(&port.0) {
            state.entries = vec![gateway];
        }
        self.install_entries(port)?;
        self.configure_neighbours(DomainId(domain), bridge.mac, port, &ips);
        if let Some(taken) = self.state.takeovers.get_mut(name) {
            taken.addresses = ips;
        }
        self.save()
    }

    /// Takes the pair away, and the port with it.
    pub(super) async fn remove_pair(&mut self, name: &str) -> Result<(), ApiError> {
        if let Some(port) = self.pair_port(name) {
            self.remove_port(port).await?;
        }
        let (near, far) = names(self.state.takeovers.get(name).map_or(0, |taken| taken.number));
        for end in [near, far] {
            match self.netlink.by_name(&end).await {
                Ok(link) => veth::delete(&self.netlink, link.index).await.map_err(|e| netlink_failed(&e))?,
                Err(error) if error.is_no_such_link() => {}
                Err(error) => return Err(netlink_failed(&error)),
            }
        }
        Ok(())
    }
}
