//! Bridges of others: libvirt's virbr0 and LXC's lxcbr0, as their tools leave them, with their DHCP server and rules.

use vswitch_tests::prelude::*;
use vswitch_tests::process::Process;
use vswitch_tests::traffic::{LongTransfer, Probe, dhclient, try_ping, udhcpc};

use crate::{LOSS, RATE};

/// How a tool sets its bridge up.
struct Tool {
    bridge: &'static str,
    options: &'static str,
    /// Rules, by iptables.
    rules: &'static str,
}

const TOOLS: [Tool; 2] = [
    Tool {
        bridge: "virbr0",
        options: "stp_state 1 forward_delay 200",
        rules: "iptables -t nat -N LIBVIRT_PRT; iptables -t nat -A POSTROUTING -j LIBVIRT_PRT
            iptables -t nat -A LIBVIRT_PRT -s 10.77.0.0/24 ! -d 10.77.0.0/24 -j MASQUERADE
            for chain in LIBVIRT_FWX LIBVIRT_FWI LIBVIRT_FWO; do iptables -N $chain; iptables -A FORWARD -j $chain; done
            iptables -A LIBVIRT_FWX -i virbr0 -o virbr0 -j ACCEPT
            iptables -A LIBVIRT_FWI -d 10.77.0.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
            iptables -A LIBVIRT_FWI -o virbr0 -j REJECT
            iptables -A LIBVIRT_FWO -s 10.77.0.0/24 -i virbr0 -j ACCEPT; iptables -A LIBVIRT_FWO -i virbr0 -j REJECT",
    },
    Tool {
        bridge: "lxcbr0",
        options: "stp_state 0",
        rules: "nft 'table inet lxc { chain input { type filter hook input priority 0; iifname lxcbr0 udp dport { 53, 67 } accept; }; }'
            nft 'table ip lxc { chain postrouting { type nat hook postrouting priority 100;
                 ip saddr 10.77.0.0/24 ip daddr != 10.77.0.0/24 masquerade; }; }'",
    },
];

struct Place {
    // Ends before the lab does.
    _dnsmasq: Process,
    lab: Lab,
    outside: Host,
    bridge: &'static str,
}

impl Place {
    fn new(tool: &Tool) -> Self {
        let Tool { bridge, options, rules } = tool;
        let mut lab = Lab::with(bridge, Rival::Vswitch, Hooks::Auto);
        let outside = lab.host_with("out", HostOptions::ipv4_only().subnet(1));
        let wire = lab.wire(&outside);
        let ns = lab.switch_ns().clone();
        ns.ip(&[
            format!("link add name {bridge} type bridge {options}"),
            format!("addr add 10.77.0.254/24 dev {bridge}"),
            format!("link set dev {bridge} up"),
            format!("addr add 10.77.1.254/24 dev {}", wire.port),
            format!("link set dev {} up", wire.port),
        ]);
        ns.output("sh", &["-ec", rules]);
        let file = |kind: &str| lab.scratch().path(&format!("{bridge}.{kind}")).display().to_string();
        let mut command = ns.command("dnsmasq");
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--port=0",
            "--no-ping",
            "--user=root",
        ]);
        command.args(["--bind-interfaces", "--log-facility=-", "--dhcp-range=10.77.0.100,10.77.0.199,10m"]);
        command.arg(format!("--interface={bridge}")).arg(format!("--dhcp-leasefile={}", file("leases")));
        command.arg(format!("--pid-file={}", file("pid")));
        let dnsmasq = Process::start(&mut command, &lab.log_path("dnsmasq"));
        until("dnsmasq to be ready", SOON, || dnsmasq.output().contains("DHCP, IP range").then_some(()));
        Self { _dnsmasq: dnsmasq, lab, outside, bridge }
    }

    /// A container or guest: its link joins the bridge, and it asks for an address.
    fn guest(&mut self, name: &str, number: u8) -> Host {
        let host = self
            .lab
            .host_with(name, HostOptions { ipv6: false, ..HostOptions::unconfigured() }.number(number));
        let wire = self.lab.wire(&host);
        let port = &wire.port;
        self.lab
            .switch_ns()
            .ip(&[format!("link set dev {port} master {}", self.bridge), format!("link set dev {port} up")]);
        host
    }

    fn check(&self, host: &Host, peer: std::net::Ipv4Addr) {
        for to in [peer, [10, 77, 0, 254].into(), self.outside.ipv4()] {
            try_ping(host, to.into(), 56, 2)
                .unwrap_or_else(|said| panic!("{} at {}: {said}", host.name(), self.bridge));
        }
    }
}

#[test]
fn bridges_of_libvirt_and_lxc_go_on_serving_their_guests() {
    for tool in &TOOLS {
        let mut place = Place::new(tool);
        let (a, b) = (place.guest("a", 100), place.guest("b", 101));
        let leased = [dhclient(&place.lab, &a), udhcpc(&place.lab, &b)];
        for host in [&a, &b] {
            host.namespace().ip(&["route add default via 10.77.0.254"]);
        }
        place.check(&a, leased[1]);
        // Known to the tests by the addresses that the server gave.
        let (a, b) = (a.known_as(leased[0]), b.known_as(leased[1]));
        let stream = LongTransfer::start(&a, &b);
        for arguments in [["takeover", place.bridge], ["release", place.bridge]] {
            let [inner, outer] = [&b, &place.outside].map(|to| Probe::start(&a, to, RATE));
            inner.cover(200);
            place.lab.switch().ok(&arguments);
            inner.cover(300);
            let lost = [inner.finish(), outer.finish()];
            eprintln!("{arguments:?}: {lost:?}");
            assert!(lost.iter().all(|report| report.lost.len() <= LOSS), "{arguments:?}: {lost:?}");
            place.check(&a, leased[1]);
            if arguments[0] == "takeover" {
                // Who comes later gets an address from the same server, behind the bridge.
                let c = place.guest("c", 102);
                until("the guest to become a port", SOON, || {
                    place.lab.switch().ports().iter().any(|port| port.name == "c0").then_some(())
                });
                let ip = udhcpc(&place.lab, &c);
                c.namespace().ip(&["route add default via 10.77.0.254"]);
                place.check(&c, leased[0]);
                try_ping(&a, ip.into(), 56, 2).expect("the new guest is reached");
            }
        }
        assert!(stream.finish() > 1_000_000);
    }
}
