//! Reading what the data path tells: one task a ring, each ending when nobody listens any more.

use std::io;

use aya::maps::{MapData, RingBuf};
use tokio::sync::mpsc;
use vswitch_common::event::{Notice, PuntRecord, Snoop};

use super::sys;

/// Records read in a row before other tasks get their turn.
const BURST: usize = 256;

/// Sends each notice on, until the receiver has gone. A slow receiver fills the ring, and the kernel counts what is lost.
///
/// # Errors
/// When the ring cannot be waited for.
pub async fn read_notices(ring: RingBuf<MapData>, to: mpsc::Sender<Notice>) -> io::Result<()> {
    read(ring, to, Notice::parse).await
}

/// Sends each punted frame on, until the receiver has gone.
///
/// # Errors
/// When the ring cannot be waited for.
pub async fn read_punts(ring: RingBuf<MapData>, to: mpsc::Sender<PuntRecord>) -> io::Result<()> {
    read(ring, to, PuntRecord::parse).await
}

/// Sends each message about membership on, until the receiver has gone.
///
/// # Errors
/// When the ring cannot be waited for.
pub async fn read_snoops(ring: RingBuf<MapData>, to: mpsc::Sender<Snoop>) -> io::Result<()> {
    read(ring, to, Snoop::parse).await
}

async fn read<T>(
    ring: RingBuf<MapData>,
    to: mpsc::Sender<T>,
    parse: fn(&[u8]) -> Option<T>,
) -> io::Result<()> {
    let mut ring = sys::await_ring(ring)?;
    loop {
        // A record may have come before we began to wait, and epoll tells of new ones only.
        let batch = take(ring.get_mut(), parse);
        if batch.is_empty() {
            ring.readable().await?.clear_ready();
            continue;
        }
        for record in batch {
            if to.send(record).await.is_err() {
                return Ok(());
            }
        }
        tokio::task::yield_now().await;
    }
}

fn take<T>(ring: &mut RingBuf<MapData>, parse: fn(&[u8]) -> Option<T>) -> Vec<T> {
    let mut batch = Vec::new();
    while batch.len() < BURST {
        let Some(item) = ring.next() else { break };
        batch.extend(parse(&item));
    }
    batch
}
