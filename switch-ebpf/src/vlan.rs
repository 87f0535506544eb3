//! Stage: which domain does the frame belong to? Networks are VLAN-unaware so far: tags pass untouched.

use vswitch_common::domain::DomainId;

use crate::pipeline::Ingress;

/// The frame's domain.
#[inline(always)]
pub(crate) fn classify(ingress: &Ingress) -> DomainId {
    ingress.config.domain()
}
