//! Flooding: a copy to each member of the network but the ingress. There is this one mechanism; XDP passes floods up to it.

use vswitch_common::limits::FLOOD_MEMBERS;
use vswitch_common::policy;
use vswitch_common::port::flag;
use vswitch_common::verdict::DropReason;

use crate::packet::{Frame as _, Round, TcFrame, repeat};
use crate::pipeline::Ingress;
use crate::{count, egress, maps};

/// What a round of the loop needs; the same for all rounds but for `is_sent`. A count of copies would be another state for
/// the verifier each round, and the loop would never converge.
struct Flood<'a> {
    frame: &'a TcFrame,
    ingress: Ingress,
    bytes: u32,
    segments: u32,
    is_sent: u32,
}

/// Sends the copies and says whether there were any.
#[inline(always)]
pub(crate) fn flood(frame: &TcFrame, ingress: Ingress) -> bool {
    let places = maps::network(ingress.config.network).map_or(0, |network| network.places);
    let rounds = if places < FLOOD_MEMBERS { places } else { FLOOD_MEMBERS };
    let mut flood = Flood { frame, ingress, bytes: frame.length(), segments: frame.segments(), is_sent: 0 };
    repeat(rounds, &mut flood);
    flood.is_sent != 0
}

impl Round for Flood<'_> {
    /// Sends a copy to the member at place `index` of the network's flood list, if there is one that may have it.
    #[inline(always)]
    fn run(&mut self, index: u32) {
        let ingress = self.ingress;
        let Some(id) = maps::member(ingress.config.network, index as u16) else {
            return;
        };
        let Some(config) = maps::port(id) else { return };
        if !config.has(flag::FLOOD) || policy::may_leave((ingress.id, ingress.config), (id, config)).is_err()
        {
            return;
        }
        if !egress::fits(self.frame, config) {
            count::drop(id, self.segments, DropReason::TooBig);
        } else if egress::send_copy(self.frame, config) {
            self.is_sent = 1;
            count::tx(id, self.segments, self.bytes);
        } else {
            count::drop(id, self.segments, DropReason::EgressFailed);
        }
    }
}
