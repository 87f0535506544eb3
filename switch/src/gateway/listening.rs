//! Which ports of the host somebody listens on already, as `/proc/net` tells: publishing one would take it from them.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::api::types::{Protocol, Publish};
use crate::netlink::{Netlink, NetlinkError};

/// State of a TCP socket that listens, and of a UDP socket that is not connected (`net/tcp_states.h`).
const TCP_LISTEN: &str = "0A";
const UDP_UNCONNECTED: &str = "07";

/// Where the sockets of the controller's namespace are that wait for clients of a protocol.
///
/// # Errors
/// [`NetlinkError::Sysctl`] when `/proc` is not there.
pub async fn listeners(netlink: &Netlink, protocol: Protocol) -> Result<Vec<SocketAddr>, NetlinkError> {
    let (tables, state) = match protocol {
        Protocol::Tcp => (["tcp", "tcp6"], TCP_LISTEN),
        Protocol::Udp => (["udp", "udp6"], UDP_UNCONNECTED),
    };
    let read = move || {
        let mut found = Vec::new();
        for table in tables {
            let path = PathBuf::from("/proc/thread-self/net").join(table);
            match fs::read_to_string(&path) {
                Ok(text) => found.extend(text.lines().filter_map(|line| listener(line, state))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(NetlinkError::Sysctl { action: "read", path, source }),
            }
        }
        Ok(found)
    };
    netlink.namespace().run(read).await?
}

/// The socket that the published port would take clients from.
#[must_use]
pub fn rival(publish: &Publish, listeners: &[SocketAddr]) -> Option<SocketAddr> {
    let is_rival = |socket: &&SocketAddr| {
        let ip = socket.ip().to_canonical();
        // What listens on [::] takes clients of IPv4 too.
        let is_family = ip.is_ipv4() == publish.target_ip.is_ipv4() || ip == Ipv6Addr::UNSPECIFIED;
        let is_address = ip.is_unspecified() || publish.host_ip.is_none_or(|host| host == ip);
        publish.host_ports.ports().contains(&socket.port()) && is_family && is_address
    };
    listeners.iter().find(is_rival).copied()
}

/// `  0: 0100007F:1F90 00000000:0000 0A …`
fn listener(line: &str, state: &str) -> Option<SocketAddr> {
    let mut words = line.split_whitespace().skip(1);
    let (local, _remote) = (words.next()?, words.next()?);
    if words.next()? != state {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    Some(SocketAddr::new(address(ip)?, u16::from_str_radix(port, 16).ok()?))
}

/// Words of 32 bits as the machine has them, which hold the address in wire order.
fn address(hexadecimal: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = hexadecimal.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match hexadecimal.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let octets: Vec<u8> = (0..4).map(word).collect::<Option<Vec<_>>>()?.concat();
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into())
        }
        _ => None,
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_says_who_listens_where() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1";
        assert_eq!(listener(line, TCP_LISTEN), "127.0.0.1:8080".parse().ok());
        assert_eq!(listener(line, UDP_UNCONNECTED), None);
        let line = "   1: B80D0120000000000000000001000000:0035 00000000000000000000000000000000:0000 07";
        assert_eq!(listener(line, UDP_UNCONNECTED), "[2001:db8::1]:53".parse().ok());
        for odd in ["", "sl local_address rem_address st", "0: 7F:1F90 0:0 0A", "0: zz00007F:1F90 0:0 0A"] {
            assert_eq!(listener(odd, TCP_LISTEN), None, "{odd}");
        }
    }

    #[test]
    fn a_socket_is_in_the_way_where_clients_of_both_meet() {
        let publish = |text| Publish::parse("web", text).expect("a published port");
        let at = |text: &str| [text.parse().expect("a socket's address")];
        assert!(rival(&publish("8000-8010:10.1.0.2:80-90"), &at("0.0.0.0:8005")).is_some());
        assert!(rival(&publish("8080:10.1.0.2:80"), &at("127.0.0.1:8080")).is_some());
        assert!(rival(&publish("8080:10.1.0.2:80"), &at("[::]:8080")).is_some());
        assert!(rival(&publish("192.0.2.1:8080:10.1.0.2:80"), &at("127.0.0.1:8080")).is_none());
        assert!(rival(&publish("8080:10.1.0.2:80"), &at("[::1]:8080")).is_none());
        assert!(rival(&publish("8080:[fd00::2]:80"), &at("0.0.0.0:8080")).is_none());
    }
}
