//! Flooding: a copy to each member of a list but the ingress: the network's, or a multicast group's. There is this one mechanism; XDP passes floods up to it.
//!
//! In a VLAN some members want the frame tagged and some untagged. The list is gone through twice: first for those who want
//! it as it is, then, with the tag pushed or popped once, for the others.

use vswitch_common::limits::FLOOD_MEMBERS;
use vswitch_common::policy;
use vswitch_common::port::{PortConfig, PortId, flag};
use vswitch_common::trace::Copied;
use vswitch_common::verdict::DropReason;
use vswitch_common::vlan::{Form, Tag};

use crate::packet::{Frame as _, Round, TcFrame, repeat};
use crate::pipeline::Ingress;
use crate::{clock, count, egress, maps, port, vlan};

/// Who is to get a copy: the ports of a flood list.
#[derive(Clone, Copy)]
pub(crate) struct List {
    number: u16,
    places: u32,
    /// Not 0: those who asked for it, whatever is flooded to them.
    is_asked_for: u32,
}

impl List {
    /// Nobody.
    pub(crate) const NOBODY: Self = Self { number: 0, places: 0, is_asked_for: 0 };

    /// All ports of the ingress's network that floods leave by.
    #[inline(always)]
    pub(crate) fn of_network(ingress: Ingress) -> Self {
        let places = maps::network(ingress.config.network).map_or(0, |network| network.places);
        Self { number: ingress.config.network, places, is_asked_for: 0 }
    }

    /// All of them, for a frame that each must hear.
    #[inline(always)]
    pub(crate) fn of_all(ingress: Ingress) -> Self {
        Self { is_asked_for: 1, ..Self::of_network(ingress) }
    }

    /// The members of a multicast group.
    #[inline(always)]
    pub(crate) fn of_group(number: u16, places: u16) -> Self {
        Self { number, places: places as u32, is_asked_for: 1 }
    }

    /// Why a frame goes nowhere that has nobody else on its list.
    #[inline(always)]
    pub(crate) fn nobody(self) -> DropReason {
        if self.is_asked_for != 0 { DropReason::NobodyJoined } else { DropReason::NobodyToFlood }
    }
}

/// What a round of the loop needs; the same for all rounds of a pass but for `is_counted`. A count of copies would be another
/// state for the verifier each round, and the loop would never converge.
struct Flood<'a> {
    frame: &'a TcFrame,
    ingress: Ingress,
    list: List,
    bytes: u32,
    segments: u32,
    now_ns: u64,
    vid: u16,
    form: u16,
    is_counted: u32,
}

/// Sends the copies and says whether there was anybody to send one to.
#[inline(always)]
pub(crate) fn flood(frame: &TcFrame, ingress: Ingress, vid: u16, list: List) -> bool {
    let rounds = if list.places < FLOOD_MEMBERS { list.places } else { FLOOD_MEMBERS };
    let tag = frame.tag();
    let mut flood = Flood {
        frame,
        ingress,
        list,
        bytes: frame.length(),
        segments: frame.segments(),
        now_ns: clock::now_ns(),
        vid,
        form: tag.form().0,
        is_counted: 0,
    };
    if vid != 0 && tag.form().0 == Form::PRIORITY.0 {
        // Nobody wants it as it is.
        flood.change(tag, Form::UNTAGGED);
    }
    repeat(rounds, &mut flood);
    if vid != 0 {
        let other = if flood.form == Form::UNTAGGED.0 { Form(vid) } else { Form::UNTAGGED };
        if flood.change(tag, other) {
            repeat(rounds, &mut flood);
        }
    }
    flood.is_counted != 0
}

impl Flood<'_> {
    /// Brings the frame into another form.
    #[inline(always)]
    fn change(&mut self, tag: Tag, to: Form) -> bool {
        let is_changed = self.frame.retag(tag, Form(self.form), to);
        self.form = to.0;
        is_changed
    }

    /// Whether the member gets a copy of the frame in its present form.
    #[inline(always)]
    fn is_for(&self, id: PortId, config: &PortConfig) -> bool {
        match wanted(self.ingress, self.list, id, config, self.vid, self.now_ns) {
            Ok(wanted) => !wanted.differs_from(Form(self.form)),
            Err(_) => false,
        }
    }
}

/// In which form a member gets its copy, or why it gets none; `NobodyToFlood` is that floods do not leave by it.
#[inline(always)]
fn wanted(
    ingress: Ingress,
    list: List,
    id: PortId,
    config: &PortConfig,
    vid: u16,
    now_ns: u64,
) -> Result<Form, DropReason> {
    if !(config.has(flag::FLOOD) || list.is_asked_for != 0) {
        return Err(DropReason::NobodyToFlood);
    }
    policy::may_leave((ingress.id, ingress.config), (id, config))?;
    if port::is_quarantined(id, now_ns) {
        return Err(DropReason::Quarantined);
    }
    vlan::leave(id, config, vid)
}

/// Writes down for a trace what the flood would do at each member, and says whether there is anybody to send a copy to.
#[inline(always)]
pub(crate) fn foresee(frame: &TcFrame, ingress: Ingress, vid: u16, list: List, number: u32) -> bool {
    let rounds = if list.places < FLOOD_MEMBERS { list.places } else { FLOOD_MEMBERS };
    let now_ns = clock::now_ns();
    let mut foresight = Foresight { frame, ingress, list, vid, number, now_ns, is_counted: 0 };
    repeat(rounds, &mut foresight);
    foresight.is_counted != 0
}

/// What a round of a traced flood needs.
struct Foresight<'a> {
    frame: &'a TcFrame,
    ingress: Ingress,
    list: List,
    vid: u16,
    number: u32,
    now_ns: u64,
    is_counted: u32,
}

impl Round for Foresight<'_> {
    #[inline(always)]
    fn run(&mut self, index: u32) {
        let Some(id) = maps::member(self.list.number, index as u16) else { return };
        let Some(config) = maps::port(id) else { return };
        let copied = match wanted(self.ingress, self.list, id, config, self.vid, self.now_ns) {
            Ok(form) => {
                self.is_counted = 1;
                if egress::fits(self.frame, config) {
                    Copied::new(self.number, Ok(form))
                } else {
                    Copied::new(self.number, Err(DropReason::TooBig))
                }
            }
            Err(reason) => Copied::new(self.number, Err(reason)),
        };
        maps::write_copied(id, copied);
    }
}

impl Round for Flood<'_> {
    /// Sends a copy to the member at place `index` of the list, if there is one that may have it.
    #[inline(always)]
    fn run(&mut self, index: u32) {
        let Some(id) = maps::member(self.list.number, index as u16) else { return };
        let Some(config) = maps::port(id) else { return };
        if !self.is_for(id, config) {
            return;
        }
        self.is_counted = 1;
        if !egress::fits(self.frame, config) {
            count::drop(id, self.segments, DropReason::TooBig);
        } else if egress::send_copy(self.frame, config) {
            count::tx(id, self.segments, self.bytes, false);
        } else {
            count::drop(id, self.segments, DropReason::EgressFailed);
        }
    }
}
