//! One run of one program over one frame, by `BPF_PROG_TEST_RUN`.
//!
//! What such a run leaves out: a redirect is decided but not carried out. Clones are sent. The kernel refuses frames
//! shorter than an Ethernet header (net/bpf/test_run.c, `bpf_test_init`).

use std::time::Duration;

use aya::programs::{Program, ProgramError, TestRun as _, TestRunOptions, TestRunResult};

/// Room behind the frame for what a program might append.
const SPARE: usize = 64;

/// Offsets in `struct __sk_buff` and its size, and those of `struct xdp_md` (linux/bpf.h).
mod skb {
    pub(super) const IFINDEX: usize = 40;
    pub(super) const CONTROL: usize = 48;
    pub(super) const GSO_SEGMENTS: usize = 164;
    pub(super) const GSO_SIZE: usize = 176;
    pub(super) const BYTES: usize = 192;
}
mod md {
    pub(super) const DATA_END: usize = 4;
    pub(super) const INGRESS_IFINDEX: usize = 12;
    pub(super) const BYTES: usize = 24;
}

/// What a program does with a frame in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Passed up: `TC_ACT_OK`, `XDP_PASS`.
    Passed,
    /// Sent nowhere from here: `TC_ACT_SHOT`, `XDP_DROP`. A flood ends so too, after its copies.
    Shot,
    /// Sent out of one link: `TC_ACT_REDIRECT`, `XDP_REDIRECT`.
    Redirected,
}

/// Outcome of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What became of the frame.
    pub end: End,
    /// The frame as the program left it.
    pub frame: Vec<u8>,
}

/// A frame that stands for many, as the kernel's own TCP makes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gso {
    /// How many frames it stands for.
    pub segments: u32,
    /// Payload octets of each.
    pub size: u32,
}

/// A run at the tc hook: the frame came by link `ifindex`, and `control` is what a caller left in `cb`.
pub(super) fn tc(
    program: &Program,
    frame: &[u8],
    ifindex: u32,
    control: [u32; 2],
    gso: Gso,
) -> Result<Run, ProgramError> {
    let fields = [
        (skb::IFINDEX, ifindex),
        (skb::CONTROL, control[0]),
        (skb::CONTROL + 4, control[1]),
        (skb::GSO_SEGMENTS, gso.segments),
        (skb::GSO_SIZE, gso.size),
    ];
    run(program, frame, &context::<{ skb::BYTES }>(&fields))
}

/// A run at the XDP hook: the frame came by queue 0 of link `ifindex`.
pub(super) fn xdp(program: &Program, frame: &[u8], ifindex: u32) -> Result<Run, ProgramError> {
    let fields = [(md::DATA_END, frame.len() as u32), (md::INGRESS_IFINDEX, ifindex)];
    run(program, frame, &context::<{ md::BYTES }>(&fields))
}

/// Time of one of many runs at the tc hook over a frame that came by link `ifindex`.
pub(super) fn time_tc(
    program: &Program,
    frame: &[u8],
    ifindex: u32,
    repeat: u32,
) -> Result<Duration, ProgramError> {
    time(program, frame, &context::<{ skb::BYTES }>(&[(skb::IFINDEX, ifindex)]), repeat)
}

/// The same at the XDP hook.
pub(super) fn time_xdp(
    program: &Program,
    frame: &[u8],
    ifindex: u32,
    repeat: u32,
) -> Result<Duration, ProgramError> {
    let fields = [(md::DATA_END, frame.len() as u32), (md::INGRESS_IFINDEX, ifindex)];
    time(program, frame, &context::<{ md::BYTES }>(&fields), repeat)
}

fn time(program: &Program, frame: &[u8], context: &[u8], repeat: u32) -> Result<Duration, ProgramError> {
    let options =
        TestRunOptions { data_in: Some(frame), ctx_in: Some(context), repeat, ..TestRunOptions::default() };
    match program {
        Program::Xdp(program) => Ok(program.test_run(options)?.duration),
        Program::SchedClassifier(program) => Ok(program.test_run(options)?.duration),
        other => panic!("the data path has no {:?} programs", other.prog_type()),
    }
}

/// Context of a run at the tc hook over a frame whose outer tag is to be in metadata: see [`AsTheStack`](crate::bpf::AsTheStack).
pub(super) fn context_with_tag(ifindex: u32, tpid: u16, tci: u16) -> [u8; skb::BYTES] {
    let fields = [
        (skb::IFINDEX, ifindex),
        (skb::CONTROL, u32::from(tpid.to_be())),
        (skb::CONTROL + 4, u32::from(tci)),
    ];
    context(&fields)
}

fn context<const N: usize>(fields: &[(usize, u32)]) -> [u8; N] {
    let mut context = [0; N];
    for (offset, value) in fields {
        context[*offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
    }
    context
}

fn run(program: &Program, frame: &[u8], context: &[u8]) -> Result<Run, ProgramError> {
    let mut out = vec![0; frame.len() + SPARE];
    let options = TestRunOptions {
        data_in: Some(frame),
        data_out: Some(&mut out),
        ctx_in: Some(context),
        ..TestRunOptions::default()
    };
    let (end, result) = match program {
        Program::Xdp(program) => with_end(program.test_run(options)?, xdp_end),
        Program::SchedClassifier(program) => with_end(program.test_run(options)?, tc_end),
        other => panic!("the data path has no {:?} programs", other.prog_type()),
    };
    out.truncate(result.data_size_out as usize);
    Ok(Run { end, frame: out })
}

fn with_end(result: TestRunResult, end: fn(u32) -> End) -> (End, TestRunResult) {
    (end(result.return_value), result)
}

/// As numbered in linux/pkt_cls.h.
pub(super) fn tc_end(value: u32) -> End {
    match value {
        0 => End::Passed,
        2 => End::Shot,
        7 => End::Redirected,
        other => panic!("the tc program returned {other}"),
    }
}

/// As numbered in linux/bpf.h.
fn xdp_end(value: u32) -> End {
    match value {
        1 => End::Shot,
        2 => End::Passed,
        4 => End::Redirected,
        other => panic!("the XDP program returned {other}"),
    }
}
