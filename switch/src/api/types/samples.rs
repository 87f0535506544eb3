//! One of each request and reply, for tests of the layers that carry or print them.

use super::*;

/// A port with something in every field.
pub(crate) fn port(name: &str) -> Port {
    Port {
        name: name.to_string(),
        ifindex: 7,
        network: DEFAULT_NETWORK.to_string(),
        state: PortState::Forwarding,
        quarantine: None,
        hook: Hook::Tc,
        hook_mode: HookMode::Tcx,
        hook_reason: "a kernel TCP/IP stack is behind it".to_string(),
        hook_choice: HookChoice::Auto,
        vlan: PortVlan { mode: VlanMode::Trunk, pvid: "5".parse().ok(), allowed: "10,20".to_string() },
        isolated: false,
        hairpin: false,
        learning: true,
        flood: true,
        guarded: true,
        trusted: false,
        storm: std::collections::BTreeMap::new(),
        storm_burst: std::collections::BTreeMap::new(),
        mac_limit: None,
        mtu: 1500,
        big_tcp: true,
        big_tcp_reason: "auto: only containers are on the network".to_string(),
        endpoint: Some(Endpoint {
            name: Some("web".to_string()),
            mac: "02:42:ac:11:00:02".parse().ok(),
            addresses: vec!["172.17.0.2".parse().expect("an address")],
        }),
        counters: counters(),
    }
}

/// Counters with two drop reasons.
pub(crate) fn counters() -> Counters {
    Counters {
        rx_packets: 1200,
        rx_bytes: 150_000,
        tx_packets: 900,
        tx_bytes: 80_000,
        rx_by_hook: [("tc".to_string(), 1200)].into(),
        answered: 20,
        punted: 5,
        not_learned: 1,
        drops: [("mtu".to_string(), 3), ("storm".to_string(), 4)].into(),
    }
}

/// A network with one port.
pub(crate) fn network(name: &str) -> Network {
    Network {
        name: name.to_string(),
        id: "1".to_string(),
        driver: "vswitch".to_string(),
        scope: "local".to_string(),
        internal: false,
        has_ipv6: false,
        ipam: Ipam::default(),
        containers: [].into(),
        labels: [("tier".to_string(), "front".to_string())].into(),
        gateway: None,
        ports: vec!["veth0".to_string()],
        ageing: 300,
        mtu: None,
        vlan_aware: false,
        multicast: Multicast::default(),
        big_tcp: BigTcp::Auto,
        fdb_entries: 2,
    }
}

/// An address that was reserved.
pub(crate) fn address() -> Address {
    Address {
        network: "blue".to_string(),
        ip: [10, 1, 0, 2].into(),
        subnet: "10.1.0.0/24".to_string(),
        gateway: [10, 1, 0, 1].into(),
        holder: "reserved".to_string(),
    }
}

/// A published range.
pub(crate) fn publish() -> Publish {
    Publish::parse("blue", "[2001:db8::1]:8000-8010:[fd00::2]:80-90/udp").expect("a published range")
}

/// A dynamic entry.
pub(crate) fn entry() -> FdbEntry {
    FdbEntry {
        mac: "02:42:ac:11:00:02".parse().expect("a MAC"),
        port: "veth0".to_string(),
        network: DEFAULT_NETWORK.to_string(),
        vlan: None,
        kind: FdbKind::Dynamic,
        age_seconds: 1.5,
    }
}

/// A trace of two stages.
pub(crate) fn trace() -> Trace {
    let said =
        |stage: &str, answer: &str| TraceStage { stage: stage.to_string(), answer: answer.to_string() };
    Trace {
        port: "veth0".to_string(),
        bytes: 60,
        destination: "02:42:ac:11:00:03".parse().expect("a MAC"),
        source: "02:42:ac:11:00:02".parse().expect("a MAC"),
        network: Some(DEFAULT_NETWORK.to_string()),
        vlan: None,
        verdict: TraceVerdict::Forward,
        reason: None,
        learning: TraceLearning::Keep,
        deliveries: vec![TraceDelivery { port: "veth1".to_string(), tag: "untouched".to_string() }],
        withheld: Vec::new(),
        hooks: vec![HookTrace {
            hook: Hook::Tc,
            stages: vec![
                said("parse", "02:42:ac:11:00:02 to 02:42:ac:11:00:03, IPv4, untagged, 60 bytes"),
                said("act", "out of veth1"),
            ],
        }],
    }
}

/// A member of a group.
pub(crate) fn member() -> MdbEntry {
    MdbEntry {
        group: Some([239, 1, 2, 3].into()),
        port: "veth0".to_string(),
        network: DEFAULT_NETWORK.to_string(),
        vlan: None,
        kind: MdbKind::Member,
        family: "ipv4".to_string(),
        expires_seconds: Some(259.5),
    }
}

/// A controller's status.
pub(crate) fn status() -> Status {
    Status {
        version: "0.1.0".to_string(),
        abi: 1,
        uptime_seconds: 93_784,
        started_ns: 1,
        adopted: true,
        kernel: Kernel { release: "6.18.0".to_string(), features: [("tcx".to_string(), true)].into() },
        networks: 1,
        ports: 1,
        fdb: FdbStatus { entries: 2, limit: 65_536 },
        hooks: [("veth0".to_string(), HookMode::Tcx)].into(),
        limits: vec![Limit { name: "fdb".to_string(), entries: 65_536, memory_bytes: 6_553_600 }],
        events_lost: 0,
        docker_user: Some(DockerUserStatus {
            choice: DockerUser::Jump,
            needed: true,
            iptables: DockerUserChain::Jump,
            ip6tables: DockerUserChain::NoChain,
        }),
        warnings: vec!["network blue: chain forward drops".to_string()],
        paths: Paths::default(),
    }
}

/// An upgrade to the next ABI version that is only asked about.
pub(crate) fn upgrade() -> Upgrade {
    let build = |abi: u32, programs: &str| Build {
        version: "0.1.0".to_string(),
        abi,
        migrates: vec![abi - 1],
        state: 1,
        programs: programs.to_string(),
    };
    Upgrade {
        check: true,
        binary: "/usr/local/bin/vswitch".to_string(),
        from: build(1, "a"),
        to: build(2, "b"),
        maps: Maps::Migrated,
        ports: 2,
        started_ns: 1,
    }
}

/// What a controller without surprises answers.
pub(crate) fn reply_to(request: &Request) -> Reply {
    match request {
        Request::Status => Reply::Status(Box::new(status())),
        Request::Upgrade(_) => Reply::Upgrade(Box::new(upgrade())),
        Request::PortAdd(_) | Request::PortSet(_) | Request::PortShow(_) | Request::Takeover { .. } => {
            Reply::Ports(vec![port("veth0")])
        }
        Request::FdbShow(_) => Reply::Fdb(vec![entry()]),
        Request::MdbShow(_) => Reply::Mdb(vec![member()]),
        Request::NetworkCreate(_)
        | Request::NetworkSet(_)
        | Request::NetworkList
        | Request::NetworkInspect { .. } => Reply::Networks(vec![network("default")]),
        Request::AddressList { .. } | Request::AddressReserve(_) => Reply::Addresses(vec![address()]),
        Request::PublishAdd(_) | Request::PublishShow(_) => Reply::Publishes(vec![publish()]),
        Request::Stats { .. } => {
            Reply::Stats(vec![PortStats { name: "veth0".to_string(), counters: counters() }])
        }
        Request::Trace(_) => Reply::Traces(vec![trace()]),
        Request::Teardown
        | Request::PortDel { .. }
        | Request::FdbAdd(_)
        | Request::FdbDel(_)
        | Request::FdbFlush(_)
        | Request::NetworkRemove { .. }
        | Request::AddressRelease { .. }
        | Request::PublishDel(_)
        | Request::Release { .. }
        | Request::Docker(_) => Reply::Done(Done { changed: 1 }),
    }
}

/// Every request, with names that need escaping and with fields both said and left out.
pub(crate) fn requests() -> Vec<Request> {
    let link = || "veth 0/%?#&ü".to_string();
    let network = || Some("blue net".to_string());
    let mac = "02:42:ac:11:00:02".parse().expect("a MAC");
    let vlan = "7".parse().ok();
    let spec = PortSpec {
        link: link(),
        network: network(),
        hook: Some(HookChoice::Xdp),
        vlan: Some(PortVlan { mode: VlanMode::Access, pvid: vlan, allowed: String::new() }),
        isolated: Some(true),
        hairpin: Some(false),
        learning: Some(false),
        flood: None,
        mac_limit: Some(4),
        name: Some("web".to_string()),
        ips: Some(vec!["fd00::2".parse().expect("an address")]),
        mac: Some(mac),
        trusted: Some(true),
        storm: [(StormKind::Broadcast, 1000)].into(),
        storm_burst: [(StormKind::Broadcast, 50)].into(),
        end_quarantine: true,
    };
    let multicast =
        MulticastSpec { snooping: Some(MulticastMode::On), querier: Some(true), ..MulticastSpec::default() };
    let change =
        NetworkChange { name: link(), ageing: Some(0), mtu: None, multicast, big_tcp: Some(BigTcp::On) };
    let create = NetworkSpec { name: "blue".to_string(), vlan_aware: true, ..NetworkSpec::default() };
    vec![
        Request::Status,
        Request::Teardown,
        Request::Upgrade(UpgradeSpec { check: true }),
        Request::PortAdd(spec.clone()),
        Request::PortSet(spec),
        Request::PortDel { link: link() },
        Request::PortShow(PortFilter::default()),
        Request::PortShow(PortFilter { link: None, network: network() }),
        Request::PortShow(PortFilter { link: Some(link()), network: network() }),
        Request::FdbShow(FdbFilter::default()),
        Request::FdbShow(FdbFilter { network: network(), port: Some(link()), mac: Some(mac), vlan }),
        Request::FdbAdd(FdbSpec { mac, port: link(), vlan, sticky: true }),
        Request::FdbDel(FdbKeySpec { mac, network: network(), vlan }),
        Request::FdbDel(FdbKeySpec { mac, network: None, vlan: None }),
        Request::FdbFlush(FdbFlush { network: network(), port: None, vlan, include_static: true }),
        Request::MdbShow(MdbFilter::default()),
        Request::MdbShow(MdbFilter { network: network() }),
        Request::NetworkCreate(create),
        Request::NetworkSet(change),
        Request::Trace(TraceSpec { link: link(), frame: "ff:ff".to_owned() }),
        Request::Takeover { bridge: "docker0".to_owned() },
        Request::Release { bridge: "docker0".to_owned() },
        Request::NetworkRemove { name: link(), force: true },
        Request::NetworkList,
        Request::NetworkInspect { name: link() },
        Request::AddressList { network: link() },
        Request::AddressReserve(AddressWish { network: link(), ip: "fd00::2".parse().ok(), subnet: None }),
        Request::AddressRelease { network: link(), ip: [10, 1, 0, 2].into() },
        Request::PublishAdd(publish()),
        Request::PublishDel(publish()),
        Request::PublishDel(Publish { host_ip: None, network: link(), ..publish() }),
        Request::PublishShow(PublishFilter::default()),
        Request::PublishShow(PublishFilter { network: network() }),
        Request::Stats { link: None },
        Request::Stats { link: Some(link()) },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(value: &serde_json::Value) -> Vec<&str> {
        value.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    #[test]
    fn a_port_has_the_contracts_keys() {
        let json = serde_json::to_value(port("veth0")).expect("JSON");
        // From the command contract; the last eight came later, as did four counters.
        let contract = "name ifindex network state hook hook_mode hook_reason vlan isolated hairpin learning flood \
                        mac_limit mtu endpoint counters hook_choice guarded trusted storm storm_burst quarantine \
                        big_tcp big_tcp_reason";
        let mut contract: Vec<_> = contract.split_whitespace().collect();
        contract.sort_unstable();
        assert_eq!(keys(&json), contract);
        assert_eq!(keys(&json["vlan"]), ["allowed", "mode", "pvid"]);
        assert_eq!(keys(&json["endpoint"]), ["addresses", "mac", "name"]);
        assert_eq!(
            keys(&json["counters"]),
            [
                "answered",
                "drops",
                "not_learned",
                "punted",
                "rx_by_hook",
                "rx_bytes",
                "rx_packets",
                "tx_bytes",
                "tx_packets"
            ]
        );
        assert_eq!(
            (&json["state"], &json["hook"], &json["hook_mode"]),
            (&"forwarding".into(), &"tc".into(), &"tcx".into())
        );
        assert_eq!(json["mac_limit"], serde_json::Value::Null);
    }

    #[test]
    fn an_entry_has_the_contracts_keys() {
        let json = serde_json::to_value(entry()).expect("JSON");
        assert_eq!(keys(&json), ["age_seconds", "kind", "mac", "network", "port", "vlan"]);
    }
}
