//! From what of a port is in place to what should be: pure steps, and their execution with undo.
//!
//! Order matters. A port is built from the inside out: its slot is written and its link mapped before a program runs there,
//! it is a redirect target before its slot says so, and joins the flood list last, so that no frame meets half a port. It is taken apart
//! the other way round.

use vswitch_common::port::{NetworkConfig, PortConfig, PortId};

use crate::datapath::{Datapath, DatapathError, Target, TcMode, XdpMode};

/// What of one port is in the data path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// The slot's value; none is a free slot.
    pub config: Option<PortConfig>,
    /// How the tc program is attached, if it is.
    pub tc: Option<TcMode>,
    /// How the XDP program is attached, if it is.
    pub xdp: Option<XdpMode>,
    /// Its place in a flood list.
    pub place: Option<Place>,
    /// Whether XDP may redirect to it.
    pub is_target: bool,
}

/// A place in a network's flood list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The network's id.
    pub network: u16,
    /// The place.
    pub index: u16,
    /// Places of the list in use with this one.
    pub with: u32,
    /// And without it.
    pub without: u32,
}

impl Place {
    fn is_same(&self, other: Option<Self>) -> bool {
        other.is_some_and(|other| (other.network, other.index) == (self.network, self.index))
    }
}

/// One change. Each has an inverse, which undoes it when a later one fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Replace the slot's value.
    Write {
        /// What it was; none is free.
        from: Option<PortConfig>,
        /// What it becomes.
        to: Option<PortConfig>,
    },
    /// Make the link's frames the port's.
    MapLink,
    /// Make them nobody's.
    UnmapLink,
    /// Attach the tc program.
    AttachTc,
    /// Detach it.
    DetachTc(TcMode),
    /// Attach the XDP program.
    AttachXdp(XdpMode),
    /// Detach it; the mode is for undoing that.
    DetachXdp(XdpMode),
    /// Take a place in a network's flood list.
    Join(Place),
    /// Leave it.
    Leave(Place),
    /// Let XDP redirect to it.
    Aim,
    /// No more.
    Unaim,
}

/// The steps from `from` to `to`, taking apart first.
#[must_use]
pub fn plan(from: &Setup, to: &Setup) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(place) = from.place.filter(|place| !place.is_same(to.place)) {
        steps.push(Step::Leave(place));
    }
    if let Some(mode) = from.xdp.filter(|mode| to.xdp != Some(*mode)) {
        steps.push(Step::DetachXdp(mode));
    }
    if let Some(mode) = from.tc.filter(|_| to.tc.is_none()) {
        steps.push(Step::DetachTc(mode));
    }
    if from.config.is_some() && to.config.is_none() {
        steps.push(Step::UnmapLink);
    }
    // The slot's flag says that it is a target: it is one from before the flag is there until after it has gone.
    if to.is_target && !from.is_target {
        steps.push(Step::Aim);
    }
    if from.config != to.config {
        steps.push(Step::Write { from: from.config, to: to.config });
    }
    if from.is_target && !to.is_target {
        steps.push(Step::Unaim);
    }
    if from.config.is_none() && to.config.is_some() {
        steps.push(Step::MapLink);
    }
    if from.tc.is_none() && to.tc.is_some() {
        steps.push(Step::AttachTc);
    }
    if let Some(mode) = to.xdp.filter(|mode| from.xdp != Some(*mode)) {
        steps.push(Step::AttachXdp(mode));
    }
    if let Some(place) = to.place.filter(|place| !place.is_same(from.place)) {
        steps.push(Step::Join(place));
    }
    steps
}

impl Step {
    fn inverse(&self) -> Self {
        match self.clone() {
            Self::Write { from, to } => Self::Write { from: to, to: from },
            Self::MapLink => Self::UnmapLink,
            Self::UnmapLink => Self::MapLink,
            Self::AttachTc => Self::DetachTc(TcMode::Tcx),
            Self::DetachTc(_) => Self::AttachTc,
            Self::AttachXdp(mode) => Self::DetachXdp(mode),
            Self::DetachXdp(mode) => Self::AttachXdp(mode),
            Self::Join(place) => Self::Leave(place),
            Self::Leave(place) => Self::Join(place),
            Self::Aim => Self::Unaim,
            Self::Unaim => Self::Aim,
        }
    }
}

/// Carries out the steps; on failure undoes, in reverse, those that were begun. How the tc program was attached, if
/// a step did that.
///
/// # Errors
/// That of the step that failed. Errors of undoing are logged: there is nothing better to do about them.
pub fn execute(
    datapath: &mut dyn Datapath,
    port: PortId,
    target: &Target,
    steps: &[Step],
) -> Result<Option<TcMode>, DatapathError> {
    let mut tc = None;
    for (done, step) in steps.iter().enumerate() {
        match carry_out(datapath, port, target, step) {
            Ok(mode) => tc = mode.or(tc),
            Err(error) => {
                // The failed step among them: it may have been half done, and each inverse is harmless where there is nothing
                // to undo.
                for step in steps[..=done].iter().rev() {
                    undo(datapath, port, target, step, tc);
                }
                return Err(error);
            }
        }
    }
    Ok(tc)
}

fn undo(datapath: &mut dyn Datapath, port: PortId, target: &Target, step: &Step, tc: Option<TcMode>) {
    let inverse = match (step.inverse(), tc) {
        (Step::DetachTc(_), Some(mode)) => Step::DetachTc(mode),
        (inverse, _) => inverse,
    };
    if let Err(error) = carry_out(datapath, port, target, &inverse) {
        tracing::warn!(link = target.name, step = ?inverse, %error, "cannot undo a step");
    }
}

fn carry_out(
    datapath: &mut dyn Datapath,
    port: PortId,
    target: &Target,
    step: &Step,
) -> Result<Option<TcMode>, DatapathError> {
    match *step {
        Step::Write { from, to } => {
            // A free slot keeps its epoch, so that its next owner starts with another.
            let free = PortConfig { epoch: from.map_or(0, |config| config.epoch), ..PortConfig::FREE };
            datapath.set_port(port, &to.unwrap_or(free))?;
        }
        Step::MapLink => datapath.set_link(target.ifindex, Some(port))?,
        Step::UnmapLink => datapath.set_link(target.ifindex, None)?,
        Step::AttachTc => return datapath.attach_tc(port, target).map(Some),
        Step::DetachTc(mode) => datapath.detach_tc(port, target, mode)?,
        Step::AttachXdp(mode) => datapath.attach_xdp(port, target, mode)?,
        Step::DetachXdp(_) => datapath.detach_xdp(port)?,
        Step::Join(place) => {
            // The list first grows, then has the port; it first loses the port, then shrinks.
            datapath.set_network(place.network, &NetworkConfig { places: place.with, pad: 0 })?;
            datapath.set_member(place.network, place.index, Some(port))?;
        }
        Step::Leave(place) => {
            datapath.set_member(place.network, place.index, None)?;
            datapath.set_network(place.network, &NetworkConfig { places: place.without, pad: 0 })?;
        }
        Step::Aim => datapath.set_target(port, Some(target.ifindex))?,
        Step::Unaim => datapath.set_target(port, None)?,
    }
    Ok(None)
}

#[cfg(test)]
#[path = "plan/tests.rs"]
mod tests;
