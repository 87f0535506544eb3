//! A case at both hooks: tc alone, and XDP with tc behind it. Whatever the hook, the frame has one outcome.

use vswitch_common::event::{Notice, PuntRecord};
use vswitch_common::fdb::{FdbEntry, FdbKey};
use vswitch_tests::program::*;

/// A frame in a given situation, and what should become of it.
pub(crate) struct Case<'a> {
    /// Says what the case is when it fails.
    pub(crate) name: &'a str,
    /// Makes the situation out of a reset fixture.
    pub(crate) prepare: &'a dyn Fn(&mut Fixture),
    /// The port it comes in by.
    pub(crate) ingress: PortId,
    /// The frame.
    pub(crate) frame: Vec<u8>,
    /// What the XDP program does with it.
    pub(crate) xdp: End,
    /// What the tc program does with it.
    pub(crate) tc: End,
    /// What is counted, wherever it is carried out.
    pub(crate) counted: Tally,
}

/// What a run leaves behind, but for times.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    fdb: Vec<(FdbKey, FdbEntry)>,
    dynamic: Vec<u64>,
    notices: Vec<Notice>,
    punts: Vec<PuntRecord>,
}

impl Traces {
    fn of(fixture: &mut Fixture) -> Self {
        let mut fdb = fixture.entries();
        fdb.iter_mut().for_each(|(_, entry)| entry.seen_ns = 0);
        let slots = [PortId::NOBODY].into_iter().chain(fixture.ports());
        let dynamic = slots.map(|slot| fixture.bpf.dynamic_entries(slot).expect("a slot")).collect();
        Self { fdb, dynamic, notices: fixture.notices(), punts: fixture.punts() }
    }
}

impl Case<'_> {
    /// Runs it at both hooks.
    #[track_caller]
    pub(crate) fn check(&self, fixture: &mut Fixture) {
        let name = self.name;
        self.enter(fixture);
        let run = fixture.tc(self.ingress, &self.frame);
        assert_eq!(run.end, self.tc, "{name}: at tc");
        assert_eq!(fixture.tally(), self.counted, "{name}: counted at tc");
        let alone = Traces::of(fixture);

        let before = self.enter(fixture);
        let at_xdp = fixture.xdp(self.ingress, &self.frame);
        assert_eq!(at_xdp.end, self.xdp, "{name}: at XDP");
        assert_eq!(at_xdp.frame, self.frame, "{name}: XDP changes no frame");
        if at_xdp.end == End::Passed {
            assert_eq!(fixture.tally(), Tally::new(), "{name}: XDP counts what it passes");
            assert_eq!(Traces::of(fixture), before, "{name}: XDP learns or tells from what it passes");
            let behind = fixture.tc(self.ingress, &self.frame);
            assert_eq!(behind, run, "{name}: at tc behind XDP");
            assert_eq!(fixture.tally(), self.counted, "{name}: counted at tc behind XDP");
        } else {
            assert_eq!(fixture.tally(), self.counted.clone().by_xdp(), "{name}: counted at XDP");
        }
        assert_eq!(Traces::of(fixture), alone, "{name}: tc and XDP leave different traces");
    }

    fn enter(&self, fixture: &mut Fixture) -> Traces {
        fixture.reset();
        (self.prepare)(fixture);
        drop((fixture.tally(), fixture.notices(), fixture.punts()));
        Traces::of(fixture)
    }
}
