//! What tests of gateways stand in: a switch whose namespace has a way out, and a host out there that knows nothing of
//! the networks behind it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::hooks::Hooks;
use crate::lab::{Host, HostOptions, Lab, PortOptions};
use crate::switch::Rival;
pub use crate::traffic::mirror::{Mirror, assert_seen, assert_unreachable, seen_by_tcp};

/// The switch's namespace as the outside sees it.
pub const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// And by IPv6.
pub const HOST6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
/// The host outside.
pub const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
/// And by IPv6.
pub const OUTSIDE6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));

/// A lab with a way out, and the host out there.
#[must_use]
pub fn world(title: &str) -> (Lab, Host) {
    let mut lab = Lab::with(title, Rival::Vswitch, Hooks::Auto);
    let outside = lab.host_with("out", HostOptions::unconfigured().number(99));
    lab.wire(&outside);
    lab.switch_ns().ip(&[
        "addr add 192.0.2.1/24 dev out0",
        "addr add 2001:db8::1/64 dev out0 nodad",
        "link set dev out0 up",
        "route add default via 192.0.2.2",
        "route add default via 2001:db8::2",
    ]);
    outside.namespace().ip(&["addr add 192.0.2.2/24 dev eth0", "addr add 2001:db8::2/64 dev eth0 nodad"]);
    // As most hosts are before a container engine comes.
    lab.switch_ns().sysctl("ipv4/ip_forward", "0");
    (lab, outside)
}

/// A network with 10.77.N.0/24 and fd77:N::/64, whose gateways are .254 and ::fe.
///
/// # Panics
/// When the switch refuses it.
#[track_caller]
pub fn network(lab: &Lab, name: &str, subnet: u8, extra: &[&str]) {
    let (v4, v6) = (format!("10.77.{subnet}."), format!("fd77:{subnet}::"));
    let v6 = if subnet == 0 { "fd77::".to_owned() } else { v6 };
    let arguments = [
        "network",
        "create",
        name,
        "--subnet",
        &format!("{v4}0/24"),
        "--gateway",
        &format!("{v4}254"),
        "--subnet",
        &format!("{v6}/64"),
        "--gateway",
        &format!("{v6}fe"),
    ]
    .map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(extra.iter().copied()).collect();
    lab.switch().ok(&arguments);
}

/// The gateway's addresses of such a network.
#[must_use]
pub fn gateways(subnet: u8) -> [IpAddr; 2] {
    [
        Ipv4Addr::new(10, 77, subnet, 254).into(),
        Ipv6Addr::new(0xfd77, subnet.into(), 0, 0, 0, 0, 0, 0xfe).into(),
    ]
}

/// A host of such a network, known to the switch by name and addresses, with its default routes.
pub fn guest(lab: &mut Lab, name: &str, network: &str, subnet: u8) -> Host {
    let host = lab.host_with(name, HostOptions::default().subnet(subnet));
    let (v4, v6, mac) = (host.ipv4().to_string(), host.ipv6().to_string(), host.mac().to_string());
    let options =
        PortOptions::network(network).with(&["--name", name, "--ip", &v4, "--ip", &v6, "--mac", &mac]);
    lab.connect(&host, options);
    host.wait_for_ipv6();
    let [gateway, gateway6] = gateways(subnet);
    host.namespace()
        .ip(&[format!("route add default via {gateway}"), format!("route add default via {gateway6}")]);
    host
}

/// The code and message of a refusal.
///
/// # Panics
/// When the command is done.
#[must_use]
#[track_caller]
pub fn refusal(lab: &Lab, arguments: &[&str]) -> (String, String) {
    let output = lab.switch().cli(&[arguments, &["--json"]].concat());
    assert!(!output.status.success(), "{arguments:?} was done");
    let error: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an error in JSON");
    let text = |key: &str| error["error"][key].as_str().expect("a string").to_owned();
    (text("code"), text("message"))
}
