//! What a link's driver can do with XDP, as the kernel tells since 6.3 (generic netlink family `netdev`,
//! `Documentation/netlink/specs/netdev.yaml`).
//!
//! The bit that matters to a switch is NDO_XMIT: whether frames may be redirected to the link. A veth has it only
//! while its peer polls, by GRO or by an XDP program of its own.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::socket::SockProtocol;
use rtnetlink::packet_core::{
    DecodeError, DefaultNla, Emitable as _, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable, Nla as _, NlasIterator, Parseable as _,
};

use super::socket::{self, MESSAGE_LIMIT};
use super::{LinkIndex, Netlink, NetlinkError};

/// `linux/genetlink.h`: the family that knows the others.
const CONTROLLER: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// `linux/netdev.h`.
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;
const GENERIC_VERSION: u8 = 1;
const GENERIC_HEADER_LEN: usize = 4;

/// What a driver can do with XDP (`enum netdev_xdp_act`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XdpFeatures(pub u64);

impl XdpFeatures {
    const BASIC: u64 = 1;
    const NDO_XMIT: u64 = 1 << 2;
    const NDO_XMIT_SG: u64 = 1 << 6;

    /// Whether it runs programs in the driver (native XDP).
    #[must_use]
    pub fn is_native(self) -> bool {
        self.0 & Self::BASIC != 0
    }

    /// Whether frames can be redirected to it.
    #[must_use]
    pub fn is_redirect_target(self) -> bool {
        self.0 & Self::NDO_XMIT != 0
    }

    /// Whether frames of several buffers can be redirected to it.
    #[must_use]
    pub fn is_frags_redirect_target(self) -> bool {
        self.is_redirect_target() && self.0 & Self::NDO_XMIT_SG != 0
    }
}

/// What the link can do with XDP; none when this kernel does not tell.
///
/// # Errors
/// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`], [`NetlinkError::Open`].
pub async fn get(netlink: &Netlink, index: LinkIndex) -> Result<Option<XdpFeatures>, NetlinkError> {
    netlink.namespace().run(move || read_here(index)).await?
}

fn read_here(index: LinkIndex) -> Result<Option<XdpFeatures>, NetlinkError> {
    let socket = socket::open(SockProtocol::NetlinkGeneric, 0)
        .map_err(|source| NetlinkError::Open { purpose: "the XDP features of links", source })?;
    let failed = |source| NetlinkError::of_link("read the XDP features of", index, source);
    let by_name = DefaultNla::new(CTRL_ATTR_FAMILY_NAME, b"netdev\0".to_vec());
    let family = match ask(&socket, CONTROLLER, CTRL_CMD_GETFAMILY, by_name) {
        Ok(answer) => answer.attribute(CTRL_ATTR_FAMILY_ID).map(u16::from_ne_bytes),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => None,
        Err(e) => return Err(failed(e)),
    };
    let Some(family) = family else { return Ok(None) };
    let by_index = DefaultNla::new(NETDEV_A_DEV_IFINDEX, index.0.to_ne_bytes().to_vec());
    let answer = ask(&socket, family, NETDEV_CMD_DEV_GET, by_index).map_err(failed)?;
    Ok(answer.attribute(NETDEV_A_DEV_XDP_FEATURES).map(u64::from_ne_bytes).map(XdpFeatures))
}

/// One request. The kernel answers generic netlink within the send, so there is nothing to wait for.
fn ask(socket: &OwnedFd, family: u16, command: u8, attribute: DefaultNla) -> io::Result<GenericMessage> {
    let request = GenericMessage { family, command, attributes: vec![attribute] };
    let mut message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(request));
    message.header.flags = NLM_F_REQUEST;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket::send(socket, &bytes)?;
    let mut buffer = vec![0; MESSAGE_LIMIT];
    let answer =
        NetlinkMessage::deserialize(socket::receive(socket, &mut buffer)?).map_err(io::Error::other)?;
    match answer.payload {
        NetlinkPayload::InnerMessage(message) => Ok(message),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// A generic netlink message.
struct GenericMessage {
    family: u16,
    command: u8,
    attributes: Vec<DefaultNla>,
}

impl GenericMessage {
    fn attribute<const N: usize>(&self, kind: u16) -> Option<[u8; N]> {
        let attribute = self.attributes.iter().find(|attribute| attribute.kind() == kind)?;
        let mut value = vec![0; attribute.value_len()];
        attribute.emit_value(&mut value);
        value.try_into().ok()
    }
}

impl NetlinkSerializable for GenericMessage {
    fn message_type(&self) -> u16 {
        self.family
    }

    fn buffer_len(&self) -> usize {
        GENERIC_HEADER_LEN + self.attributes.as_slice().buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer[..GENERIC_HEADER_LEN].copy_from_slice(&[self.command, GENERIC_VERSION, 0, 0]);
        self.attributes.as_slice().emit(&mut buffer[GENERIC_HEADER_LEN..]);
    }
}

impl NetlinkDeserializable for GenericMessage {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let Some((&[command, ..], rest)) = payload.split_first_chunk::<GENERIC_HEADER_LEN>() else {
            return Err("a generic netlink message without its header".into());
        };
        let attributes =
            NlasIterator::new(rest).map(|nla| DefaultNla::parse(&nla?)).collect::<Result<_, _>>()?;
        Ok(Self { family: header.message_type, command, attributes })
    }
}

impl From<GenericMessage> for NetlinkPayload<GenericMessage> {
    fn from(message: GenericMessage) -> Self {
        Self::InnerMessage(message)
    }
}

#[cfg(test)]
mod tests;
