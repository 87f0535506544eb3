//! Bridge domains: the scope of learning and flooding, as an FID is in 802.1Q clause 8.8.8.

/// A network interned to 16 bits. 0 is nobody's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct NetworkId(pub u16);

/// A network × VLAN interned to 16 bits. 0 is nobody's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct DomainId(pub u16);
