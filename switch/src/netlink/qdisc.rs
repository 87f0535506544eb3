//! The clsact queueing discipline of a link: whether it is there, what filters it holds, and its removal when it holds
//! none. Kernels without tcx want it for the tc program (`linux/pkt_sched.h`, `TC_H_CLSACT`).

use rtnetlink::packet_core::NLM_F_ECHO;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::tc::{TcAttribute, TcHandle, TcMessage};

use super::{Answer, LinkId, LinkIndex, Netlink, NetlinkError};

const CLSACT: &str = "clsact";
const HANDLE: TcHandle = TcHandle { major: u16::MAX, minor: 0 };
/// Where filters of either direction hang.
const INGRESS: TcHandle = TcHandle { major: u16::MAX, minor: TcHandle::MIN_INGRESS };
const EGRESS: TcHandle = TcHandle { major: u16::MAX, minor: TcHandle::MIN_EGRESS };

/// Whether the link has one.
///
/// # Errors
/// [`NetlinkError::Link`].
pub async fn has_clsact(netlink: &Netlink, link: LinkIndex) -> Result<bool, NetlinkError> {
    // By its handle, which every qdisc of that place has: a list would be of all links. Who asks gets an answer with
    // `NLM_F_ECHO` only (net/sched/sch_api.c, qdisc_get_notify).
    let mut message = about(link);
    message.header.handle = HANDLE;
    let message = RouteNetlinkMessage::GetQueueDiscipline(message);
    let found = match netlink.ask(message, Answer::Ack(NLM_F_ECHO)).await {
        Ok(found) => found,
        // None, or none any more.
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EINVAL)) => return Ok(false),
        Err(e) => return Err(failed("look at the qdisc of", link, e)),
    };
    let is_clsact = |a: &TcAttribute| matches!(a, TcAttribute::Kind(kind) if kind == CLSACT);
    Ok(found.iter().any(|found| match found {
        RouteNetlinkMessage::NewQueueDiscipline(qdisc) => qdisc.attributes.iter().any(is_clsact),
        _ => false,
    }))
}

/// Handles of its filters, of both directions.
///
/// # Errors
/// [`NetlinkError::Link`].
pub async fn filters(netlink: &Netlink, link: LinkIndex) -> Result<Vec<u32>, NetlinkError> {
    let mut handles = Vec::new();
    for parent in [INGRESS, EGRESS] {
        let mut message = about(link);
        message.header.parent = parent;
        let message = RouteNetlinkMessage::GetTrafficFilter(message);
        let found = match netlink.ask_dump(message).await {
            Ok(found) => found,
            // No such qdisc, so no filter.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => continue,
            Err(e) => return Err(failed("list the filters of", link, e)),
        };
        handles.extend(found.iter().filter_map(|found| match found {
            RouteNetlinkMessage::NewTrafficFilter(filter) => Some(u32::from(filter.header.handle)),
            _ => None,
        }));
    }
    Ok(handles)
}

/// Removes it, if it is there and holds no filter. Whether it did.
///
/// # Errors
/// [`NetlinkError::Link`].
pub async fn remove_empty_clsact(netlink: &Netlink, link: LinkIndex) -> Result<bool, NetlinkError> {
    if !has_clsact(netlink, link).await? || !filters(netlink, link).await?.is_empty() {
        return Ok(false);
    }
    let mut message = about(link);
    message.header.handle = HANDLE;
    message.header.parent = TcHandle::CLSACT;
    match netlink.ask_ack(RouteNetlinkMessage::DelQueueDiscipline(message)).await {
        Ok(()) => Ok(true),
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EINVAL | libc::ENODEV)) => Ok(false),
        Err(e) => Err(failed("remove the clsact qdisc of", link, e)),
    }
}

fn about(link: LinkIndex) -> TcMessage {
    TcMessage::with_index(link.0.cast_signed())
}

fn failed(action: &'static str, link: LinkIndex, source: std::io::Error) -> NetlinkError {
    NetlinkError::of_link(action, LinkId::from(link), source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::scratch::{Scratch, index};

    #[test]
    fn only_an_empty_clsact_is_removed() {
        let Some(ns) = Scratch::new() else { return };
        ns.ip("link add qa type veth peer name qb");
        ns.block_on(async |netlink| {
            let link = index(&netlink, "qa").await;
            assert!(!remove_empty_clsact(&netlink, link).await.unwrap(), "there is none");
            ns.exec("tc qdisc add dev qb clsact");
            assert!(!has_clsact(&netlink, link).await.unwrap(), "it is another link's");
            ns.exec("tc qdisc add dev qa clsact");
            ns.exec("tc filter add dev qa egress u32 match u32 0 0 classid 1:1");
            assert!(has_clsact(&netlink, link).await.unwrap());
            assert!(!filters(&netlink, link).await.unwrap().is_empty());
            assert!(!remove_empty_clsact(&netlink, link).await.unwrap(), "somebody's filter is in it");
            ns.exec("tc filter del dev qa egress");
            assert!(remove_empty_clsact(&netlink, link).await.unwrap());
            assert!(!has_clsact(&netlink, link).await.unwrap());
        });
    }
}
