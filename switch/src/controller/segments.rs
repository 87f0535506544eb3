//! Whether a network's hosts send segments of more than 64 KiB (BIG TCP), and their links made so.
//!
//! Between containers it is the biggest gain there is. But a link on the way with a smaller limit, a network card for one,
//! gets such a segment cut into single frames by the processor, where it would have cut 64 KiB itself; and a stack
//! chooses its segments by its own link, wherever they go. So of itself the switch does it only where nothing leads out.

use vswitch_common::port::PortId;

use super::Controller;
use crate::api::error::ApiError;
use crate::api::types::BigTcp;
use crate::error::chain;
use crate::netlink::peer::PeerFacts;
use crate::netlink::segments::{self, EnlargedPair};
use crate::netlink::{Link, LinkKind};

/// Whether a port's segments shall be long, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) is_on: bool,
    pub(super) reason: String,
}

/// What in a network leads to where segments would be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
enum WayOut {
    /// The gateway, by the host's routes.
    Gateway,
    /// A Linux bridge that stayed as the gateway.
    Bridge,
    /// A link that is no container's.
    Link(String),
}

fn choose(asked: BigTcp, kind: &LinkKind, way_out: Option<&WayOut>) -> Wish {
    let (is_on, reason) = match (asked, kind, way_out) {
        (BigTcp::Off, ..) => (false, "off as asked".to_owned()),
        (_, kind, _) if *kind != LinkKind::Veth => (false, "no veth: its own limits stay".to_owned()),
        (BigTcp::On, ..) => (true, "on as asked".to_owned()),
        (BigTcp::Auto, _, None) => (true, "auto: only containers are on the network".to_owned()),
        (BigTcp::Auto, _, Some(way)) => {
            let way = match way {
                WayOut::Gateway => "the network's gateway leads".to_owned(),
                WayOut::Bridge => "the bridge that was taken over leads".to_owned(),
                WayOut::Link(link) => format!("{link} leads"),
            };
            (false, format!("auto: {way} to links that would cut longer segments"))
        }
    };
    Wish { is_on, reason }
}

/// Whether something else than a container is behind the link. The end of a container to be is still here, and down.
fn leads_elsewhere(link: &Link, peer: Option<&PeerFacts>) -> bool {
    link.kind != LinkKind::Veth || peer.is_some_and(|peer| peer.is_in_same_namespace() && peer.is_up)
}

impl Controller {
    /// What is wished of a port with this link and this other end.
    fn big_tcp_wish(&self, port: PortId, link: &Link, peer: Option<&PeerFacts>) -> Option<Wish> {
        let state = self.state.ports.get(&port.0)?;
        let network = self.state.networks.get(&state.network)?;
        let is_gateway = self.state.gateway_of_port(port).is_some();
        let own = (!is_gateway && leads_elsewhere(link, peer)).then(|| WayOut::Link(link.name.clone()));
        let way_out = own.or_else(|| self.leads_out(&state.network, port));
        Some(choose(network.big_tcp, &link.kind, way_out.as_ref()))
    }

    /// What `port show` says: whether segments are long, and why or why not.
    pub(super) fn big_tcp(&self, port: PortId) -> Wish {
        let live = self.live.get(&port.0);
        let wish = live.and_then(|live| self.big_tcp_wish(port, live.link.as_ref()?, live.peer.as_ref()));
        let is_enlarged = self.state.ports.get(&port.0).is_some_and(|state| state.enlarged.is_some());
        match (wish, live.and_then(|live| live.refused_segments.as_ref())) {
            (Some(Wish { is_on: true, .. }), Some(refused)) => {
                Wish { is_on: is_enlarged, reason: refused.clone() }
            }
            (Some(wish), _) => Wish { is_on: is_enlarged, ..wish },
            (None, _) => Wish { is_on: is_enlarged, reason: "the link is gone".to_owned() },
        }
    }

    /// What leads out of the network beside this port, if anything does.
    fn leads_out(&self, name: &str, beside: PortId) -> Option<WayOut> {
        let network = self.state.networks.get(name)?;
        if self.state.takeovers.contains_key(name) {
            return Some(WayOut::Bridge);
        }
        if network.gateway.is_some() && !network.internal {
            return Some(WayOut::Gateway);
        }
        let gateway = network.gateway.as_ref().map(|gateway| gateway.port);
        let others = self.outward.iter().filter(|slot| **slot != beside.0 && Some(**slot) != gateway);
        let mut here =
            others.filter(|slot| self.state.ports.get(*slot).is_some_and(|port| port.network == name));
        here.next().map(|slot| WayOut::Link(self.link_name(PortId(*slot))))
    }

    /// Notes whether what is known of the port now leads elsewhere, so that nobody has to ask all ports.
    pub(super) fn note_outward(&mut self, port: PortId) {
        let live = self.live.get(&port.0);
        let link = live.and_then(|live| Some((live.link.as_ref()?, live.peer.as_ref())));
        if link.is_some_and(|(link, peer)| leads_elsewhere(link, peer)) {
            self.outward.insert(port.0);
        } else {
            self.outward.remove(&port.0);
        }
    }

    /// Whether the port's segments are other than they should be.
    pub(super) fn has_wrong_segments(&self, port: PortId) -> bool {
        let (Some(live), Some(state)) = (self.live.get(&port.0), self.state.ports.get(&port.0)) else {
            return false;
        };
        let Some(link) = &live.link else { return false };
        let Some(wish) = self.big_tcp_wish(port, link, live.peer.as_ref()) else { return false };
        if !wish.is_on {
            return state.enlarged.is_some();
        }
        let is_applied = live.peer.as_ref().is_some_and(|peer| segments::is_applied(link, peer.segments));
        !is_applied && live.refused_segments.is_none() && live.peer.is_some()
    }

    /// Makes both ends of the port's pair what is wished, and the facts what they then are. No port fails for it.
    pub(super) async fn size_segments(
        &mut self,
        port: PortId,
        link: &mut Link,
        peer: Option<&mut PeerFacts>,
    ) -> Result<(), ApiError> {
        let Some(wish) = self.big_tcp_wish(port, link, peer.as_deref()) else { return Ok(()) };
        match (wish.is_on, peer) {
            (true, Some(peer)) if !segments::is_applied(link, peer.segments) => {
                self.enlarge(port, link, peer).await
            }
            (true, _) => Ok(()),
            (false, _) => {
                self.put_segments_back(port).await;
                Ok(())
            }
        }
    }

    async fn enlarge(&mut self, port: PortId, link: &mut Link, peer: &mut PeerFacts) -> Result<(), ApiError> {
        let known = self.enlarged(port);
        let was = match known.filter(|known| known.link == link.index) {
            Some(known) => Ok(known),
            None => segments::survey(&self.netlink, link.index).await,
        };
        let done = match was {
            Ok(was) => {
                self.note_enlarged(port, Some(was.clone()));
                self.save()?;
                segments::apply(&self.netlink, &was).await
            }
            Err(error) => Err(error),
        };
        let refused = done.as_ref().err().map(|error| chain(error));
        if let Some(why) = &refused {
            tracing::debug!(link = link.name, error = why, "segments stay at 64 KiB");
            self.note_enlarged(port, None);
        } else {
            link.segments = link.segments.enlarged();
            peer.segments = peer.segments.enlarged();
        }
        self.live.entry(port.0).or_default().refused_segments = refused;
        Ok(())
    }

    /// Puts both ends back as they were, if they were enlarged.
    pub(super) async fn put_segments_back(&mut self, port: PortId) {
        let Some(was) = self.enlarged(port) else { return };
        if let Err(error) = segments::undo(&self.netlink, &was).await {
            let link = self.link_name(port);
            tracing::warn!(link, error = chain(&error), "cannot put segment sizes back as they were");
        }
        self.note_enlarged(port, None);
        self.live.entry(port.0).or_default().refused_segments = None;
    }

    fn enlarged(&self, port: PortId) -> Option<EnlargedPair> {
        self.state.ports.get(&port.0)?.enlarged.clone()
    }

    fn note_enlarged(&mut self, port: PortId, pair: Option<EnlargedPair>) {
        if let Some(state) = self.state.ports.get_mut(&port.0) {
            state.enlarged = pair;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_alone_get_long_segments_of_themselves() {
        assert!(choose(BigTcp::Auto, &LinkKind::Veth, None).is_on);
        for way in [WayOut::Gateway, WayOut::Bridge, WayOut::Link("eth1".to_owned())] {
            let wish = choose(BigTcp::Auto, &LinkKind::Veth, Some(&way));
            assert!(!wish.is_on && wish.reason.contains("lead"), "{wish:?}");
        }
    }

    #[test]
    fn what_is_asked_for_holds_for_every_veth_and_no_other_link() {
        assert!(choose(BigTcp::On, &LinkKind::Veth, Some(&WayOut::Gateway)).is_on);
        assert!(!choose(BigTcp::On, &LinkKind::Physical, None).is_on);
        assert!(!choose(BigTcp::Off, &LinkKind::Veth, None).is_on);
    }
}
