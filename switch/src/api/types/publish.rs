//! Published ports: ports of the host that lead to a host of a network.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One published port or range of ports: asked for, kept and shown in the same words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// The network's name.
    pub network: String,
    /// The host's address that leads there; null is each of them.
    #[serde(default)]
    pub host_ip: Option<IpAddr>,
    /// Ports of the host.
    pub host_ports: PortRange,
    /// The host of the network.
    pub target_ip: IpAddr,
    /// Its ports, as many, in the same order.
    pub target_ports: PortRange,
    /// `tcp` or `udp`.
    #[serde(default)]
    pub protocol: Protocol,
}

/// Which published ports to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublishFilter {
    /// Of one network only.
    pub network: Option<String>,
}

/// What a port is one of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// Ports from one to another, both included, none of them 0; `80` or `8000-8010` as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// Text that is no range of ports.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no port or range of ports: write 80, or 8000-8010")]
pub struct PortRangeError(String);

impl PortRange {
    /// Its ports.
    #[must_use]
    pub fn ports(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// Whether two ranges have a port in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) if first != 0 && first <= last => Ok(Self { first, last }),
            _ => Err(PortRangeError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for PortRange {
    type Error = PortRangeError;

    fn try_from(text: String) -> Result<Self, PortRangeError> {
        text.parse()
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// As `publish add` takes it, without the network: `[HOST_IP:]HOST_PORTS:TARGET_IP:TARGET_PORTS/PROTOCOL`.
impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = |ip: IpAddr| if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        if let Some(ip) = self.host_ip {
            write!(f, "{}:", address(ip))?;
        }
        let Self { host_ports, target_ip, target_ports, protocol, .. } = self;
        write!(f, "{host_ports}:{}:{target_ports}/{protocol}", address(*target_ip))
    }
}

/// Why a text says no published port.
#[derive(Debug, thiserror::Error)]
pub enum PublishTextError {
    /// Not the shape.
    #[error(
        "{0:?} says no published port: write [HOST_IP:]HOST_PORT[-RANGE]:TARGET_IP:PORT[-RANGE][/tcp|udp], an IPv6 address in \
         brackets"
    )]
    Shape(String),
    /// An address that is none.
    #[error("{0:?} is no IP address: an IPv6 address stands in brackets")]
    Address(String),
    /// Ports that are none.
    #[error(transparent)]
    Ports(#[from] PortRangeError),
    /// A protocol that ports do not have here.
    #[error("{0:?} is neither tcp nor udp")]
    Protocol(String),
}

impl Publish {
    /// From the text that [`fmt::Display`] writes; the protocol may be left out.
    ///
    /// # Errors
    /// What of the text is wrong.
    pub fn parse(network: &str, text: &str) -> Result<Self, PublishTextError> {
        let (places, protocol) = match text.rsplit_once('/') {
            None => (text, Protocol::Tcp),
            Some((places, "tcp")) => (places, Protocol::Tcp),
            Some((places, "udp")) => (places, Protocol::Udp),
            Some((_, other)) => return Err(PublishTextError::Protocol(other.to_owned())),
        };
        let parts = parts(places).ok_or_else(|| PublishTextError::Shape(text.to_owned()))?;
        let (host_ip, host_ports, target_ip, target_ports) = match parts.as_slice() {
            [host_ports, ip, ports] => (None, host_ports, ip, ports),
            [host_ip, host_ports, ip, ports] => (Some(address(host_ip)?), host_ports, ip, ports),
            _ => return Err(PublishTextError::Shape(text.to_owned())),
        };
        Ok(Self {
            network: network.to_owned(),
            host_ip: host_ip.filter(|ip| !ip.is_unspecified()),
            host_ports: host_ports.parse()?,
            target_ip: address(target_ip)?,
            target_ports: target_ports.parse()?,
            protocol,
        })
    }
}

/// The parts between colons, none of those in brackets, without the brackets.
fn parts(text: &str) -> Option<Vec<&str>> {
    let (mut parts, mut rest) = (Vec::new(), text);
    loop {
        let (part, after) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']')?,
            None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
        };
        parts.push(part);
        if after.is_empty() {
            return Some(parts);
        }
        rest = after.strip_prefix(':')?;
    }
}

fn address(text: &str) -> Result<IpAddr, PublishTextError> {
    text.parse().map_err(|_| PublishTextError::Address(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_port_reads_back_as_it_was_written() {
        for (text, written) in [
            ("8080:10.1.0.2:80", "8080:10.1.0.2:80/tcp"),
            ("192.0.2.1:53:10.1.0.2:53/udp", "192.0.2.1:53:10.1.0.2:53/udp"),
            ("8000-8010:10.1.0.2:80-90/tcp", "8000-8010:10.1.0.2:80-90/tcp"),
            ("[2001:db8::1]:80:[fd00:1::2]:80", "[2001:db8::1]:80:[fd00:1::2]:80/tcp"),
            ("0.0.0.0:80:10.1.0.2:80", "80:10.1.0.2:80/tcp"),
        ] {
            let publish = Publish::parse("web", text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(publish.to_string(), written);
            assert_eq!(Publish::parse("web", written).expect("what we wrote"), publish);
            let json = serde_json::to_value(&publish).expect("JSON");
            assert_eq!(serde_json::from_value::<Publish>(json).expect("what we wrote"), publish);
        }
    }

    #[test]
    fn what_is_no_published_port_is_refused() {
        for text in [
            "",
            "80",
            "80:10.1.0.2",
            "80:10.1.0.2:0",
            "0:10.1.0.2:80",
            "90-80:10.1.0.2:80",
            "80:10.1.0.2:80/sctp",
            "80:fd00::2:80",
            "80:[fd00::2:80",
            "80:[fd00::2]x:80",
            "80:10.1.0.2:80:90:1",
            "65536:10.1.0.2:80",
            "x:80:y:80",
        ] {
            assert!(Publish::parse("web", text).is_err(), "{text}");
        }
    }
}
