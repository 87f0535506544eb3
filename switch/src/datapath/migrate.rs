//! From the maps of one ABI version to those of the next, and back.
//!
//! A map whose values have another layout is made anew, filled entry by entry, and put in the place of the old one's pin by
//! one rename. Programs of the run before keep the old map until they are replaced; what they write there meanwhile is
//! taken over by [`settle`]. Interrupted anywhere, it is done again from the start: a map that has its layout already is
//! left alone, and the version is written last.
//!
//! Only neighbouring versions are known. The layout of `CONFIG` must keep its first word, by which versions are told.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::object::Pins;
use super::{DatapathError, sys};

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From the version before to this build's.
    Up,
    /// From this build's to the version before.
    Back,
}

/// A map whose values differ between the version before and this one.
struct Conversion {
    /// Its name.
    map: &'static str,
    /// Bytes of a value, before and now.
    sizes: [u32; 2],
    /// A value of before, as it is now.
    up: fn(&[u8]) -> Vec<u8>,
    /// A value of now, as it was before.
    back: fn(&[u8]) -> Vec<u8>,
}

/// ABI versions that can be turned into this build's.
pub const MIGRATES: &[u32] =
    if cfg!(feature = "next-abi") { &[vswitch_common::abi::ABI_VERSION - 1] } else { &[] };

/// What differs from the version before.
#[cfg(not(feature = "next-abi"))]
const CONVERSIONS: &[Conversion] = &[];
/// The made-up next version has a further word at the end of an FDB entry.
#[cfg(feature = "next-abi")]
const CONVERSIONS: &[Conversion] = &[Conversion {
    map: vswitch_common::abi::map::FDB,
    sizes: [16, 24],
    up: |before| [before, &[0; 8]].concat(),
    back: |now| now[..16].to_vec(),
}];

/// A map that was replaced, and its replacement.
pub(super) struct Replaced {
    conversion: &'static Conversion,
    from: OwnedFd,
    to: OwnedFd,
}

/// Makes every pinned map that differs one of the other version.
pub(super) fn migrate(pins: &Pins, way: Way) -> Result<Vec<Replaced>, DatapathError> {
    CONVERSIONS.iter().filter_map(|conversion| migrate_map(pins, conversion, way).transpose()).collect()
}

fn migrate_map(
    pins: &Pins,
    conversion: &'static Conversion,
    way: Way,
) -> Result<Option<Replaced>, DatapathError> {
    let pin = pins.map(conversion.map);
    let failed = |source| DatapathError::Pin { path: pin.clone(), source };
    let from = match sys::open_pinned(&pin) {
        Ok(from) => from,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let shape = sys::map_shape(&from).map_err(failed)?;
    let [before, now] = conversion.sizes;
    let (wanted, convert) = match way {
        Way::Up => (now, conversion.up),
        Way::Back => (before, conversion.back),
    };
    if shape.value_bytes == wanted {
        return Ok(None);
    }
    if ![before, now].contains(&shape.value_bytes) {
        let message = format!("its values have {} bytes, not {before} or {now}", shape.value_bytes);
        return Err(failed(io::Error::other(message)));
    }
    let to = sys::create_map(&shape.with_values_of(wanted)).map_err(failed)?;
    sys::copy_entries(&from, &to, convert, sys::Existing::Replace).map_err(failed)?;
    replace_pin(&pin, &to).map_err(failed)?;
    tracing::info!(map = conversion.map, ?way, "migrated a map to another ABI version");
    Ok(Some(Replaced { conversion, from, to }))
}

/// One rename: the pin is of the old map or of the new one.
fn replace_pin(pin: &Path, map: &OwnedFd) -> io::Result<()> {
    // A bpffs takes no name with a dot.
    let name = pin.file_name().unwrap_or_default().to_string_lossy();
    let draft = pin.with_file_name(format!("{name}_new"));
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    sys::pin(map, &draft)?;
    fs::rename(&draft, pin)
}

/// Takes over what programs of the run before wrote into the old maps until they were replaced.
pub(super) fn settle(replaced: Vec<Replaced>) {
    for Replaced { conversion, from, to } in replaced {
        if let Err(error) = sys::copy_entries(&from, &to, conversion.up, sys::Existing::Keep) {
            tracing::warn!(map = conversion.map, %error, "what changed during the migration is learned again");
        }
    }
}
