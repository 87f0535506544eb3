//! Following links: what the monitor tells, and what nobody tells.

use vswitch_common::port::PortId;

use super::{Controller, Live};
use crate::api::types::HookChoice;
use crate::error::chain;
use crate::netlink::monitor::LinkEvent;
use crate::netlink::xdp_features::XdpFeatures;
use crate::netlink::{Link, LinkKind, peer, xdp_features};

/// Ports looked at in one tick; each takes some 0.2 ms, more on a busy machine, which then has better things to do.
const RECHECKS_A_TICK: usize = 32;

impl Controller {
    /// A link changed: if it is a port's, or has the name of a port that lost its link, the port is brought about anew.
    pub(super) async fn follow(&mut self, event: &LinkEvent) {
        match event {
            LinkEvent::Changed(link) => {
                let port = self.state.port_by_index(link.index.0);
                let port = port.or_else(|| self.waiting_for(&link.name));
                if let Some(port) = port.filter(|port| self.is_news(*port, link)) {
                    self.reconverge(port).await;
                }
            }
            LinkEvent::Removed { index, .. } => {
                if let Some(port) = self.state.port_by_index(index.0) {
                    self.reconverge(port).await;
                }
            }
            LinkEvent::Overrun => {
                let ports: Vec<PortId> = self.state.ports.keys().map(|slot| PortId(*slot)).collect();
                for port in ports {
                    self.reconverge(port).await;
                }
            }
        }
    }

    /// The port whose link of this name has gone.
    fn waiting_for(&self, name: &str) -> Option<PortId> {
        self.state.port_by_link(name).filter(|(_, port)| port.ifindex == 0).map(|(port, _)| port)
    }

    fn is_news(&self, port: PortId, link: &Link) -> bool {
        self.live.get(&port.0).and_then(|live| live.link.as_ref()) != Some(link)
    }

    pub(super) async fn reconverge(&mut self, port: PortId) {
        let was = self.link_name(port);
        let result =
            self.converge(port).await.and_then(|()| self.install_entries(port)).and_then(|()| self.save());
        match result {
            Ok(()) => {
                self.behind.remove(&port.0);
                tracing::debug!(link = was, "followed a change of the link");
            }
            // Said once until it succeeds.
            Err(error) if self.behind.insert(port.0) => {
                let error = chain(&error);
                tracing::warn!(link = was, error, "cannot follow a change of the link; trying again");
            }
            Err(error) => tracing::debug!(link = was, error = chain(&error), "tried again in vain"),
        }
    }

    /// Tries again what failed.
    pub(super) async fn catch_up(&mut self) {
        for slot in self.retries.next(self.behind.iter().copied(), RECHECKS_A_TICK) {
            self.reconverge(PortId(slot)).await;
        }
    }

    /// What no event tells: peers that moved, came up, changed their address or lost their preparation, and links whose
    /// ability to be redirected to changed.
    pub(super) async fn recheck_ports(&mut self) {
        let is_veth = |live: &Live| live.link.as_ref().is_some_and(|link| link.kind == LinkKind::Veth);
        let veths = self.live.iter().filter(|(_, live)| is_veth(live)).map(|(slot, _)| *slot);
        for slot in self.rechecks.next(veths, RECHECKS_A_TICK) {
            let port = PortId(slot);
            self.watch_traffic(port).await;
            let Some(link) = self.live.get(&slot).and_then(|live| live.link.clone()) else { continue };
            let facts = peer::facts(&self.netlink, link.index).await.ok();
            let Some(live) = self.live.get(&port.0) else { continue };
            let (is_target, is_xdp) = (live.setup.is_target, live.setup.xdp.is_some());
            let has_moved = facts != live.peer;
            // A veth takes redirects while its peer polls, which somebody in there may end, or a peer begin that came up.
            let is_changed =
                is_xdp && self.takes_redirects(&link).await.is_some_and(|takes| takes != is_target);
            if has_moved || is_changed || self.has_wrong_segments(port) {
                self.reconverge(port).await;
            }
        }
    }

    /// Changes the hook of a port where that is the switch's choice and its traffic speaks for the other one.
    async fn watch_traffic(&mut self, port: PortId) {
        let choice = self.state.ports.get(&port.0).map(|state| state.options.hook);
        if choice != Some(HookChoice::Auto) {
            return;
        }
        let (Ok(counters), now_ns) = (self.datapath.counters(port), self.datapath.now_ns()) else { return };
        if !self.live.entry(port.0).or_default().watch.look(&counters, now_ns) {
            return;
        }
        self.reconverge(port).await;
        let live = self.live.entry(port.0).or_default();
        if live.watch.xdp_reason().is_some() && live.setup.xdp.is_none() {
            live.watch.refuse(now_ns);
        }
    }

    async fn takes_redirects(&self, link: &Link) -> Option<bool> {
        let features = xdp_features::get(&self.netlink, link.index).await.ok().flatten();
        features.map(XdpFeatures::is_redirect_target)
    }
}
