//! Frames out of a capture file: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), Ethernet only.
//!
//! Whatever the file says of lengths is checked against what is there; a last record that broke off is left out, as it is
//! by other readers. A frame of which the capture holds the beginning only is filled up with zeros to its length.

use vswitch_common::limits::TRACE_FRAME_BYTES;

/// Bytes of a capture that are read.
pub const CAPTURE_BYTES: u64 = 64 * 1024 * 1024;

/// Link type of Ethernet.
const ETHERNET: u16 = 1;

/// First word of a pcap file with microseconds and with nanoseconds.
const PCAP_MICROSECONDS: u32 = 0xa1b2_c3d4;
const PCAP_NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Bytes of its header and of a record's, and where in the former the link type is.
const PCAP_HEADER: usize = 24;
const PCAP_RECORD: usize = 16;
const PCAP_LINK_TYPE: usize = 20;

/// Block types of pcapng.
mod block {
    pub(super) const SECTION: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE: u32 = 1;
    pub(super) const OLD_PACKET: u32 = 2;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const PACKET: u32 = 6;
}
/// How a section's bytes are ordered, read in that order.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// Bytes of a block without a body: type, length, length again.
const EMPTY_BLOCK: usize = 12;

/// What is in a capture.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// Its frames, as long as they were on the wire; longer than can be traced by one octet at most.
    pub frames: Vec<Vec<u8>>,
}

/// Why a file is no capture that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// Neither format's first word.
    #[error("no capture file by its first octets")]
    NotACapture,
    /// It breaks off before its first frame.
    #[error("breaks off in its header")]
    Truncated,
    /// Frames of another kind.
    #[error("its link type is {0}, not Ethernet (1)")]
    NotEthernet(u16),
    /// A length that cannot be.
    #[error("octet {0}: a length that cannot be")]
    BadLength(usize),
    /// A packet of an interface that the section does not have.
    #[error("octet {0}: a packet of an interface that was not described")]
    NoInterface(usize),
}

/// The first `most` frames.
///
/// # Errors
/// When the file is no capture of Ethernet frames.
pub fn parse(bytes: &[u8], most: usize) -> Result<Capture, CaptureError> {
    let first = Reader { bytes, is_big: false }.word(0).ok_or(CaptureError::NotACapture)?;
    match first {
        block::SECTION => pcapng(bytes, most),
        PCAP_MICROSECONDS | PCAP_NANOSECONDS => pcap(Reader { bytes, is_big: false }, most),
        _ if matches!(first.swap_bytes(), PCAP_MICROSECONDS | PCAP_NANOSECONDS) => {
            pcap(Reader { bytes, is_big: true }, most)
        }
        _ => Err(CaptureError::NotACapture),
    }
}

/// Bytes in an order.
#[derive(Clone, Copy)]
struct Reader<'a> {
    bytes: &'a [u8],
    is_big: bool,
}

impl Reader<'_> {
    fn word(&self, at: usize) -> Option<u32> {
        let four = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }

    fn half(&self, at: usize) -> Option<u16> {
        let two = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
    }

    fn length(&self, at: usize) -> Option<usize> {
        usize::try_from(self.word(at)?).ok()
    }
}

fn pcap(file: Reader<'_>, most: usize) -> Result<Capture, CaptureError> {
    let link_type = file.word(PCAP_LINK_TYPE).ok_or(CaptureError::Truncated)?;
    // The upper bits say whether there is a frame check sequence.
    check_ethernet((link_type & 0xffff) as u16)?;
    let (mut at, mut frames) = (PCAP_HEADER, Vec::new());
    while frames.len() < most {
        let (Some(held), Some(length)) = (file.length(at + 8), file.length(at + 12)) else { break };
        let Some(bytes) = file.bytes.get(at + PCAP_RECORD..).and_then(|rest| rest.get(..held)) else { break };
        frames.push(whole(bytes, length));
        at += PCAP_RECORD + held;
    }
    Ok(Capture { frames })
}

fn pcapng(bytes: &[u8], most: usize) -> Result<Capture, CaptureError> {
    let mut file = Reader { bytes, is_big: false };
    let (mut at, mut frames, mut interfaces) = (0, Vec::new(), Vec::new());
    while frames.len() < most {
        let Some(kind) = file.word(at) else { break };
        if kind == block::SECTION {
            // Its first word reads the same in either order, and the next but one says which order it is.
            let order = Reader { is_big: false, ..file }.word(at + 8).ok_or(CaptureError::Truncated)?;
            file.is_big = match order {
                BYTE_ORDER => false,
                _ if order.swap_bytes() == BYTE_ORDER => true,
                _ => return Err(CaptureError::NotACapture),
            };
            interfaces.clear();
        }
        let Some(length) = file.length(at + 4) else { break };
        if length < EMPTY_BLOCK || length % 4 != 0 {
            return Err(CaptureError::BadLength(at + 4));
        }
        // Whole to its end, where its length stands again.
        let Some(block) = file.bytes.get(at..).and_then(|rest| rest.get(..length)) else { break };
        let body = block.get(8..length - 4).unwrap_or_default();
        let body = Reader { bytes: body, ..file };
        if kind == block::INTERFACE {
            interfaces.push(body.half(0).ok_or(CaptureError::BadLength(at + 4))?);
        } else if let Some(packet) = packet(kind, body).ok_or(CaptureError::BadLength(at + 4))? {
            let link_type = interfaces.get(packet.interface).ok_or(CaptureError::NoInterface(at))?;
            check_ethernet(*link_type)?;
            frames.push(packet.frame);
        }
        at += length;
    }
    Ok(Capture { frames })
}

/// A packet, and the number of its interface in the section.
struct Packet {
    interface: usize,
    frame: Vec<u8>,
}

/// The packet of a block: none inside if it is of another kind, none at all if it is shorter than it says.
fn packet(kind: u32, body: Reader<'_>) -> Option<Option<Packet>> {
    let (interface, held, length, data) = match kind {
        block::PACKET => (body.length(0)?, body.length(12)?, body.length(16)?, 20),
        block::OLD_PACKET => (body.half(0)?.into(), body.length(12)?, body.length(16)?, 20),
        block::SIMPLE_PACKET => {
            let length = body.length(0)?;
            // What it holds is not said but by the block's end, which is padded.
            (0, length.min(body.bytes.len().saturating_sub(4)), length, 4)
        }
        _ => return Some(None),
    };
    let bytes = body.bytes.get(data..)?.get(..held)?;
    Some(Some(Packet { interface, frame: whole(bytes, length) }))
}

fn check_ethernet(link_type: u16) -> Result<(), CaptureError> {
    if link_type == ETHERNET { Ok(()) } else { Err(CaptureError::NotEthernet(link_type)) }
}

/// As long as it was on the wire, so far as that can matter.
fn whole(held: &[u8], length: usize) -> Vec<u8> {
    let mut frame = held.to_vec();
    frame.resize(length.max(held.len()).min(TRACE_FRAME_BYTES + 1), 0);
    frame
}

#[cfg(test)]
#[path = "capture/tests.rs"]
mod tests;
