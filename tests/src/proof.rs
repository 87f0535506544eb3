//! Proof that it was vswitch that carried the frames, and at which hook: attachments as the kernel lists them, the
//! port's own counters, and that neither a Linux bridge nor the host's stack can have done it.

mod objects;

pub use objects::{BpfObject, BpfObjects};

use std::collections::BTreeMap;

use aya::programs::SchedClassifier;
use aya::programs::tc::TcAttachType;
use vswitch::api::types::{Hook, HookMode};

use crate::namespace::Namespace;
use crate::switch::Switch;
use crate::traffic::forwarded_by_stack;

/// One program on one link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attachment {
    /// Link name.
    pub link: String,
    /// `xdp/driver`, `xdp/generic`, `tcx/ingress`, `tcx/egress`, `clsact/ingress`, `clsact/egress`.
    pub place: String,
    /// The program's id.
    pub program: u32,
}

/// Every program attached to a link of a namespace.
///
/// XDP as iproute2 sees it, tc filters as bpftool does, tcx by BPF_PROG_QUERY: Debian 12's bpftool knows no tcx.
///
/// # Panics
/// When a tool is missing or prints something unexpected.
#[must_use]
#[track_caller]
pub fn attachments(namespace: &Namespace) -> Vec<Attachment> {
    let links = namespace.ip_json(&["link", "show"]);
    let mut found = Vec::new();
    for link in links.as_array().expect("ip -j prints an array") {
        let name = link["ifname"].as_str().expect("a link has a name").to_owned();
        for attached in link["xdp"]["attached"].as_array().into_iter().flatten() {
            let mode = if attached["mode"] == 1 { "driver" } else { "generic" };
            found.push(Attachment {
                link: name.clone(),
                place: format!("xdp/{mode}"),
                program: id(&attached["prog"]["id"]),
            });
        }
        for (place, direction) in
            [("tcx/ingress", TcAttachType::Ingress), ("tcx/egress", TcAttachType::Egress)]
        {
            // A link may go away under the query; a kernel before 6.6 has no tcx.
            let Ok((_, programs)) = namespace.run(|| SchedClassifier::query_tcx(&name, direction)) else {
                continue;
            };
            let attach = |program: aya::programs::ProgramInfo| Attachment {
                link: name.clone(),
                place: place.to_owned(),
                program: program.id(),
            };
            found.extend(programs.into_iter().map(attach));
        }
    }
    found.extend(clsact_filters(&namespace.output("bpftool", &["-j", "net", "show"])));
    found.sort();
    found
}

/// The tc filters in what `bpftool -j net show` prints.
fn clsact_filters(text: &str) -> Vec<Attachment> {
    let json: serde_json::Value = serde_json::from_str(text).expect("bpftool -j prints JSON");
    let filters = json[0]["tc"].as_array().cloned().unwrap_or_default();
    let read = |filter: &serde_json::Value| {
        let place = filter["kind"].as_str()?.to_owned();
        let link = filter["devname"].as_str()?.to_owned();
        place.starts_with("clsact/").then(|| Attachment { link, place, program: id(&filter["id"]) })
    };
    filters.iter().filter_map(read).collect()
}

fn id(value: &serde_json::Value) -> u32 {
    value.as_u64().and_then(|id| u32::try_from(id).ok()).unwrap_or_else(|| panic!("{value} is no program id"))
}

/// How the JSON names a hook.
#[must_use]
pub fn hook_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Xdp => "xdp",
        Hook::Tc => "tc",
    }
}

/// Checks that a port sits at `hook`, that the kernel agrees, and that the hook carried `at_least` frames.
///
/// # Panics
/// When one of them is not so.
#[track_caller]
pub fn assert_carried_by(switch: &Switch, port: &str, hook: Hook, at_least: u64) {
    let shown = switch.port_show(port);
    assert_eq!(shown.hook, hook, "{port} sits elsewhere: {}", shown.hook_reason);
    let place = match shown.hook_mode {
        HookMode::Native => "xdp/driver",
        HookMode::Generic => "xdp/generic",
        HookMode::Tcx => "tcx/ingress",
        HookMode::Clsact => "clsact/ingress",
    };
    assert!(
        hook != Hook::Xdp || shown.hook_mode == HookMode::Native,
        "{port} has {place}: {}",
        shown.hook_reason
    );
    let attached = attachments(switch.namespace());
    let is_there = attached.iter().any(|a| a.link == port && a.place == place);
    assert!(is_there, "{port} says it has {place}, the kernel says {attached:?}");
    let by_hook = &shown.counters.rx_by_hook;
    let carried = by_hook.get(hook_name(hook)).copied().unwrap_or(0);
    assert!(
        carried >= at_least,
        "{port}: {} carried {carried} frames, expected {at_least}: {by_hook:?}",
        hook_name(hook)
    );
    if hook == Hook::Tc {
        assert_eq!(
            by_hook.get("xdp").copied().unwrap_or(0),
            0,
            "{port} is a tc port, yet XDP carried frames"
        );
    }
}

/// Checks that no Linux bridge and no forwarding by the host's stack was involved.
///
/// # Panics
/// When there is a bridge, or the stack forwarded a packet.
#[track_caller]
pub fn assert_host_carried_nothing(namespace: &Namespace) {
    let bridges = namespace.ip_json(&["link", "show", "type", "bridge"]);
    assert_eq!(bridges.as_array().map_or(0, Vec::len), 0, "there is a Linux bridge: {bridges}");
    assert_eq!(forwarded_by_stack(namespace), 0, "the host's stack forwarded packets");
}

/// Each port's frames in by hook, for a message.
#[must_use]
pub fn carried(switch: &Switch) -> BTreeMap<String, BTreeMap<String, u64>> {
    switch.stats().into_iter().map(|port| (port.name, port.counters.rx_by_hook)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clsact_filters_are_read_from_bpftool() {
        let text = r#"[{"xdp":[{"devname":"a0","ifindex":3,"mode":"driver","id":98}],
            "tc":[{"devname":"eth0","ifindex":2,"kind":"clsact/ingress","name":"t:[*fsobj]","id":99}],"flow_dissector":[]}]"#;
        let expected =
            Attachment { link: "eth0".to_owned(), place: "clsact/ingress".to_owned(), program: 99 };
        assert_eq!(clsact_filters(text), [expected]);
    }
}
