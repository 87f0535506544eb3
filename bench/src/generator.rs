//! The rate at which frames born as XDP arrive, while their generator runs.
//!
//! A call of the generator (`BPF_PROG_TEST_RUN`) waits for grace periods of RCU before and after it runs its frames
//! (`kernel/bpf/dispatcher.c`, `bpf_dispatcher_update`), tens of milliseconds in which nothing is sent: in short calls that is
//! most of the time, and it makes all switches alike. So one call outlasts the measurement, and what has arrived is read
//! twice while it runs.

use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use vswitch_tests::bpf::Emitter;

use crate::cpu;
use crate::station::Station;

/// Frames of the first trial, by which the rate is guessed.
const FEW: u32 = 16 << 10;
/// A call that took this long says what longer ones will take.
const TELLING: Duration = Duration::from_millis(100);
/// What a call gets to begin, and has left when the measurement ends.
const MARGIN: Duration = Duration::from_millis(150);
/// How often the generator was done too soon.
const ATTEMPTS: u32 = 4;

/// Frames a second that `count` says arrived while `from` sent as fast as it can, over `time`.
///
/// # Errors
/// When none arrives, and what the kernel says.
pub(crate) fn rate(
    from: &Station,
    emitter: &Emitter,
    frame: &[u8],
    time: Duration,
    count: impl Fn() -> Result<u64>,
) -> Result<f64> {
    let mut frames = enough(from, emitter, frame, time + MARGIN * 2)?;
    for _ in 0..ATTEMPTS {
        if let Some(rate) = watch(from, emitter, (frame, frames), time, &count)? {
            ensure!(rate > 0.0, "no frame arrived");
            return Ok(rate);
        }
        frames = frames.saturating_mul(2);
    }
    bail!("the generator was done before the measurement {ATTEMPTS} times");
}

/// How many frames keep the generator busy for so long, a quarter more than it seems.
fn enough(from: &Station, emitter: &Emitter, frame: &[u8], time: Duration) -> Result<u32> {
    let mut frames = FEW;
    loop {
        let took = emit(from, emitter, frame, frames)?;
        if took >= TELLING {
            let wanted = f64::from(frames) * time.as_secs_f64() / took.as_secs_f64();
            return Ok((wanted * 1.25) as u32);
        }
        frames = frames.saturating_mul(4);
    }
}

/// Reads the count twice while the frames are sent; nothing when they were all sent before.
fn watch(
    from: &Station,
    emitter: &Emitter,
    (frame, frames): (&[u8], u32),
    time: Duration,
    count: impl Fn() -> Result<u64>,
) -> Result<Option<f64>> {
    thread::scope(|scope| {
        let sending = scope.spawn(|| emit(from, emitter, frame, frames));
        sleep(MARGIN);
        let (before, start) = (count()?, Instant::now());
        sleep(time);
        let (after, seconds) = (count()?, start.elapsed().as_secs_f64());
        let is_in_time = !sending.is_finished();
        sending.join().expect("sending does not panic")?;
        Ok(is_in_time.then_some((after - before) as f64 / seconds))
    })
}

fn emit(from: &Station, emitter: &Emitter, frame: &[u8], frames: u32) -> Result<Duration> {
    from.namespace.run(|| {
        cpu::pin(cpu::CLIENT)?;
        let start = Instant::now();
        emitter.emit(frame, frames)?;
        Ok(start.elapsed())
    })
}
