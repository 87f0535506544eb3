//! Programs of the object into the kernel, past its verifier.

use aya::Ebpf;
use aya::programs::{Program, SchedClassifier, Xdp};
use vswitch_common::abi;

use super::{DatapathError, object};

/// Has the kernel's verifier look at the programs, over maps of their own that go away again.
///
/// # Errors
/// When the object does not load here.
pub fn try_programs() -> Result<(), DatapathError> {
    load_programs(&mut object::load_apart()?)
}

/// Loads every program.
pub(super) fn load_programs(ebpf: &mut Ebpf) -> Result<(), DatapathError> {
    let failed = |program| move |source| DatapathError::Program { program, link: "load".to_owned(), source };
    for name in [abi::program::XDP, abi::program::TRACE_XDP] {
        program::<Xdp>(ebpf, name)?.load().map_err(failed(name))?;
    }
    for name in [abi::program::TC, abi::program::FLOOD, abi::program::TRACE] {
        program::<SchedClassifier>(ebpf, name)?.load().map_err(failed(name))?;
    }
    Ok(())
}

/// A program of the object, as one of its type.
pub(super) fn program<'a, P>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut P, DatapathError>
where
    &'a mut P: TryFrom<&'a mut Program>,
{
    let program = ebpf.program_mut(name).ok_or(DatapathError::Missing(name))?;
    program.try_into().map_err(|_| DatapathError::Missing(name))
}
