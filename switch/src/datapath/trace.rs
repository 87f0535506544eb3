//! Running the trace programs: one frame, as if it had come in by a link, decided and not carried out.

use aya::programs::{ProgramError, SchedClassifier, TestRun as _, TestRunOptions, Xdp};
use vswitch_common::abi;
use vswitch_common::frame::ETHERNET_BYTES;
use vswitch_common::trace::{TraceRecord, WRITTEN, control};
use vswitch_common::vlan::Tag;

use super::DatapathError;

/// Offsets in `struct __sk_buff` and `struct xdp_md` (`linux/bpf.h`), and how much of them a run is given.
mod skb {
    pub(super) const IFINDEX: usize = 40;
    pub(super) const CONTROL: usize = 48;
    pub(super) const BYTES: usize = CONTROL + 5 * 4;
}
mod md {
    pub(super) const DATA_END: usize = 4;
    pub(super) const INGRESS_IFINDEX: usize = 12;
    pub(super) const BYTES: usize = 24;
}

/// Bytes that a run of a tc program is given of a frame, at most: the kernel takes a page less its own room. More than any
/// stage looks at.
const TC_MOST: usize = 2_048;
/// And at least: the kernel refuses an IP packet shorter than its header (net/bpf/test_run.c), a wire does not. The program
/// gives the frame its own length again.
const TC_LEAST: usize = ETHERNET_BYTES + 40;

/// Where a tag is in a frame, and its bytes.
const TAG_OFFSET: usize = 12;
const TAG_BYTES: usize = 4;

/// What a trace found out.
#[derive(Debug, Clone, Copy)]
pub struct Traced {
    /// What the program wrote down.
    pub record: TraceRecord,
    /// Number of the trace, for [`Datapath::copied`](super::Datapath::copied).
    pub number: u32,
}

/// Runs the tc program: the frame came by link `ifindex`, of the controller's network namespace.
pub(super) fn at_tc(
    program: &SchedClassifier,
    ifindex: u32,
    number: u32,
    frame: &[u8],
) -> Result<(), DatapathError> {
    let (tag, mut data) = untag(frame);
    let length = data.len() as u32;
    data.resize(data.len().clamp(TC_LEAST, TC_MOST), 0);
    let mut context = [0u8; skb::BYTES];
    put(&mut context, skb::IFINDEX, ifindex);
    for (word, value) in [(control::TAG, tag), (control::LENGTH, length), (control::NUMBER, number)] {
        put(&mut context, skb::CONTROL + word * 4, value);
    }
    let options =
        TestRunOptions { data_in: Some(&data), ctx_in: Some(&context), ..TestRunOptions::default() };
    written(abi::program::TRACE, ifindex, program.test_run(options).map(|run| run.return_value))
}

/// Runs the XDP program; likewise.
pub(super) fn at_xdp(program: &Xdp, ifindex: u32, frame: &[u8]) -> Result<(), DatapathError> {
    let mut context = [0u8; md::BYTES];
    put(&mut context, md::DATA_END, frame.len() as u32);
    put(&mut context, md::INGRESS_IFINDEX, ifindex);
    let options =
        TestRunOptions { data_in: Some(frame), ctx_in: Some(&context), ..TestRunOptions::default() };
    written(abi::program::TRACE_XDP, ifindex, program.test_run(options).map(|run| run.return_value))
}

fn written(
    program: &'static str,
    ifindex: u32,
    returned: Result<u32, ProgramError>,
) -> Result<(), DatapathError> {
    let link = format!("link {ifindex}");
    match returned {
        Ok(WRITTEN) => Ok(()),
        Ok(_) => Err(DatapathError::NotTraced { program, link }),
        Err(source) => Err(DatapathError::Program { program, link, source }),
    }
}

/// The outer tag as the control word has it, and the frame without it: the stack moves it into metadata before tc sees it.
fn untag(frame: &[u8]) -> (u32, Vec<u8>) {
    match frame.get(TAG_OFFSET..ETHERNET_BYTES + TAG_BYTES) {
        Some(&[a, b, c, d, ..]) if Tag::is_tpid(u16::from_be_bytes([a, b])) => {
            let (addresses, rest) = frame.split_at(TAG_OFFSET);
            let untagged = [addresses, rest.get(TAG_BYTES..).unwrap_or_default()].concat();
            (u32::from_be_bytes([a, b, c, d]), untagged)
        }
        _ => (0, frame.to_vec()),
    }
}

fn put(context: &mut [u8], offset: usize, value: u32) {
    if let Some(place) = context.get_mut(offset..offset + 4) {
        place.copy_from_slice(&value.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outer_tag_is_taken_out() {
        let frame = [&[0xaa; 12][..], &[0x88, 0xa8, 0xa0, 7, 0x81, 0, 0, 5, 8, 0, 1, 2]].concat();
        let (tag, rest) = untag(&frame);
        assert_eq!(tag, 0x88a8_a007);
        assert_eq!(rest, [&[0xaa; 12][..], &[0x81, 0, 0, 5, 8, 0, 1, 2]].concat());
        assert_eq!(untag(&frame[..14]), (0, frame[..14].to_vec()), "too short to have one");
    }
}
