//! Attachments: one pinned BPF link for each port and hook, so that they outlive the controller and can be given a new
//! program atomically. On kernels without tcx, a filter of a clsact qdisc stands in for the tc link.

use std::fs;
use std::io;
use std::path::Path;

use aya::programs::links::{FdLink, LinkError, LinkOrder, PinnedLink};
use aya::programs::tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle};
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, SchedClassifier, TcAttachType, Xdp, tc};
use vswitch_common::abi;

use super::{DatapathError, Target, XdpMode, sys};

/// Handle of our clsact filter.
pub const CLSACT_HANDLE: u32 = 0x7673;

/// Priority and handle of our clsact filter: fixed, so that a later run finds and replaces it.
const FILTER: NlOptions =
    NlOptions { priority: 1, handle: TcHandle::new(0, CLSACT_HANDLE as u16), classid: None };

/// Attaches the XDP program, or puts it in place of the one that an earlier run pinned.
pub(super) fn attach_xdp(
    program: &mut Xdp,
    target: &Target,
    mode: XdpMode,
    pin: &Path,
) -> Result<(), DatapathError> {
    let failed =
        |source| DatapathError::Program { program: abi::program::XDP, link: target.name.clone(), source };
    if let Some(old) = pinned(pin)? {
        let link = XdpLink::try_from(old).map_err(|_| not_pinnable(abi::program::XDP, target))?;
        match program.attach_to_link(link) {
            Ok(id) => {
                return keep(program.take_link(id).map_err(failed)?, abi::program::XDP, target, None);
            }
            Err(error) if is_dead(&error) => unpin(pin)?,
            Err(error) => return Err(failed(error)),
        }
    }
    let flags = match mode {
        XdpMode::Native => aya::programs::xdp::XdpMode::Driver,
        XdpMode::Generic => aya::programs::xdp::XdpMode::Skb,
    };
    let id = program.attach_to_if_index(target.ifindex, flags).map_err(failed)?;
    keep(program.take_link(id).map_err(failed)?, abi::program::XDP, target, Some(pin))
}

/// Attaches the tc program by tcx, or puts it in place of the one that an earlier run pinned.
pub(super) fn attach_tcx(
    program: &mut SchedClassifier,
    target: &Target,
    pin: &Path,
) -> Result<(), DatapathError> {
    let failed =
        |source| DatapathError::Program { program: abi::program::TC, link: target.name.clone(), source };
    if let Some(old) = pinned(pin)? {
        let link = SchedClassifierLink::try_from(old).map_err(|_| not_pinnable(abi::program::TC, target))?;
        match program.attach_to_link(link) {
            Ok(id) => {
                return keep(program.take_link(id).map_err(failed)?, abi::program::TC, target, None);
            }
            Err(error) if is_dead(&error) => unpin(pin)?,
            Err(error) => return Err(failed(error)),
        }
    }
    let options = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = program.attach_with_options(&target.name, TcAttachType::Ingress, options).map_err(failed)?;
    keep(program.take_link(id).map_err(failed)?, abi::program::TC, target, Some(pin))
}

/// Attaches the tc program as a clsact filter; an older one of ours at the same place is replaced.
pub(super) fn attach_clsact(program: &mut SchedClassifier, target: &Target) -> Result<(), DatapathError> {
    let failed =
        |source| DatapathError::Program { program: abi::program::TC, link: target.name.clone(), source };
    // Already there is fine: the qdisc may be somebody else's, who has filters of their own in it.
    let _exists = tc::qdisc_add_clsact(&target.name);
    let _none = tc::qdisc_detach_program(&target.name, TcAttachType::Ingress, abi::program::TC);
    let options = TcAttachOptions::Netlink(NlOptions { ..FILTER });
    let id = program.attach_with_options(&target.name, TcAttachType::Ingress, options).map_err(failed)?;
    // A netlink attachment has nothing to pin: the qdisc holds the program. Forgetting the handle keeps it attached.
    std::mem::forget(program.take_link(id).map_err(failed)?);
    Ok(())
}

/// Detaches what is pinned at `pin`, at once, and removes the pin; nothing there is fine.
pub(super) fn detach(pin: &Path) -> Result<(), DatapathError> {
    // Removing the pin would detach too, but only after an RCU grace period.
    match sys::detach_pinned(pin) {
        Ok(()) => unpin(pin),
        // The device has gone already and took the attachment along.
        Err(e) if e.raw_os_error() == Some(libc::ENOLINK) => unpin(pin),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(DatapathError::Pin { path: pin.to_owned(), source }),
    }
}

/// Detaches our clsact filter; a link or filter that has gone is fine.
pub(super) fn detach_clsact(target: &Target) {
    let _gone = tc::qdisc_detach_program(&target.name, TcAttachType::Ingress, abi::program::TC);
}

/// Whether the failure says that this kernel has no tcx (before Linux 6.6 the attach type is unknown to it).
pub(super) fn lacks_tcx(error: &DatapathError) -> bool {
    error.errno() == Some(libc::EINVAL)
}

fn pinned(pin: &Path) -> Result<Option<FdLink>, DatapathError> {
    match PinnedLink::from_pin(pin) {
        Ok(link) => Ok(Some(FdLink::from(link))),
        Err(LinkError::SyscallError(e)) if e.io_error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DatapathError::Pin { path: pin.to_owned(), source: io::Error::other(error) }),
    }
}

fn unpin(pin: &Path) -> Result<(), DatapathError> {
    match fs::remove_file(pin) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(DatapathError::Pin { path: pin.to_owned(), source }),
    }
}

/// Pins a new link, or lets go of one that is pinned already.
fn keep<L>(link: L, program: &'static str, target: &Target, pin: Option<&Path>) -> Result<(), DatapathError>
where
    FdLink: TryFrom<L>,
{
    let link = FdLink::try_from(link).map_err(|_| not_pinnable(program, target))?;
    if let Some(pin) = pin {
        link.pin(pin)
            .map_err(|e| DatapathError::Pin { path: pin.to_owned(), source: io::Error::other(e) })?;
    }
    Ok(())
}

fn not_pinnable(program: &'static str, target: &Target) -> DatapathError {
    DatapathError::NotPinnable { program, link: target.name.clone() }
}

/// Whether the pinned link's device has gone: the kernel then says ENOLINK (tcx, XDP), and the pin is of no more use.
fn is_dead(error: &ProgramError) -> bool {
    matches!(error, ProgramError::SyscallError(e) if e.io_error.raw_os_error() == Some(libc::ENOLINK))
}
