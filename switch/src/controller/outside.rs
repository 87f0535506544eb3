//! What others do to what is ours: programs detached, pins removed, the bpffs unmounted, the table of rules flushed. Of pins
//! and rules a system call or two tell that nothing has changed; of a detached program nothing but its own link does, at a
//! system call each, so that each tick looks at half of them. What is found is mended and said.

use vswitch_common::port::PortId;

use super::Controller;
use crate::api::types::EventKind;
use crate::datapath::{CLSACT_HANDLE, TcMode};
use crate::error::chain;
use crate::gateway::nat;
use crate::netlink::{LinkIndex, qdisc};

/// Ports whose attachments are all looked at in each tick; of more, half of them, so that a look at each comes within two.
const LOOKS_A_TICK: usize = 64;

/// The rules as they were when we had made them.
#[derive(Debug, Default)]
pub(super) struct KnownRules {
    /// The last transaction that is known to have left them alone.
    generation: u32,
    /// Our table, as nft lists it.
    listing: String,
}

impl Controller {
    /// Looks, and mends what it finds.
    pub(super) async fn mend_what_others_did(&mut self) {
        self.mend_pins();
        self.mend_attachments().await;
        self.mend_rules().await;
    }

    fn say_mended(&self, what: &str, port: Option<String>) {
        tracing::warn!(what, port, "somebody else removed it; it is there again");
        self.publish(EventKind::Mended { what: what.to_owned(), port });
    }

    /// Makes pins again, on a new bpffs if theirs has gone.
    fn mend_pins(&mut self) {
        match self.datapath.mend_pins() {
            Ok(0) => {}
            Ok(count) => self.say_mended(&format!("{count} pins"), None),
            Err(error) if !self.is_unpinned => {
                self.is_unpinned = true;
                let error = chain(&error);
                tracing::error!(
                    error,
                    "the pins have gone and cannot be made again: the ports stop when this controller ends"
                );
            }
            Err(_) => {}
        }
    }

    /// Attaches programs again that were detached.
    async fn mend_attachments(&mut self) {
        let attached = self.live.iter().filter(|(_, live)| live.link.is_some() && live.setup.tc.is_some());
        // One more, so that the round is over with the second half.
        let half = (self.live.len() / 2 + 1).max(LOOKS_A_TICK);
        for slot in self.looks.next(attached.map(|(slot, _)| *slot), half) {
            let port = PortId(slot);
            let Some(live) = self.live.get(&slot) else { continue };
            let Some(link) = live.link.as_ref().map(|link| link.index) else { continue };
            let (tc, xdp, health) = (live.setup.tc, live.setup.xdp, self.datapath.health(port));
            let tc = match tc {
                Some(TcMode::Tcx) => !health.tc_is_gone,
                _ => self.has_filter(link).await,
            };
            let xdp = xdp.is_none() || !health.xdp_is_gone;
            if !tc || !xdp {
                self.attach_again(port, tc, xdp).await;
            }
        }
    }

    /// Whether the clsact filter of a link is there; where that cannot be told, it is taken to be.
    async fn has_filter(&self, link: LinkIndex) -> bool {
        let filters = qdisc::filters(&self.netlink, link).await;
        filters.is_err() || filters.is_ok_and(|handles| handles.contains(&CLSACT_HANDLE))
    }

    async fn attach_again(&mut self, port: PortId, has_tc: bool, has_xdp: bool) {
        // What is gone is planned anew.
        if let Some(live) = self.live.get_mut(&port.0) {
            live.setup.tc = live.setup.tc.filter(|_| has_tc);
            live.setup.xdp = live.setup.xdp.filter(|_| has_xdp);
        }
        self.reconverge(port).await;
        let what = if has_tc { "XDP program" } else { "tc program" };
        if !self.behind.contains(&port.0) {
            self.say_mended(what, Some(self.link_name(port)));
        }
    }

    /// Notes the rules as they are now that we have made them. True if nobody else's transaction came since the generation
    /// `before` ours, so that what is noted is what was made.
    pub(super) async fn note_rules(&mut self, before: Option<u32>) -> bool {
        self.rules = None;
        if !self.state.has_rules {
            return true;
        }
        let listing = nat::list(&self.table()).await.unwrap_or_default();
        let Ok(generation) = self.netlink.ruleset_generation().await else { return true };
        self.rules = listing.map(|listing| KnownRules { generation, listing });
        before.is_none_or(|before| generation == before.wrapping_add(1))
    }

    /// Makes the table again if a transaction of somebody else's has changed it.
    async fn mend_rules(&mut self) {
        let table = self.table();
        if !self.state.has_rules {
            return;
        }
        // Without a listing, ours went in the moment that they were made.
        if let Some(known) = &mut self.rules {
            let generation = match self.netlink.ruleset_generation().await {
                Ok(generation) if generation != known.generation => generation,
                _ => return,
            };
            match nat::list(&table).await {
                Ok(Some(listing)) if listing == known.listing => {
                    known.generation = generation;
                    return;
                }
                Ok(_) => {}
                Err(error) => return tracing::debug!(error = chain(&error), "cannot look at the rules"),
            }
        }
        match self.apply_rules().await {
            Ok(()) => self.say_mended("table of rules", None),
            Err(error) => {
                tracing::warn!(error = chain(&error), "the table of rules has gone and cannot be made again");
            }
        }
    }
}
