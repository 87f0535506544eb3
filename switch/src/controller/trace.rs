//! `trace`: what the loaded programs wrote down about a frame, said stage by stage.
//!
//! Every answer is the programs': what stands here is only how to say it. A stage of the pipeline is a line of [`STAGES`]
//! and, if it can refuse a frame, a line of [`refused_by`].

mod words;

use vswitch_common::frame::Ethernet;
use vswitch_common::port::PortId;
use vswitch_common::trace::{Ending, Lesson, Reach, TraceRecord};
use vswitch_common::verdict::{DropReason, Verdict};
use vswitch_common::vlan::VlanId;

use super::{Controller, datapath_failed};
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::{
    Hook, HookTrace, Reply, Trace, TraceDelivery, TraceLearning, TraceSpec, TraceStage, TraceVerdict,
    TraceWithheld,
};
use crate::datapath::Traced;
use words::form;

/// Stages in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Parse,
    Port,
    Vlan,
    Guard,
    Learn,
    Respond,
    Lookup,
    Act,
}

/// What a stage says of a frame that it lets pass; none if the frame does not come by it.
type Answer = fn(&Sight<'_>) -> Option<String>;

/// The pipeline, as `switch-ebpf/src/pipeline.rs` has it.
const STAGES: [(Stage, &str, Answer); 8] = [
    (Stage::Parse, "parse", words::parse),
    (Stage::Port, "port", words::port),
    (Stage::Vlan, "vlan", words::vlan),
    (Stage::Guard, "guard", words::guard),
    (Stage::Learn, "learn", words::learn),
    (Stage::Respond, "respond", words::respond),
    (Stage::Lookup, "lookup", words::lookup),
    (Stage::Act, "act", words::act),
];

/// The stage that refuses frames for a reason, before anything is learned from them.
fn refused_by(reason: DropReason, record: &TraceRecord) -> Stage {
    match reason {
        // A frame has a domain once it is past the VLAN stage.
        DropReason::Malformed if record.domain == 0 => Stage::Parse,
        DropReason::NoPort
        | DropReason::PortDown
        | DropReason::Quarantined
        | DropReason::InvalidSource
        | DropReason::LinkConstrained => Stage::Port,
        DropReason::InvalidVlan | DropReason::VlanNotAllowed => Stage::Vlan,
        DropReason::Malformed | DropReason::SpoofedMac | DropReason::SpoofedIp | DropReason::RogueServer => {
            Stage::Guard
        }
        // Of frames that were learned from; none of them is refused.
        DropReason::SamePort
        | DropReason::TooBig
        | DropReason::NobodyToFlood
        | DropReason::EgressFailed
        | DropReason::PuntLost
        | DropReason::PuntLimited
        | DropReason::Isolated
        | DropReason::StormBroadcast
        | DropReason::StormMulticast
        | DropReason::StormUnknown
        | DropReason::Flapping
        | DropReason::NobodyJoined => Stage::Act,
    }
}

/// One frame at one hook.
struct Sight<'a> {
    controller: &'a Controller,
    hook: Hook,
    port: PortId,
    header: Ethernet,
    bytes: usize,
    record: TraceRecord,
    deliveries: Vec<TraceDelivery>,
    withheld: Vec<TraceWithheld>,
}

impl Controller {
    pub(super) fn trace(&mut self, spec: &TraceSpec) -> Result<Reply, ApiError> {
        let port = self.port_of(&spec.link)?;
        let frame =
            spec.octets().map_err(|error| ApiError::new(ErrorCode::InvalidFrame, error.to_string()))?;
        let state = self.state.ports.get(&port.0);
        let ifindex = state.map_or(0, |state| state.ifindex);
        if ifindex == 0 {
            return Err(ApiError::new(
                ErrorCode::NoSuchLink,
                format!("{}: the port's link is gone: nothing can come in by it", spec.link),
            ));
        }
        let has_xdp = state.is_some_and(|state| state.attached.xdp.is_some());
        let mut hooks = Vec::new();
        if has_xdp {
            let sight = self.sight(Hook::Xdp, port, ifindex, &frame)?;
            hooks.push(HookTrace { hook: Hook::Xdp, stages: sight.stages() });
            if sight.record.ending() != Ending::PassedUp {
                return Ok(Reply::Traces(vec![sight.trace(hooks)]));
            }
        }
        let sight = self.sight(Hook::Tc, port, ifindex, &frame)?;
        hooks.push(HookTrace { hook: Hook::Tc, stages: sight.stages() });
        Ok(Reply::Traces(vec![sight.trace(hooks)]))
    }

    fn sight(&mut self, hook: Hook, port: PortId, ifindex: u32, frame: &[u8]) -> Result<Sight<'_>, ApiError> {
        let failed = |e| datapath_failed(&e);
        let traced = self.datapath.trace(hook, ifindex, frame).map_err(failed)?;
        let (deliveries, withheld) = self.deliveries(port, &traced)?;
        let header = frame.first_chunk().map(Ethernet::parse);
        let header = header.ok_or_else(|| ApiError::internal("a traced frame without a header"))?;
        let (controller, record, bytes) = (&*self, traced.record, frame.len());
        Ok(Sight { controller, hook, port, header, bytes, record, deliveries, withheld })
    }

    /// Where the frame goes, and where it does not.
    fn deliveries(
        &self,
        ingress: PortId,
        traced: &Traced,
    ) -> Result<(Vec<TraceDelivery>, Vec<TraceWithheld>), ApiError> {
        let (mut deliveries, mut withheld) = (Vec::new(), Vec::new());
        let (record, verdict) = (&traced.record, traced.record.verdict());
        let is_carried = matches!(record.ending(), Ending::Carried | Ending::IntoPeer);
        match verdict.unpack() {
            _ if !verdict.is_decided() => {}
            Verdict::Forward(port, tag) if is_carried => {
                deliveries.push(TraceDelivery { port: self.link_name(port), tag: form(tag) });
            }
            Verdict::Answer(_) if is_carried => {
                let tag = if record.tpid == 0 { "untagged" } else { "untouched" };
                deliveries.push(TraceDelivery { port: self.link_name(ingress), tag: tag.to_owned() });
            }
            Verdict::Flood(_) | Verdict::Group(..) if record.reach() == Reach::Decided => {
                for slot in self.state.ports.keys().map(|slot| PortId(*slot)) {
                    let copied = self.datapath.copied(traced, slot).map_err(|e| datapath_failed(&e))?;
                    let port = self.link_name(slot);
                    match copied {
                        Some(Ok(tag)) => deliveries.push(TraceDelivery { port, tag: form(tag) }),
                        Some(Err(reason)) if slot != ingress => {
                            withheld.push(TraceWithheld { port, reason: words::withheld(reason).to_owned() });
                        }
                        Some(Err(_)) | None => {}
                    }
                }
            }
            Verdict::Forward(..)
            | Verdict::Answer(_)
            | Verdict::Flood(_)
            | Verdict::Group(..)
            | Verdict::Punt(_)
            | Verdict::Local
            | Verdict::Drop(_) => {}
        }
        deliveries.sort_by(|a, b| a.port.cmp(&b.port));
        withheld.sort_by(|a, b| a.port.cmp(&b.port));
        Ok((deliveries, withheld))
    }
}

impl Sight<'_> {
    /// What each stage says that the frame gets to.
    fn stages(&self) -> Vec<TraceStage> {
        let refusal = self.record.drop_reason().filter(|_| self.record.reach() == Reach::Refused);
        let mut said = Vec::new();
        for (stage, name, answer) in STAGES {
            let refused = refusal.filter(|reason| refused_by(*reason, &self.record) == stage);
            let answer = refused.map(words::refusal).or_else(|| answer(self));
            said.extend(answer.map(|answer| TraceStage { stage: name.to_owned(), answer }));
            if refused.is_some() {
                break;
            }
        }
        said
    }

    fn verdict(&self) -> TraceVerdict {
        if self.record.drop_reason().is_some() {
            return TraceVerdict::Drop;
        }
        match self.record.verdict().unpack() {
            Verdict::Forward(..) => TraceVerdict::Forward,
            Verdict::Flood(_) | Verdict::Group(..) => TraceVerdict::Flood,
            Verdict::Answer(_) => TraceVerdict::Answer,
            Verdict::Punt(_) => TraceVerdict::Punt,
            Verdict::Local => TraceVerdict::Local,
            Verdict::Drop(_) => TraceVerdict::Drop,
        }
    }

    fn learning(&self) -> TraceLearning {
        if self.record.reach() != Reach::Decided {
            return TraceLearning::Refused;
        }
        match Lesson::from_number(self.record.lesson) {
            Lesson::Keep => TraceLearning::Keep,
            Lesson::Refresh => TraceLearning::Refresh,
            Lesson::Insert => TraceLearning::Insert,
            Lesson::Move => TraceLearning::Move,
            Lesson::NoRoom => TraceLearning::NoRoom,
        }
    }

    /// The reply, as the hook sees it that carries the verdict out.
    fn trace(self, hooks: Vec<HookTrace>) -> Trace {
        let network = self.controller.state.network_of_domain(self.record.domain);
        Trace {
            port: self.controller.link_name(self.port),
            bytes: u32::try_from(self.bytes).unwrap_or(u32::MAX),
            destination: self.header.destination,
            source: self.header.source,
            network: network.map(|(name, _)| name.to_owned()),
            vlan: VlanId::new(self.record.vid),
            verdict: self.verdict(),
            reason: self.record.drop_reason().map(|reason| reason.name().to_owned()),
            learning: self.learning(),
            deliveries: if self.record.drop_reason().is_some() { Vec::new() } else { self.deliveries },
            withheld: self.withheld,
            hooks,
        }
    }
}
