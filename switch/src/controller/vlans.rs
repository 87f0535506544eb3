//! VLANs in the controller's terms: what a port's options mean, which domain a VLAN is, and what a domain is called.

use vswitch_common::domain::DomainId;
use vswitch_common::vlan::{VIDS, VlanId, VlanSet};

use super::state::{NetworkState, PortOptions};
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::{PortVlan, VlanMode};

/// VLAN of a port of a VLAN-aware network about whose VLAN nothing was said (802.1Q table 9-2: the default PVID).
const DEFAULT_PVID: u16 = 1;

/// The options as they are in force: on a VLAN-aware network a port of which nothing was said is an access port of VLAN 1.
pub(super) fn in_force(network: &NetworkState, options: &PortOptions) -> PortVlan {
    if network.vlan_aware && options.vlan.mode == VlanMode::None {
        return PortVlan { mode: VlanMode::Access, pvid: VlanId::new(DEFAULT_PVID), allowed: String::new() };
    }
    options.vlan.clone()
}

/// The tagged VLANs of a trunk.
pub(super) fn set_of(vlan: &PortVlan) -> VlanSet {
    let mut set = VlanSet::EMPTY;
    for range in vlan.allowed_ranges().unwrap_or_default() {
        for vid in range.start().get()..=range.end().get() {
            VlanId::new(vid).into_iter().for_each(|vid| set.insert(vid));
        }
    }
    set
}

/// Whether the options make sense on the network.
///
/// # Errors
/// `invalid-vlan`.
pub(super) fn check(link: &str, name: &str, network: &NetworkState, vlan: &PortVlan) -> Result<(), ApiError> {
    let refuse = |why: String| Err(ApiError::new(ErrorCode::InvalidVlan, format!("{link}: {why}")));
    match vlan.mode {
        VlanMode::None => Ok(()),
        _ if !network.vlan_aware => refuse(format!(
            "network {name} is not VLAN-aware, so its ports have no VLAN modes: `vswitch network create --vlan-aware` makes one, --no-vlan takes a port's mode back"
        )),
        VlanMode::Access if vlan.pvid.is_none() => refuse("an access port has one VLAN: name it".to_owned()),
        VlanMode::Access => Ok(()),
        VlanMode::Trunk => match vlan.allowed_ranges() {
            Ok(ranges) if ranges.is_empty() && vlan.pvid.is_none() => {
                refuse("a trunk has VLANs: list them, or say all".to_owned())
            }
            Ok(_) => Ok(()),
            Err(error) => refuse(error.to_string()),
        },
    }
}

/// The domain of a network's VLAN; `vid` is none on a VLAN-unaware one.
pub(super) fn domain(network: &NetworkState, vid: Option<VlanId>) -> DomainId {
    DomainId(network.domain + vid.filter(|_| network.vlan_aware).map_or(0, VlanId::get))
}

/// The first domain of the network that a domain belongs to, and the VLAN in it. VLAN-unaware networks have the domains
/// below 4,096, one each.
pub(crate) fn base(domain: u16) -> (u16, Option<VlanId>) {
    match domain / VIDS {
        0 => (domain, None),
        block => (block * VIDS, VlanId::new(domain % VIDS)),
    }
}

/// The VLAN of an FDB entry: none on a VLAN-unaware network; the port's own where nothing was said.
///
/// # Errors
/// `invalid-vlan` when there is none to tell.
pub(super) fn of_entry(
    network: &NetworkState,
    said: Option<VlanId>,
    options: Option<&PortOptions>,
) -> Result<Option<VlanId>, ApiError> {
    if !network.vlan_aware {
        return match said {
            None => Ok(None),
            Some(_) => {
                Err(ApiError::new(ErrorCode::InvalidVlan, "the network is not VLAN-aware: leave --vlan out"))
            }
        };
    }
    let vlan = options.map(|options| in_force(network, options));
    match (said, vlan) {
        (Some(said), Some(vlan)) if !is_member(&vlan, said) => Err(ApiError::new(
            ErrorCode::InvalidVlan,
            format!("the port is no member of VLAN {}: nothing sent there would leave by it", said.get()),
        )),
        (Some(said), _) => Ok(Some(said)),
        (None, vlan) => vlan.and_then(|vlan| vlan.pvid).map(Some).ok_or_else(|| {
            ApiError::new(
                ErrorCode::InvalidVlan,
                "the network is VLAN-aware: name the entry's VLAN with --vlan",
            )
        }),
    }
}

fn is_member(vlan: &PortVlan, vid: VlanId) -> bool {
    vlan.pvid == Some(vid) || (vlan.mode == VlanMode::Trunk && set_of(vlan).has(vid.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aware() -> NetworkState {
        NetworkState { id: 5, domain: 2 * VIDS, vlan_aware: true, ..NetworkState::default() }
    }

    fn trunk(allowed: &str, pvid: Option<u16>) -> PortVlan {
        PortVlan { mode: VlanMode::Trunk, pvid: pvid.and_then(VlanId::new), allowed: allowed.to_owned() }
    }

    #[test]
    fn a_domain_says_its_network_and_vlan() {
        let network = aware();
        let vlan = VlanId::new(100);
        let domain = domain(&network, vlan);
        assert_eq!(base(domain.0), (network.domain, vlan));
        assert_eq!(base(7), (7, None));
    }

    #[test]
    fn a_port_of_which_nothing_was_said_is_in_vlan_1() {
        let vlan = in_force(&aware(), &PortOptions::default());
        assert_eq!((vlan.mode, vlan.pvid.map(VlanId::get)), (VlanMode::Access, Some(1)));
        assert_eq!(in_force(&NetworkState::default(), &PortOptions::default()), PortVlan::default());
    }

    #[test]
    fn vlan_modes_need_a_vlan_aware_network_and_vlans() {
        assert!(check("v", "n", &NetworkState::default(), &trunk("all", None)).is_err());
        assert!(check("v", "n", &aware(), &trunk("", None)).is_err());
        assert!(check("v", "n", &aware(), &trunk("5-", None)).is_err());
        assert!(check("v", "n", &aware(), &trunk("", Some(7))).is_ok());
        assert!(check("v", "n", &aware(), &trunk("all", None)).is_ok());
    }

    #[test]
    fn a_trunk_set_has_all_it_lists() {
        let set = set_of(&trunk("1,10-12,4094", None));
        let has: Vec<u16> = (0..VIDS).filter(|vid| set.has(*vid)).collect();
        assert_eq!(has, [1, 10, 11, 12, 4094]);
    }
}
