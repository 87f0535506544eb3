//! `vswitch trace`: what the loaded program would do with a frame.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::session::{Session, only};
use super::show;
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::{Request, Trace, TraceSpec};
use crate::capture::{self, CAPTURE_BYTES, Capture};

/// What the loaded program would do with a frame, stage by stage; sends, learns and counts nothing
#[derive(Debug, Args)]
#[command(after_help = "\
FRAME is the frame from its destination address on, without check sequence: hexadecimal octets, with `:`, `-`, `.` or
blanks between them or not. With --pcap the frames of a capture (pcap or pcapng of Ethernet) are traced one by one.

Examples:
  vswitch trace veth-web ffffffffffff0242ac11000208004500
  vswitch trace veth-web 02:42:ac:11:00:03:02:42:ac:11:00:02:88:b5 --json
  vswitch trace veth-web --pcap capture.pcapng --count 20")]
pub(super) struct TraceOptions {
    /// Link name of the port that it comes in by
    link: String,
    /// The frame
    #[arg(required_unless_present = "pcap", num_args = 1.., value_name = "FRAME")]
    frame: Vec<String>,
    /// Take the frames from a capture
    #[arg(long, value_name = "FILE", conflicts_with = "frame")]
    pcap: Option<PathBuf>,
    /// Most frames of the capture
    #[arg(long, value_name = "N", requires = "pcap", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
}

/// A frame of a capture.
#[derive(Debug, Serialize)]
pub(super) struct Captured {
    /// Its number in the capture, from 1.
    pub(super) frame: u32,
    /// What came of it.
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

/// What came of tracing a frame of a capture.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome {
    /// It was traced.
    Traced(Box<Trace>),
    /// It is no frame that can be traced.
    Refused {
        /// Why.
        error: ApiError,
    },
}

impl TraceOptions {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let Some(file) = &self.pcap else {
            let trace = only(session.traces(self.request()).await?)?;
            return session.print(&trace, || show::trace(&trace));
        };
        let frames = read(file, self.count)?.frames;
        let mut captured = Vec::with_capacity(frames.len());
        for (number, frame) in (1..).zip(frames) {
            let spec = TraceSpec { link: self.link.clone(), frame: TraceSpec::text(&frame) };
            let outcome = match session.traces(Request::Trace(spec)).await.and_then(only) {
                Ok(trace) => Outcome::Traced(Box::new(trace)),
                Err(error) if error.code == ErrorCode::InvalidFrame => Outcome::Refused { error },
                Err(error) => return Err(error.into()),
            };
            captured.push(Captured { frame: number, outcome });
        }
        session.print(&captured, || captured.iter().map(show::captured).collect::<Vec<_>>().join("\n"))
    }

    /// What to ask of the controller about the frame of the command line.
    pub(super) fn request(&self) -> Request {
        Request::Trace(TraceSpec { link: self.link.clone(), frame: self.frame.join(" ") })
    }
}

fn read(file: &Path, most: u32) -> Result<Capture, ApiError> {
    let refuse = |why: String| {
        ApiError::new(
            ErrorCode::InvalidCapture,
            format!("capture {}: {why}: give a pcap or pcapng file of Ethernet frames", file.display()),
        )
    };
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(|error| refuse(error.to_string()))?;
    opened.take(CAPTURE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| refuse(error.to_string()))?;
    if bytes.len() as u64 > CAPTURE_BYTES {
        return Err(refuse(format!("longer than the {CAPTURE_BYTES} bytes that are read")));
    }
    capture::parse(&bytes, most as usize).map_err(|error| refuse(error.to_string()))
}
