//! Traces: a frame as text, and what the loaded program would do with it.

use serde::{Deserialize, Serialize};
use vswitch_common::limits::TRACE_FRAME_BYTES;
use vswitch_common::mac::MacAddr;
use vswitch_common::trace::LEAST_BYTES;
use vswitch_common::vlan::{Tag, VlanId};

use super::Hook;

/// A frame to trace.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceSpec {
    /// Link name of the port that it comes in by.
    #[serde(default)]
    pub link: String,
    /// From its destination address on, without frame check sequence: hexadecimal octets, with separators between them or not.
    pub frame: String,
}

impl TraceSpec {
    /// The frame's octets.
    ///
    /// # Errors
    /// When the text is no frame that can be traced.
    pub fn octets(&self) -> Result<Vec<u8>, FrameTextError> {
        let frame = octets(&self.frame)?;
        let tpid = frame.get(12..).and_then(|rest| rest.first_chunk());
        let is_tagged = tpid.is_some_and(|tpid| Tag::is_tpid(u16::from_be_bytes(*tpid)));
        let least = if is_tagged { LEAST_BYTES + 4 } else { LEAST_BYTES };
        if frame.len() < least {
            return Err(FrameTextError::TooShort(frame.len(), least));
        }
        if frame.len() > TRACE_FRAME_BYTES {
            return Err(FrameTextError::TooLong(frame.len()));
        }
        Ok(frame)
    }

    /// A frame as such text.
    #[must_use]
    pub fn text(frame: &[u8]) -> String {
        frame.iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

/// Why a text is no frame that can be traced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameTextError {
    /// Neither a hexadecimal digit nor a separator.
    #[error(
        "frame: {0:?} is no hexadecimal digit: write octets as 02, with `:`, `-`, `.` or blanks between them or not"
    )]
    NotHexadecimal(char),
    /// Half an octet.
    #[error("frame: octet {0} has one digit: write every octet with two")]
    HalfOctet(usize),
    /// No header.
    #[error("frame: {0} octets are no frame: give its {1} of header at least, the destination address first")]
    TooShort(usize, usize),
    /// More than a trace takes.
    #[error("frame: {0} octets are more than a trace takes: give at most {most}", most = TRACE_FRAME_BYTES)]
    TooLong(usize),
}

/// Octets of two digits; what separates them stands between octets only.
fn octets(text: &str) -> Result<Vec<u8>, FrameTextError> {
    let (mut octets, mut high) = (Vec::with_capacity(text.len() / 2), None);
    for letter in text.chars() {
        match (letter.to_digit(16), high) {
            (Some(digit), None) => high = Some(digit),
            (Some(digit), Some(first)) => {
                octets.push(u8::try_from(first << 4 | digit).unwrap_or(u8::MAX));
                high = None;
            }
            (None, _) if !matches!(letter, ':' | '-' | '.') && !letter.is_ascii_whitespace() => {
                return Err(FrameTextError::NotHexadecimal(letter));
            }
            (None, Some(_)) => return Err(FrameTextError::HalfOctet(octets.len() + 1)),
            (None, None) => {}
        }
    }
    if high.is_some() { Err(FrameTextError::HalfOctet(octets.len() + 1)) } else { Ok(octets) }
}

/// What the loaded program would do with a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Link name of the port that it comes in by.
    pub port: String,
    /// Its length in octets.
    pub bytes: u32,
    /// Its destination.
    pub destination: MacAddr,
    /// Its source.
    pub source: MacAddr,
    /// Its network; null if it is refused before it has one.
    pub network: Option<String>,
    /// Its VLAN; null on VLAN-unaware networks.
    pub vlan: Option<VlanId>,
    /// What becomes of it in the end.
    pub verdict: TraceVerdict,
    /// The drop reason, by the name that counters have.
    pub reason: Option<String>,
    /// What becomes of its source.
    pub learning: TraceLearning,
    /// The ports that it leaves by.
    pub deliveries: Vec<TraceDelivery>,
    /// Of a flood: the other ports of the network, and why they get no copy.
    pub withheld: Vec<TraceWithheld>,
    /// The hooks that see it, in their order; the last one carries the verdict out.
    pub hooks: Vec<HookTrace>,
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceVerdict {
    /// Out of one port.
    Forward,
    /// A copy to each port that may have one.
    Flood,
    /// Answered by the switch.
    Answer,
    /// To the controller.
    Punt,
    /// To the host's own stack.
    Local,
    /// Nowhere.
    Drop,
}

/// What becomes of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceLearning {
    /// The frame is refused and teaches nothing.
    Refused,
    /// Its entry stays as it is, or the port does not learn.
    Keep,
    /// Its entry is marked as heard.
    Refresh,
    /// It is learned.
    Insert,
    /// Its entry moves to this port.
    Move,
    /// A limit is reached.
    NoRoom,
}

/// A port that a frame leaves by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceDelivery {
    /// Link name.
    pub port: String,
    /// `untagged`, `untouched`, or the VLAN ID of its tag.
    pub tag: String,
}

/// A port that gets no copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceWithheld {
    /// Link name.
    pub port: String,
    /// A drop reason, or `no-flood`.
    pub reason: String,
}

/// What one hook does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookTrace {
    /// Which.
    pub hook: Hook,
    /// The stages that the frame gets to, in their order.
    pub stages: Vec<TraceStage>,
}

/// What one stage says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceStage {
    /// Its name: `parse`, `port`, `vlan`, `guard`, `learn`, `respond`, `lookup`, `act`.
    pub stage: String,
    /// In words.
    pub answer: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<u8>, FrameTextError> {
        TraceSpec { link: String::new(), frame: text.to_owned() }.octets()
    }

    #[test]
    fn octets_are_read_with_separators_and_without() {
        let frame: Vec<u8> = (0..14).collect();
        let plain = TraceSpec::text(&frame);
        for separator in [":", "-", ".", " ", "\n"] {
            let separated: Vec<String> = frame.iter().map(|octet| format!("{octet:02X}")).collect();
            assert_eq!(read(&separated.join(separator)), Ok(frame.clone()));
        }
        assert_eq!(read(&plain), Ok(frame));
    }

    #[test]
    fn what_is_no_frame_is_refused_by_what_is_wrong_with_it() {
        assert_eq!(read("0"), Err(FrameTextError::HalfOctet(1)));
        assert_eq!(read("02:4:2"), Err(FrameTextError::HalfOctet(2)));
        assert_eq!(read("02 zz"), Err(FrameTextError::NotHexadecimal('z')));
        assert_eq!(read("0x02"), Err(FrameTextError::NotHexadecimal('x')));
        assert_eq!(read(""), Err(FrameTextError::TooShort(0, 14)));
        assert_eq!(read(&"00".repeat(13)), Err(FrameTextError::TooShort(13, 14)));
        assert_eq!(read(&("00".repeat(12) + "8100000a")), Err(FrameTextError::TooShort(16, 18)));
        assert_eq!(read(&"00".repeat(9_217)), Err(FrameTextError::TooLong(9_217)));
        assert!(read(&"00".repeat(9_216)).is_ok());
    }
}
