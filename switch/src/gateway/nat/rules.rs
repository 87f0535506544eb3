//! What the table says. Pure: from networks and published ports to a transaction.
//!
//! | chain | for |
//! |---|---|
//! | `guard` | nobody on a network sends to or from 127.0.0.0/8 and ::1, which its link lets through for published ports |
//! | `prerouting`, `output` | published ports, from outside and from the host |
//! | `forward` | a network is reached from outside and from other networks by its published ports only; an internal one not at all |
//! | `postrouting` | who goes out has the host's address; who meets itself through the gateway has the gateway's |
//!
//! A client keeps its address on the way in. Not so where the answer would go past the gateway: from the same network
//! (the hairpin), and from 127.0.0.1 and ::1.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use nftables::batch::Batch;
use nftables::expr::MetaKey::{Iifname, Oifname};
use nftables::schema::{Chain, NfListObject, Nftables, Rule, Set, SetType, SetTypeValue, Table};
use nftables::stmt::Statement;
use nftables::types::{NfChainPolicy, NfChainType, NfFamily, NfHook};

use super::expression::*;
use crate::api::types::{PortRange, Protocol, Publish};

/// Sets of the table: our links, those of internal networks, each link with itself, and the gateways' addresses.
const LINKS: &str = "links";
const INTERNAL: &str = "internal";
const SAME: &str = "same";
const GATEWAYS: [&str; 2] = ["gateways4", "gateways6"];

/// Priorities of `linux/netfilter_ipv4.h`.
const RAW: i32 = -300;
const DSTNAT: i32 = -100;
const FILTER: i32 = 0;
const SRCNAT: i32 = 100;

/// Where names are asked for, which no published port may take from the gateway.
const DNS: &str = "53";

/// The host's side of one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The gateway's link.
    pub link: String,
    /// No way out.
    pub is_internal: bool,
    /// Subnets and the gateway's address in each.
    pub subnets: Vec<(IpNet, IpAddr)>,
}

/// A transaction that replaces the table, or makes it.
#[must_use]
pub fn replace(table: &str, sides: &[Side], publishes: &[Publish]) -> Nftables<'static> {
    let mut rules = Rules { table: table.to_owned(), batch: Batch::new() };
    // Deleting wants it to be there.
    rules.batch.add(rules.itself());
    rules.batch.delete(rules.itself());
    rules.batch.add(rules.itself());
    rules.add_sets(sides);
    rules.add_guard();
    rules.add_published(publishes);
    rules.add_forward();
    rules.add_postrouting(sides);
    rules.batch.to_nftables()
}

/// A transaction that removes the table, if it is there.
#[must_use]
pub fn remove(table: &str) -> Nftables<'static> {
    let mut rules = Rules { table: table.to_owned(), batch: Batch::new() };
    rules.batch.add(rules.itself());
    rules.batch.delete(rules.itself());
    rules.batch.to_nftables()
}

struct Rules {
    table: String,
    batch: Batch<'static>,
}

impl Rules {
    fn itself(&self) -> NfListObject<'static> {
        NfListObject::Table(Table { family: NfFamily::INet, name: self.table.clone().into(), handle: None })
    }

    fn add_sets(&mut self, sides: &[Side]) {
        let name = |side: &Side| text(side.link.clone());
        let single = |of| SetTypeValue::Single(of);
        self.add_set(LINKS, single(SetType::Ifname), sides.iter().map(name).collect());
        let internal = sides.iter().filter(|side| side.is_internal).map(name).collect();
        self.add_set(INTERNAL, single(SetType::Ifname), internal);
        let pair = SetTypeValue::Concatenated(vec![SetType::Ifname, SetType::Ifname].into());
        let same = sides.iter().map(|side| concatenated(vec![name(side), name(side)]));
        self.add_set(SAME, pair, same.collect());
        for (set, of) in GATEWAYS.into_iter().zip([SetType::Ipv4Addr, SetType::Ipv6Addr]) {
            let gateways = sides.iter().flat_map(|side| &side.subnets).map(|(_, gateway)| gateway);
            let gateways = gateways.filter(|ip| ip.is_ipv4() == (of == SetType::Ipv4Addr));
            self.add_set(set, single(of), gateways.map(|ip| text(ip.to_string())).collect());
        }
    }

    fn add_set(&mut self, name: &'static str, set_type: SetTypeValue<'static>, elements: Vec<Word>) {
        let elem = (!elements.is_empty()).then(|| elements.into());
        self.batch.add(NfListObject::Set(Box::new(Set {
            family: NfFamily::INet,
            table: self.table.clone().into(),
            name: name.into(),
            set_type,
            elem,
            ..Set::default()
        })));
    }

    fn add_guard(&mut self) {
        self.add_chain("guard", NfChainType::Filter, NfHook::Prerouting, RAW);
        for side in ["saddr", "daddr"] {
            self.add("guard", vec![from_network(), is(field("ip", side), loopback()), Statement::Drop(None)]);
            self.add(
                "guard",
                vec![from_network(), is(field("ip6", side), loopback6()), Statement::Drop(None)],
            );
        }
    }

    fn add_published(&mut self, publishes: &[Publish]) {
        self.add_chain("prerouting", NfChainType::NAT, NfHook::Prerouting, DSTNAT);
        let dns: PortRange = DNS.parse().expect("a port");
        for (set_name, is_ipv4) in GATEWAYS.into_iter().zip([true, false]) {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let to_gateway = is(field(family(is_ipv4), "daddr"), set(set_name));
                let rule = vec![from_network(), to_gateway, to_port(protocol, dns), Statement::Return(None)];
                self.add("prerouting", rule);
            }
        }
        self.add_chain("output", NfChainType::NAT, NfHook::Output, DSTNAT);
        for publish in publishes {
            let daddr = || field(family(publish.target_ip.is_ipv4()), "daddr");
            let rest = || vec![to_port(publish.protocol, publish.host_ports), to_target(publish)];
            // From outside nobody reaches 127.0.0.1 or ::1, published or not.
            let (mut outside, mut inside) = match publish.host_ip {
                Some(ip) if ip.is_loopback() => (None, vec![is(daddr(), text(ip.to_string()))]),
                Some(ip) => {
                    let clause = is(daddr(), text(ip.to_string()));
                    (Some(vec![clause.clone()]), vec![clause])
                }
                None if publish.target_ip.is_ipv4() => {
                    (Some(vec![is_not(daddr(), loopback()), to_host()]), vec![is_ipv4(), to_host()])
                }
                None => (Some(vec![is_not(daddr(), loopback6()), to_host()]), vec![is_ipv6(), to_host()]),
            };
            if let Some(mut clauses) = outside.take() {
                clauses.extend(rest());
                self.add("prerouting", clauses);
            }
            inside.extend(rest());
            self.add("output", inside);
        }
    }

    fn add_forward(&mut self) {
        self.add_chain("forward", NfChainType::Filter, NfHook::Forward, FILTER);
        for side in [from_network(), to_network()] {
            self.add("forward", vec![side, has(field("tcp", "flags"), &["syn"]), clamp_mss()]);
        }
        for way in [Iifname, Oifname] {
            self.add("forward", vec![is(meta(way), set(INTERNAL)), Statement::Drop(None)]);
        }
        let known = has(conntrack("state"), &["established", "related"]);
        self.add("forward", vec![to_network(), known, Statement::Accept(None)]);
        let published = has(conntrack("status"), &["dnat"]);
        self.add("forward", vec![to_network(), published, Statement::Accept(None)]);
        let itself = is(concatenated(vec![meta(Iifname), meta(Oifname)]), set(SAME));
        self.add("forward", vec![itself, Statement::Accept(None)]);
        self.add("forward", vec![to_network(), Statement::Drop(None)]);
    }

    fn add_postrouting(&mut self, sides: &[Side]) {
        self.add_chain("postrouting", NfChainType::NAT, NfHook::Postrouting, SRCNAT);
        for side in sides.iter().filter(|side| !side.is_internal) {
            for (subnet, _) in &side.subnets {
                let ours = || is(field(family(subnet.addr().is_ipv4()), "saddr"), prefix(*subnet));
                let out = [is_not(meta(Oifname), set(LINKS)), is_not(meta(Oifname), text("lo"))];
                let masquerade = || Statement::Masquerade(None);
                self.add("postrouting", [vec![ours()], out.to_vec(), vec![masquerade()]].concat());
                let back = is(meta(Oifname), text(side.link.clone()));
                let published = has(conntrack("status"), &["dnat"]);
                self.add("postrouting", vec![ours(), back, published, masquerade()]);
            }
        }
        for from_loopback in [is(field("ip", "saddr"), loopback()), is(field("ip6", "saddr"), loopback6())] {
            self.add("postrouting", vec![from_loopback, to_network(), Statement::Masquerade(None)]);
        }
    }

    fn add_chain(&mut self, name: &'static str, kind: NfChainType, hook: NfHook, prio: i32) {
        self.batch.add(NfListObject::Chain(Chain {
            family: NfFamily::INet,
            table: self.table.clone().into(),
            name: name.into(),
            _type: Some(kind),
            hook: Some(hook),
            prio: Some(prio),
            policy: Some(NfChainPolicy::Accept),
            ..Chain::default()
        }));
    }

    fn add(&mut self, chain: &'static str, clauses: Vec<Clause>) {
        self.batch.add(NfListObject::Rule(Rule {
            family: NfFamily::INet,
            table: self.table.clone().into(),
            chain: chain.into(),
            expr: clauses.into(),
            ..Rule::default()
        }));
    }
}

fn from_network() -> Clause {
    is(meta(Iifname), set(LINKS))
}

fn to_network() -> Clause {
    is(meta(Oifname), set(LINKS))
}

fn is_ipv4() -> Clause {
    is(meta(nftables::expr::MetaKey::Nfproto), text("ipv4"))
}

fn is_ipv6() -> Clause {
    is(meta(nftables::expr::MetaKey::Nfproto), text("ipv6"))
}

fn loopback6() -> Word {
    text("::1")
}

fn loopback() -> Word {
    prefix(IpNet::V4(Ipv4Net::new_assert([127, 0, 0, 0].into(), 8)))
}
