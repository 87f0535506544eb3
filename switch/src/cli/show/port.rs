//! Ports: a line each, or one in detail.

use super::{list, or_nothing, pairs, table, yes_no};
use crate::api::types::{
    Endpoint, Hook, HookChoice, HookMode, Port, PortQuarantine, PortState, PortVlan, VlanMode,
};

/// A line a port.
pub(in crate::cli) fn ports(ports: &[Port]) -> String {
    let titles = ["NAME", "NETWORK", "STATE", "HOOK", "MODE", "VLAN", "MTU", "RX", "TX", "DROPS", "ENDPOINT"];
    let rows = ports.iter().map(|port| {
        [
            port.name.clone(),
            port.network.clone(),
            state(port.state).to_string(),
            hook(port.hook).to_string(),
            hook_mode(port.hook_mode).to_string(),
            vlan(&port.vlan),
            port.mtu.to_string(),
            port.counters.rx_packets.to_string(),
            port.counters.tx_packets.to_string(),
            dropped(port).to_string(),
            endpoint(port.endpoint.as_ref()),
        ]
    });
    table(titles, rows)
}

/// All about each port, an empty line between them.
pub(in crate::cli) fn ports_in_detail(ports: &[Port]) -> String {
    ports.iter().map(detail).collect::<Vec<_>>().join("\n")
}

fn detail(port: &Port) -> String {
    let counters = &port.counters;
    let host = port.endpoint.as_ref();
    let mut rows = vec![
        ("name", port.name.clone()),
        ("link index", port.ifindex.to_string()),
        ("network", port.network.clone()),
        ("state", state(port.state).to_string()),
        ("hook", format!("{} {}", hook(port.hook), hook_mode(port.hook_mode))),
        ("hook asked for", choice(port.hook_choice).to_string()),
        ("hook reason", port.hook_reason.clone()),
        ("vlan", vlan(&port.vlan)),
        ("mtu", port.mtu.to_string()),
        ("big tcp", format!("{}: {}", yes_no(port.big_tcp), port.big_tcp_reason)),
        ("isolated", yes_no(port.isolated)),
        ("hairpin", yes_no(port.hairpin)),
        ("learning", yes_no(port.learning)),
        ("flood", yes_no(port.flood)),
        ("mac limit", or_nothing(port.mac_limit)),
        ("host", or_nothing(host.and_then(|host| host.name.as_ref()))),
        ("host mac", or_nothing(host.and_then(|host| host.mac))),
        ("host addresses", list(host.map_or(&[][..], |host| &host.addresses))),
        ("rx", format!("{} frames {} bytes", counters.rx_packets, counters.rx_bytes)),
        ("tx", format!("{} frames {} bytes", counters.tx_packets, counters.tx_bytes)),
    ];
    rows.extend(port.quarantine.as_ref().map(|why| ("quarantine", quarantine(why))));
    rows.extend(
        counters.rx_by_hook.iter().map(|(hook, frames)| ("rx by hook", format!("{hook} {frames} frames"))),
    );
    rows.push(("answered", format!("{} ARP requests", counters.answered)));
    rows.push(("punted", format!("{} frames", counters.punted)));
    rows.push(("not learned", format!("{} sources", counters.not_learned)));
    rows.push(("drops", format!("{} frames", dropped(port))));
    rows.extend(
        counters.drops.iter().map(|(reason, frames)| ("drop reason", format!("{reason} {frames} frames"))),
    );
    pairs(rows)
}

fn quarantine(why: &PortQuarantine) -> String {
    format!("{}; {:.0} s to go, the {}. time", why.reason, why.until_seconds.ceil(), why.count)
}

/// Frames dropped for any reason.
pub(super) fn dropped(port: &Port) -> u64 {
    port.counters.drops.values().sum()
}

/// As in JSON.
pub(super) fn state(state: PortState) -> &'static str {
    match state {
        PortState::Forwarding => "forwarding",
        PortState::Down => "down",
    }
}

/// As in JSON.
pub(super) fn hook(hook: Hook) -> &'static str {
    match hook {
        Hook::Xdp => "xdp",
        Hook::Tc => "tc",
    }
}

/// As in JSON.
pub(super) fn hook_mode(mode: HookMode) -> &'static str {
    match mode {
        HookMode::Native => "native",
        HookMode::Generic => "generic",
        HookMode::Tcx => "tcx",
        HookMode::Clsact => "clsact",
    }
}

fn choice(choice: HookChoice) -> &'static str {
    match choice {
        HookChoice::Auto => "auto",
        HookChoice::Xdp => "xdp",
        HookChoice::Tc => "tc",
    }
}

fn vlan(vlan: &PortVlan) -> String {
    match (vlan.mode, vlan.pvid) {
        (VlanMode::None, _) => super::NOTHING.to_string(),
        (VlanMode::Access, pvid) => format!("access {}", or_nothing(pvid)),
        (VlanMode::Trunk, None) => format!("trunk {}", vlan.allowed),
        (VlanMode::Trunk, Some(pvid)) => format!("trunk {} native {pvid}", vlan.allowed),
    }
}

/// The most telling thing known of the host: its name, else an address, else its MAC.
fn endpoint(host: Option<&Endpoint>) -> String {
    let named = host.and_then(|host| {
        let address = host.addresses.first().map(ToString::to_string);
        host.name.clone().or(address).or_else(|| host.mac.map(|mac| mac.to_string()))
    });
    or_nothing(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::samples;

    #[test]
    fn a_port_is_one_line_under_the_contracts_titles() {
        assert_eq!(
            ports(&[samples::port("veth0")]),
            "NAME   NETWORK  STATE       HOOK  MODE  VLAN                  MTU   RX    TX   DROPS  ENDPOINT\n\
             veth0  default  forwarding  tc    tcx   trunk 10,20 native 5  1500  1200  900  7      web\n"
        );
    }

    #[test]
    fn one_port_in_detail_says_why_it_has_its_hook() {
        let text = ports_in_detail(&[samples::port("veth0")]);
        assert!(text.contains("hook reason     a kernel TCP/IP stack is behind it\n"), "{text}");
        assert!(text.contains("drop reason     mtu 3 frames\ndrop reason     storm 4 frames\n"), "{text}");
        assert!(text.contains("mac limit       -\n"), "{text}");
    }

    #[test]
    fn words_in_text_are_those_in_json() {
        for (word, json) in [
            (hook(Hook::Xdp), serde_json::to_value(Hook::Xdp)),
            (hook_mode(HookMode::Generic), serde_json::to_value(HookMode::Generic)),
            (hook_mode(HookMode::Clsact), serde_json::to_value(HookMode::Clsact)),
            (state(PortState::Down), serde_json::to_value(PortState::Down)),
            (choice(HookChoice::Auto), serde_json::to_value(HookChoice::Auto)),
        ] {
            assert_eq!(json.expect("JSON"), word);
        }
    }

    #[test]
    fn a_host_without_a_name_shows_by_its_address_then_by_its_mac() {
        let mut host = samples::port("veth0").endpoint.expect("the sample has one");
        host.name = None;
        assert_eq!(endpoint(Some(&host)), "172.17.0.2");
        host.addresses.clear();
        assert_eq!(endpoint(Some(&host)), "02:42:ac:11:00:02");
        assert_eq!(endpoint(None), "-");
    }
}
