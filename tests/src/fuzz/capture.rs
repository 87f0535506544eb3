//! Capture files: frames or a refusal, and no more of them than asked for.

use vswitch::capture;
use vswitch_common::limits::TRACE_FRAME_BYTES;

use super::{gist, outcome};

/// Most frames asked for.
const MOST: usize = 16;

pub(super) fn check(input: &[u8]) -> u64 {
    match capture::parse(input, MOST) {
        Ok(capture) => {
            assert!(capture.frames.len() <= MOST);
            assert!(capture.frames.iter().all(|frame| frame.len() <= TRACE_FRAME_BYTES + 1));
            let fewer = capture::parse(input, 1).expect("what is read whole is read in part");
            assert_eq!(fewer.frames.first(), capture.frames.first());
            outcome(&("frames", "n".repeat(capture.frames.len())))
        }
        Err(error) => outcome(&gist(&error.to_string())),
    }
}
