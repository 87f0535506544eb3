//! Which hook a port gets: a pure choice from what the user asked for and what is behind the link.

use crate::api::types::HookChoice;
use crate::datapath::XdpMode;
use crate::netlink::LinkKind;

/// What is known about the link when the choice is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// The kind of link.
    pub(super) kind: LinkKind,
    /// Whether the driver has native XDP; none where the kernel does not tell.
    pub(super) has_native_xdp: Option<bool>,
    /// For a veth: whether the peer can be prepared, or why not.
    pub(super) peer: Result<(), String>,
    /// For a veth: why its traffic speaks for XDP, if it does.
    pub(super) for_xdp: Option<String>,
    /// And why it speaks for tc, where it once spoke for XDP.
    pub(super) for_tc: Option<String>,
}

/// The choice and its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    /// XDP, and how; none is tc alone.
    pub(super) xdp: Option<XdpMode>,
    /// What `port show` says.
    pub(super) reason: String,
}

impl Chosen {
    pub(super) fn tc(reason: impl Into<String>) -> Self {
        Self { xdp: None, reason: reason.into() }
    }

    fn xdp(mode: XdpMode, reason: &str) -> Self {
        Self { xdp: Some(mode), reason: reason.to_owned() }
    }

    /// The choice when attaching XDP as chosen failed: tc, which needs nothing, and why.
    #[must_use]
    pub(super) fn fallback(error: &dyn std::error::Error) -> Self {
        Self::tc(format!("tc because XDP does not attach: {}", crate::error::chain(error)))
    }
}

/// Chooses.
#[must_use]
pub(super) fn choose(asked: HookChoice, around: &Surroundings) -> Chosen {
    match (asked, &around.kind) {
        (HookChoice::Tc, _) => Chosen::tc("tc as asked"),
        (HookChoice::Auto, LinkKind::Veth) => match (&around.for_xdp, &around.peer, &around.for_tc) {
            (Some(why), Ok(()), _) => Chosen::xdp(XdpMode::Native, why),
            (Some(why), Err(but), _) => {
                Chosen::tc(format!("{why}, but the peer cannot be prepared for XDP: {but}"))
            }
            (None, _, Some(why)) => Chosen::tc(why.as_str()),
            (None, _, None) => Chosen::tc(
                "auto: a kernel stack behind a veth is faster by tc, where GSO and checksum offload survive",
            ),
        },
        (HookChoice::Auto, LinkKind::Physical) if around.has_native_xdp == Some(true) => {
            Chosen::xdp(XdpMode::Native, "auto: the driver has native XDP")
        }
        (HookChoice::Auto, LinkKind::Physical) => Chosen::tc("auto: the driver has no native XDP"),
        (HookChoice::Auto, _) => Chosen::tc("auto: frames of this link are socket buffers already"),
        (HookChoice::Xdp, LinkKind::Veth) => match &around.peer {
            Ok(()) => Chosen::xdp(XdpMode::Native, "xdp as asked; the peer is prepared for it"),
            Err(why) => Chosen::tc(format!("tc because the peer cannot be prepared for XDP: {why}")),
        },
        (HookChoice::Xdp, _) if around.has_native_xdp == Some(false) => {
            Chosen::xdp(XdpMode::Generic, "generic XDP because the driver has no native XDP")
        }
        (HookChoice::Xdp, _) => Chosen::xdp(XdpMode::Native, "xdp as asked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn veth(peer: Result<(), String>) -> Surroundings {
        Surroundings { kind: LinkKind::Veth, has_native_xdp: Some(true), peer, for_xdp: None, for_tc: None }
    }

    fn physical(has_native_xdp: bool) -> Surroundings {
        Surroundings {
            kind: LinkKind::Physical,
            has_native_xdp: Some(has_native_xdp),
            peer: Err("no veth".to_owned()),
            for_xdp: None,
            for_tc: None,
        }
    }

    #[test]
    fn auto_is_tc_for_containers_and_xdp_for_uplinks_that_can() {
        assert_eq!(choose(HookChoice::Auto, &veth(Ok(()))).xdp, None);
        assert_eq!(choose(HookChoice::Auto, &physical(true)).xdp, Some(XdpMode::Native));
        assert_eq!(choose(HookChoice::Auto, &physical(false)).xdp, None);
    }

    #[test]
    fn traffic_that_speaks_for_xdp_gets_it_where_the_peer_can_be_prepared() {
        let born = |peer| Surroundings { for_xdp: Some("auto: born".to_owned()), ..veth(peer) };
        assert_eq!(choose(HookChoice::Auto, &born(Ok(()))).xdp, Some(XdpMode::Native));
        assert_eq!(choose(HookChoice::Tc, &born(Ok(()))).xdp, None);
        let refused = choose(HookChoice::Auto, &born(Err("no such namespace".to_owned())));
        assert_eq!(refused.xdp, None);
        assert!(refused.reason.contains("no such namespace"));
        let back = Surroundings { for_tc: Some("auto: back".to_owned()), ..veth(Ok(())) };
        assert_eq!(choose(HookChoice::Auto, &back).reason, "auto: back");
    }

    #[test]
    fn xdp_on_a_veth_needs_its_peer_and_says_so() {
        assert_eq!(choose(HookChoice::Xdp, &veth(Ok(()))).xdp, Some(XdpMode::Native));
        let refused = choose(HookChoice::Xdp, &veth(Err("no such namespace".to_owned())));
        assert_eq!(refused.xdp, None);
        assert!(refused.reason.contains("no such namespace"));
    }

    #[test]
    fn generic_xdp_is_a_said_fallback_only() {
        let chosen = choose(HookChoice::Xdp, &physical(false));
        assert_eq!(chosen.xdp, Some(XdpMode::Generic));
        assert!(chosen.reason.contains("generic"));
    }
}
