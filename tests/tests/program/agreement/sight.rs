//! What a trace says of a frame beforehand, against what the book then expects of it.

use vswitch_common::trace::{Ending, Lesson, TraceRecord};
use vswitch_common::verdict::Verdict;
use vswitch_common::vlan;
use vswitch_tests::model::Form;
use vswitch_tests::program::*;

use super::book::Expected;
use super::twin::same;

/// What a trace says.
pub(crate) struct Foreseen {
    /// The hook that carries the frame out.
    hook: Hook,
    record: TraceRecord,
    /// The ports it leaves by, and those that are too small for a copy.
    sent: Vec<(PortId, Form)>,
    cut: Vec<PortId>,
}

/// Traces a frame, which comes to `first`.
///
/// # Errors
/// When the kernel does not run the programs.
pub(crate) fn foresee(
    fixture: &mut Fixture,
    ingress: PortId,
    first: Hook,
    frame: &[u8],
) -> Result<Foreseen, String> {
    let ifindex = fixture.link(ingress).ifindex;
    let mut trace = |hook| fixture.bpf.trace(hook, ifindex, frame).map_err(|error| error.to_string());
    let (mut hook, mut traced) = (first, trace(first)?);
    if traced.record.ending() == Ending::PassedUp {
        (hook, traced) = (Hook::Tc, trace(Hook::Tc)?);
    }
    let record = traced.record;
    let (mut sent, mut cut) = (Vec::new(), Vec::new());
    let verdict = record.verdict();
    match verdict.unpack() {
        Verdict::Forward(port, form) if record.drop_reason().is_none() => sent.push((port, said(form))),
        Verdict::Flood(_) if verdict.is_decided() => {
            for port in fixture.ports() {
                match fixture.bpf.copied(&traced, port).map_err(|error| error.to_string())? {
                    Some(Ok(form)) => sent.push((port, said(form))),
                    Some(Err(DropReason::TooBig)) => cut.push(port),
                    Some(Err(_)) | None => {}
                }
            }
        }
        _ => {}
    }
    Ok(Foreseen { hook, record, sent, cut })
}

/// Whether that is what becomes of the frame.
///
/// # Errors
/// The first difference.
pub(crate) fn compare(foreseen: &Foreseen, carried: Hook, expected: &Expected) -> Result<(), String> {
    same("traced: hook", &foreseen.hook, &carried)?;
    same("traced: dropped", &foreseen.record.drop_reason(), &expected.dropped)?;
    same("traced: sent", &foreseen.sent, &expected.sent)?;
    same("traced: cut", &foreseen.cut, &expected.cut)?;
    let has_no_room = Lesson::from_number(foreseen.record.lesson) == Lesson::NoRoom;
    same("traced: no room", &has_no_room, &expected.is_refused_room)
}

fn said(form: vlan::Form) -> Form {
    match form {
        vlan::Form::UNTOUCHED => Form::AsItCame,
        vlan::Form::UNTAGGED => Form::Untagged,
        vlan::Form(vid) => Form::Tagged(vid),
    }
}
