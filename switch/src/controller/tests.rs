//! Every command, failing at every call to the data path: what there is afterwards is what the state says, and what the
//! state says is what it said before, or the command can be given again.
//!
//! Links, addresses and rules are real, in a namespace of the test's own; the data path is the one in memory.

use std::collections::BTreeMap;
use std::path::Path;

use vswitch_common::fdb::FdbKey;

use super::*;
use crate::api::types::{
    DockerUser, FdbFlush, FdbKeySpec, FdbSpec, HookChoice, NetworkChange, NetworkSpec, PortSpec, PortVlan,
    Publish, VlanMode,
};
use crate::datapath::Adopted;
use crate::datapath::faulty::{Faulty, Held};
use crate::netlink::scratch::Scratch;

const NETWORK: &str = "red";

/// A command, what comes before it, and what takes it all back.
struct Case {
    name: &'static str,
    before: Vec<Request>,
    command: Request,
    after: Vec<Request>,
    /// Whether a failure must leave the state as it was; else the command goes on when it is given again.
    rolls_back: bool,
}

fn case(name: &'static str, before: Vec<Request>, command: Request, after: Vec<Request>) -> Case {
    Case { name, before, command, after, rolls_back: true }
}

fn resumed(name: &'static str, before: Vec<Request>, command: Request, after: Vec<Request>) -> Case {
    Case { rolls_back: false, ..case(name, before, command, after) }
}

fn port(link: &str) -> PortSpec {
    PortSpec { link: link.to_owned(), ..PortSpec::default() }
}

fn guarded(link: &str) -> PortSpec {
    PortSpec {
        name: Some("web".to_owned()),
        mac: "02:00:00:00:00:07".parse().ok(),
        ips: Some(vec![IpAddr::from([10, 9, 0, 7]), "fd09::7".parse().expect("an address")]),
        ..port(link)
    }
}

fn subnet(name: &str) -> NetworkSpec {
    let subnets = vec!["10.9.0.0/24".to_owned(), "fd09::/64".to_owned()];
    NetworkSpec { name: name.to_owned(), subnets, ..NetworkSpec::default() }
}

fn plain(name: &str) -> NetworkSpec {
    NetworkSpec { name: name.to_owned(), ..NetworkSpec::default() }
}

fn port_cases() -> Vec<Case> {
    let del = |link: &str| Request::PortDel { link: link.to_owned() };
    let xdp = || PortSpec { hook: Some(HookChoice::Xdp), ..port("p1") };
    let rm = || Request::NetworkRemove { name: NETWORK.to_owned(), force: true };
    let elsewhere = || PortSpec { network: Some(NETWORK.to_owned()), ..guarded("p1") };
    let aware = || NetworkSpec { vlan_aware: true, ..plain(NETWORK) };
    let vlan = PortVlan { mode: VlanMode::Trunk, pvid: None, allowed: "10,20".to_owned() };
    let trunk = || PortSpec { network: Some(NETWORK.to_owned()), vlan: Some(vlan.clone()), ..port("p1") };
    vec![
        case("port add", vec![], Request::PortAdd(port("p1")), vec![del("p1")]),
        case("port add, XDP", vec![], Request::PortAdd(xdp()), vec![del("p1")]),
        case("port add, guarded", vec![], Request::PortAdd(guarded("p1")), vec![del("p1")]),
        case("port add, trunk", vec![Request::NetworkCreate(aware())], Request::PortAdd(trunk()), vec![rm()]),
        case(
            "port set, hook",
            vec![Request::PortAdd(guarded("p1"))],
            Request::PortSet(xdp()),
            vec![del("p1")],
        ),
        case(
            "port set, host",
            vec![Request::PortAdd(port("p1"))],
            Request::PortSet(guarded("p1")),
            vec![del("p1")],
        ),
        case(
            "port set, network",
            vec![Request::NetworkCreate(plain(NETWORK)), Request::PortAdd(port("p1"))],
            Request::PortSet(elsewhere()),
            vec![rm()],
        ),
        case("port del", vec![Request::PortAdd(guarded("p1"))], del("p1"), vec![]),
        case("port del, XDP", vec![Request::PortAdd(xdp())], del("p1"), vec![]),
    ]
}

fn fdb_cases() -> Vec<Case> {
    let spec = FdbSpec {
        mac: "02:00:00:00:00:09".parse().expect("a MAC"),
        port: "p1".to_owned(),
        vlan: None,
        sticky: true,
    };
    let key = FdbKeySpec { mac: spec.mac, network: None, vlan: None };
    let flush = FdbFlush { include_static: true, ..FdbFlush::default() };
    let with_port = || vec![Request::PortAdd(port("p1"))];
    let with_entry = || vec![Request::PortAdd(port("p1")), Request::FdbAdd(spec.clone())];
    let del = || vec![Request::PortDel { link: "p1".to_owned() }];
    vec![
        case("fdb add", with_port(), Request::FdbAdd(spec.clone()), del()),
        case("fdb del", with_entry(), Request::FdbDel(key), del()),
        case("fdb flush", with_entry(), Request::FdbFlush(flush), del()),
    ]
}

fn network_cases() -> Vec<Case> {
    let rm = || Request::NetworkRemove { name: NETWORK.to_owned(), force: true };
    let in_network = || PortSpec { network: Some(NETWORK.to_owned()), ..guarded("p1") };
    let change = NetworkChange {
        name: NETWORK.to_owned(),
        ageing: Some(7),
        mtu: Some(1400),
        ..NetworkChange::default()
    };
    let publish = Publish::parse(NETWORK, "8080:10.9.0.7:80").expect("a published port");
    let full = || vec![Request::NetworkCreate(subnet(NETWORK)), Request::PortAdd(in_network())];
    let mut published = full();
    published.push(Request::PublishAdd(publish.clone()));
    vec![
        case("network create", vec![], Request::NetworkCreate(plain(NETWORK)), vec![rm()]),
        case("network create, subnet", vec![], Request::NetworkCreate(subnet(NETWORK)), vec![rm()]),
        case("network set", full(), Request::NetworkSet(change), vec![rm()]),
        resumed("network rm", full(), rm(), vec![]),
        case("publish add", full(), Request::PublishAdd(publish.clone()), vec![rm()]),
        case("publish del", published, Request::PublishDel(publish), vec![rm()]),
    ]
}

fn bridge_cases() -> Vec<Case> {
    let (bridge, away) = ("br0".to_owned(), "br0".to_owned());
    let taken = || Request::Takeover { bridge: bridge.clone() };
    let release = || Request::Release { bridge: away.clone() };
    vec![
        case("takeover", vec![], taken(), vec![release()]),
        resumed("release", vec![taken()], release(), vec![]),
    ]
}

/// Two veth pairs, and a bridge with one more.
fn place() -> Option<Scratch> {
    let ns = Scratch::new()?;
    for command in [
        "link set lo up",
        "link add p1 type veth peer name e1",
        "link set e1 up",
        "link add br0 type bridge stp_state 0",
        "link set br0 up",
        "addr add 10.8.0.1/24 dev br0",
        "link add p2 type veth peer name e2",
        "link set e2 up",
        "link set p2 master br0 up",
    ] {
        ns.ip(command);
    }
    Some(ns)
}

async fn start(netlink: &Netlink, folder: &Path, datapath: Faulty) -> Result<Controller, ApiError> {
    let store = Store::open(folder).expect("an empty folder");
    let state = store.load().expect("our own state").unwrap_or_default();
    let (handle, _calls) = Handle::new();
    let open = Open {
        datapath: Box::new(datapath),
        adopted: Adopted::No,
        netlink: netlink.clone(),
        store,
        state,
        handle,
        view: Arc::default(),
        limits: Limits::default(),
        docker_user: DockerUser::default(),
        paths: Paths { state_dir: folder.display().to_string(), ..Paths::default() },
    };
    Controller::open(open).await
}

fn faulty(controller: &mut Controller) -> &mut Faulty {
    let datapath: &mut dyn std::any::Any = controller.datapath.as_mut();
    datapath.downcast_mut().expect("the test put it there")
}

/// What the data path should hold, by the durable state alone; entries by key.
fn wanted(controller: &Controller) -> Held {
    let mut held = Held::default();
    for (slot, port) in controller.state.ports.iter().filter(|(_, port)| port.ifindex != 0) {
        let id = PortId(*slot);
        let network = &controller.state.networks[&port.network];
        held.links.insert(port.ifindex, *slot);
        held.members.insert((network.id, port.place), *slot);
        let places = held.networks.entry(network.id).or_default();
        *places = (*places).max(u32::from(port.place) + 1);
        held.tc.insert(*slot, port.ifindex);
        if let Some(mode) = port.attached.xdp {
            held.xdp.insert(*slot, (port.ifindex, mode == crate::datapath::XdpMode::Native));
        }
        if !port.options.router {
            held.guards.extend(port.options.ips.iter().map(|ip| (*slot, guards::key(id, *ip).ip)));
        }
        let domain = vswitch_common::domain::DomainId(network.domain);
        let macs = port.entries.iter().map(|entry| entry.mac).chain(port.options.mac);
        held.fdb.extend(macs.map(|mac| (FdbKey::new(domain, mac).0, (*slot, 0))));
    }
    held
}

/// The same of what it holds: the slot's settings and the targets follow from the link, and are left out.
fn observed(controller: &mut Controller) -> Held {
    let mut held = faulty(controller).held.clone();
    held.targets.clear();
    let slots: Vec<u16> = std::mem::take(&mut held.ports).into_keys().collect();
    assert_eq!(
        slots,
        held.tc.keys().copied().collect::<Vec<_>>(),
        "a slot without a program, or the reverse"
    );
    // What was learned comes and goes.
    held.fdb.retain(|_, (_, flags)| *flags != 0);
    held.fdb.values_mut().for_each(|(_, flags)| *flags = 0);
    held
}

fn durable(controller: &Controller) -> serde_json::Value {
    serde_json::to_value(&controller.state).expect("plain data")
}

async fn all(controller: &mut Controller, requests: &[Request], of: &str) {
    for request in requests {
        let done = controller.answer(request.clone()).await;
        assert!(done.is_ok(), "{of}: {request:?}: {done:?}");
    }
}

/// One command, failing at each call in turn. How many calls it takes.
async fn fail_everywhere(controller: &mut Controller, case: &Case, links: impl Fn() -> String) -> usize {
    let name = case.name;
    for n in 0.. {
        all(controller, &case.before, name).await;
        let (before, links_before) = (durable(controller), links());
        let last = faulty(controller).calls + n;
        faulty(controller).fail_at = Some(last);
        let done = controller.answer(case.command.clone()).await;
        let was_reached = faulty(controller).calls > last;
        faulty(controller).fail_at = None;
        let at = format!("{name}, call {n}: {:?}", done.as_ref().err());
        if done.is_err() {
            if case.rolls_back {
                assert_eq!(durable(controller), before, "{at}");
                assert_eq!(links(), links_before, "{at}");
                assert_eq!(observed(controller), wanted(controller), "{at}");
            }
            all(controller, std::slice::from_ref(&case.command), &at).await;
        }
        assert_eq!(observed(controller), wanted(controller), "{at}, then done");
        all(controller, &case.after, &at).await;
        if !was_reached {
            return n;
        }
    }
    unreachable!("a command ends")
}

fn links_of(ns: &Scratch) -> impl Fn() -> String {
    let net = ns.path();
    move || {
        let net = format!("--net={}", net.display());
        let list =
            ["-c", "ip -br link | cut -d' ' -f1 | sort; nft list tables; ip -o addr show scope global"];
        let output = std::process::Command::new("nsenter").arg(net).arg("sh").args(list).output();
        String::from_utf8_lossy(&output.expect("nsenter runs").stdout).into_owned()
    }
}

fn run(cases: fn() -> Vec<Case>) {
    let Some(ns) = place() else { return };
    let links = links_of(&ns);
    let folder = tempfile::tempdir().expect("a folder");
    ns.block_on(async |netlink| {
        let mut controller = start(&netlink, folder.path(), Faulty::default()).await.expect("a controller");
        let mut calls = BTreeMap::new();
        for case in cases() {
            calls.insert(case.name, fail_everywhere(&mut controller, &case, &links).await);
            assert_eq!(faulty(&mut controller).held, Held::default(), "after {}", case.name);
        }
        eprintln!("calls of each command, each of which failed: {calls:?}");
    });
}

#[test]
fn a_port_command_that_fails_at_any_call_leaves_no_trace() {
    run(port_cases);
}

#[test]
fn an_fdb_command_that_fails_at_any_call_leaves_no_trace() {
    run(fdb_cases);
}

#[test]
fn a_network_command_that_fails_at_any_call_leaves_no_trace_or_can_be_given_again() {
    run(network_cases);
}

#[test]
fn a_takeover_that_fails_at_any_call_gives_the_bridge_back() {
    run(bridge_cases);
}

/// The data path and the state of a run that ended just after call `n`, taken over by the next.
#[test]
fn a_start_that_fails_at_any_call_is_made_good_by_the_next() {
    let Some(ns) = place() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    ns.block_on(async |netlink| {
        let mut controller = start(&netlink, folder.path(), Faulty::default()).await.expect("a controller");
        let setup = [
            Request::NetworkCreate(subnet(NETWORK)),
            Request::PortAdd(PortSpec { network: Some(NETWORK.to_owned()), ..guarded("p1") }),
            Request::Takeover { bridge: "br0".to_owned() },
        ];
        all(&mut controller, &setup, "setup").await;
        for n in 0.. {
            let mut datapath = std::mem::take(faulty(&mut controller));
            drop(controller);
            let last = datapath.calls + n;
            datapath.fail_at = Some(last);
            controller = match start(&netlink, folder.path(), datapath.clone()).await {
                Ok(started) => started,
                Err(_) => {
                    datapath.fail_at = None;
                    start(&netlink, folder.path(), datapath).await.expect("nothing fails any more")
                }
            };
            let was_reached = faulty(&mut controller).calls > last;
            faulty(&mut controller).fail_at = None;
            // A port that could not be brought about is tried again.
            for _ in 0..3 {
                controller.tick().await;
            }
            assert_eq!(observed(&mut controller), wanted(&controller), "call {n}");
            if !was_reached {
                break;
            }
        }
        all(&mut controller, &[Request::Teardown], "teardown").await;
    });
}
