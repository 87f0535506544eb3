//! Traces: a line a stage, under the hook.

use super::printable;
use crate::api::types::{Hook, Trace};
use crate::cli::trace::{Captured, Outcome};

/// Width of a stage's name and of what follows it.
const STAGE_WIDTH: usize = 9;

/// One trace.
pub(in crate::cli) fn trace(trace: &Trace) -> String {
    let mut lines = Vec::new();
    for at in &trace.hooks {
        let hook = match at.hook {
            Hook::Xdp => "xdp",
            Hook::Tc => "tc",
        };
        lines.push(format!("{} at {hook}", printable(&trace.port)));
        for stage in &at.stages {
            lines.push(format!("{:<STAGE_WIDTH$}{}", printable(&stage.stage), printable(&stage.answer)));
        }
    }
    lines.join("\n") + "\n"
}

/// One frame of a capture.
pub(in crate::cli) fn captured(captured: &Captured) -> String {
    let what = match &captured.outcome {
        Outcome::Traced(of) => trace(of),
        Outcome::Refused { error } => format!("not traced: {}\n", printable(&error.message)),
    };
    format!("frame {}: {what}", captured.frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::samples;

    #[test]
    fn stages_are_aligned_under_their_hook() {
        assert_eq!(
            trace(&samples::trace()),
            "veth0 at tc\n\
             parse    02:42:ac:11:00:02 to 02:42:ac:11:00:03, IPv4, untagged, 60 bytes\n\
             act      out of veth1\n"
        );
    }
}
