//! The few words of nftables that the rules are made of, in the `nftables` crate's types.

use std::collections::HashSet;

use ipnet::IpNet;
use nftables::expr::{
    CT, Expression, Fib, FibFlag, FibResult, Map, Meta, MetaKey, NamedExpression, Payload, PayloadField,
    Prefix, RT, RTKey, Range, SetItem, TcpOption,
};
use nftables::stmt::{Mangle, Match, NAT, NATFamily, Operator, Statement};

use crate::api::types::{PortRange, Protocol, Publish};

pub(super) type Word = Expression<'static>;
pub(super) type Clause = Statement<'static>;

fn named(expression: NamedExpression<'static>) -> Word {
    Expression::Named(expression)
}

pub(super) fn text(text: impl Into<String>) -> Word {
    Expression::String(text.into().into())
}

/// A set of the table.
pub(super) fn set(name: &str) -> Word {
    text(format!("@{name}"))
}

pub(super) fn meta(key: MetaKey) -> Word {
    named(NamedExpression::Meta(Meta { key }))
}

pub(super) fn field(protocol: &'static str, field: &'static str) -> Word {
    let field = PayloadField { protocol: protocol.into(), field: field.into() };
    named(NamedExpression::Payload(Payload::PayloadField(field)))
}

pub(super) fn prefix(net: IpNet) -> Word {
    let addr = Box::new(text(net.network().to_string()));
    named(NamedExpression::Prefix(Prefix { addr, len: net.prefix_len().into() }))
}

pub(super) fn concatenated(words: Vec<Word>) -> Word {
    named(NamedExpression::Concat(words))
}

/// `ip` or `ip6`, as fields of packets of the family are called.
pub(super) fn family(is_ipv4: bool) -> &'static str {
    if is_ipv4 { "ip" } else { "ip6" }
}

pub(super) fn is(left: Word, right: Word) -> Clause {
    Statement::Match(Match { left, right, op: Operator::EQ })
}

pub(super) fn is_not(left: Word, right: Word) -> Clause {
    Statement::Match(Match { left, right, op: Operator::NEQ })
}

/// Whether one of the flags is set.
pub(super) fn has(left: Word, flags: &[&'static str]) -> Clause {
    let right = match flags {
        [flag] => text(*flag),
        flags => Expression::List(flags.iter().map(|flag| text(*flag)).collect()),
    };
    Statement::Match(Match { left, right, op: Operator::IN })
}

pub(super) fn conntrack(key: &'static str) -> Word {
    named(NamedExpression::CT(CT { key: key.into(), family: None, dir: None }))
}

/// The destination is an address of the host.
pub(super) fn to_host() -> Clause {
    let flags = HashSet::from([FibFlag::Daddr]);
    is(named(NamedExpression::Fib(Fib { result: FibResult::Type, flags })), text("local"))
}

/// The destination's port is in a range.
pub(super) fn to_port(protocol: Protocol, range: PortRange) -> Clause {
    is(destination_port(protocol), ports(range))
}

fn destination_port(protocol: Protocol) -> Word {
    let protocol = match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    field(protocol, "dport")
}

fn ports(range: PortRange) -> Word {
    let (first, last) = (u32::from(*range.ports().start()), u32::from(*range.ports().end()));
    if first == last {
        return Expression::Number(first);
    }
    Expression::Range(Box::new(Range { range: [Expression::Number(first), Expression::Number(last)] }))
}

/// To the target, each port to its own: one port by its number, a range of the same numbers without one (which keeps
/// them), any other by a map.
pub(super) fn to_target(publish: &Publish) -> Clause {
    let Publish { target_ip, host_ports, target_ports, protocol, .. } = publish;
    let port = if host_ports == target_ports {
        None
    } else if target_ports.ports().len() == 1 {
        Some(ports(*target_ports))
    } else {
        let pair = |(from, to): (u16, u16)| {
            SetItem::Mapping(Expression::Number(from.into()), Expression::Number(to.into()))
        };
        let pairs = host_ports.ports().zip(target_ports.ports()).map(pair).collect();
        let data = named(NamedExpression::Set(pairs));
        Some(named(NamedExpression::Map(Box::new(Map { key: destination_port(*protocol), data }))))
    };
    let family = if target_ip.is_ipv4() { NATFamily::IP } else { NATFamily::IP6 };
    Statement::DNAT(Some(NAT {
        addr: Some(text(target_ip.to_string())),
        family: Some(family),
        port,
        flags: None,
    }))
}

/// Lowers the MSS that a SYN announces to what the route to its destination takes.
pub(super) fn clamp_mss() -> Clause {
    let key = TcpOption { name: "maxseg".into(), field: Some("size".into()) };
    Statement::Mangle(Mangle {
        key: named(NamedExpression::TcpOption(key)),
        value: named(NamedExpression::RT(RT { key: RTKey::MTU, family: None })),
    })
}
