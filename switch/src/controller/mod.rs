//! The controller: one loop owns all state, and everything that happens reaches it as an `Input`.
//!
//! Requests become desired state (`state`), which `converge` brings about port by port: it looks at the link, chooses the
//! hook, plans the steps (`plan`, pure) and carries them out with undo. The same function serves `port add`, a link that
//! comes back, and adoption at start.

mod addresses;
mod adopt;
mod auto;
mod converge;
pub mod docker;
mod fdb;
mod firewall;
mod gateways;
mod guards;
mod hook;
mod links;
mod multicast;
mod names;
mod outside;
mod networks;
pub mod plan;
mod ports;
mod publishes;
mod quarantine;
mod round;
mod rules;
mod segments;
mod show;
pub mod state;
pub mod store;
mod sweep;
mod systemd;
pub mod table;
pub mod takeover;
mod trace;
pub mod upgrade;
pub(crate) mod vlans;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use vswitch_common::event::{Notice, NoticeKind, PuntRecord, Snoop};
use vswitch_common::port::PortId;

use crate::api::error::{ApiError, ErrorCode};
use crate::api::handle::{Call, Handle};
use crate::api::types::{Event, EventKind, Paths, Reply, Request};
use crate::config::Limits;
use crate::datapath::{Datapath, DatapathError};
use crate::error::chain;
use crate::neighbours::Neighbours;
use crate::netlink::monitor::{LinkEvent, Monitor};
use crate::netlink::peer::PeerFacts;
use crate::netlink::{Link, Netlink, NetlinkError};
use firewall::Firewall;
use names::NameServers;
use plan::Setup;
use quarantine::Quarantines;
use round::Round;
use state::State;
use store::{Store, StoreError};
use sweep::Sweep;
use view::View;

pub use adopt::Open;

/// How often the loop beats, sweeps and looks for what no event told it.
const TICK: Duration = Duration::from_secs(1);

/// What is known of a port beyond its durable state.
#[derive(Debug, Default)]
struct Live {
    /// What of it is in the data path.
    setup: Setup,
    /// Its link, while there is one.
    link: Option<Link>,
    /// The other end, where it is a veth whose other end can be asked about.
    peer: Option<PeerFacts>,
    /// Whether its link was silenced by this run.
    is_silent: bool,
    /// Addresses that its guard lets through.
    guards: BTreeSet<IpAddr>,
    /// What speaks for which hook, where that is the switch's choice.
    watch: auto::Watch,
    /// Whether `LimitReached` has been said since the limit was last left.
    is_limit_said: bool,
    /// Why its segments cannot be as long as is wished.
    refused_segments: Option<String>,
}

/// What the loop is told.
enum Input {
    Request(Call),
    Link(LinkEvent),
    Notice(Notice),
    Punt(PuntRecord),
    Snoop(Snoop),
    Tick,
    Stop,
}

/// Where inputs come from.
pub struct Sources {
    /// Calls of the API.
    pub calls: mpsc::Receiver<Call>,
    /// What happens to links.
    pub monitor: Monitor,
    /// Notices that the loop needs: neighbours, quarantines.
    pub notices: mpsc::Receiver<Notice>,
    /// Punted frames.
    pub punts: mpsc::Receiver<PuntRecord>,
    /// Messages about multicast membership.
    pub snoops: mpsc::Receiver<Snoop>,
    /// Ends the loop when a message comes or the sender has gone.
    pub stop: mpsc::Receiver<()>,
}

/// How the loop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The controller leaves; the data path goes on.
    Left,
    /// Everything was removed.
    TornDown,
    /// That binary takes over.
    HandedOver(PathBuf),
}

/// All state of one switch.
pub struct Controller {
    datapath: Box<dyn Datapath>,
    netlink: Netlink,
    store: Store,
    state: State,
    live: BTreeMap<u16, Live>,
    /// Ports with something else than a container behind them.
    outward: BTreeSet<u16>,
    view: Arc<View>,
    handle: Handle,
    pub(crate) neighbours: Neighbours,
    sweep: Sweep,
    started: Instant,
    started_ns: u64,
    is_adopted: bool,
    limits: Limits,
    is_full_said: bool,
    paths: Paths,
    is_torn_down: bool,
    /// The binary that takes over when the loop ends.
    successor: Option<PathBuf>,
    /// Ports whose links and peers are looked at.
    rechecks: Round,
    /// Ports whose attachments are.
    looks: Round,
    /// Ports of `behind` that are tried again.
    retries: Round,
    /// Whether it was said that pins have gone for good.
    is_unpinned: bool,
    /// Our rules as we made them.
    rules: Option<outside::KnownRules>,
    /// Ports that could not be brought about when something asked for it.
    behind: BTreeSet<u16>,
    name_servers: NameServers,
    systemd: systemd::Systemd,
    quarantines: Quarantines,
    multicast: multicast::Watch,
    firewall: Firewall,
    /// What of Docker's has been of no use, and since when.
    idle: docker::Idle,
    /// The way of Docker's networks past what dockerd drops.
    passage: docker::Way,
}

impl Controller {
    /// Serves inputs until it is told to stop.
    pub async fn run(&mut self, mut from: Sources) -> Ended {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let input = tokio::select! {
                biased;
                _ = from.stop.recv() => Input::Stop,
                _ = ticks.tick() => Input::Tick,
                Some(event) = from.monitor.next() => Input::Link(event),
                Some(call) = from.calls.recv() => Input::Request(call),
                Some(punt) = from.punts.recv() => Input::Punt(punt),
                Some(snoop) = from.snoops.recv() => Input::Snoop(snoop),
                Some(notice) = from.notices.recv() => Input::Notice(notice),
                else => Input::Stop,
            };
            match input {
                Input::Request(call) => {
                    let answer = self.answer(call.request).await;
                    // Whoever asked may have gone; the request is done all the same.
                    let _gone = call.reply.send(answer);
                }
                Input::Link(event) => {
                    self.follow(&event).await;
                    self.follow_bridges(&event).await;
                }
                Input::Notice(notice) => self.note(&notice),
                Input::Punt(punt) => self.take_punt(&punt),
                Input::Snoop(snoop) => self.take_snoop(&snoop),
                Input::Tick => self.tick().await,
                Input::Stop => {
                    self.retire();
                    return Ended::Left;
                }
            }
            if let Some(binary) = self.successor.take() {
                self.retire();
                return Ended::HandedOver(binary);
            }
            if self.is_torn_down {
                return Ended::TornDown;
            }
        }
    }

    /// From now on the data path floods what it would have asked.
    fn retire(&mut self) {
        if let Err(error) = self.datapath.retire() {
            tracing::warn!(error = chain(&error), "cannot tell the data path that the controller leaves");
        }
    }

    async fn answer(&mut self, request: Request) -> Result<Reply, ApiError> {
        match request {
            Request::Status => self.status().map(|status| Reply::Status(Box::new(status))),
            Request::Teardown => self.tear_down().await,
            Request::Upgrade(spec) => self.upgrade(&spec).await,
            Request::PortAdd(spec) => self.port_add(spec).await,
            Request::PortSet(spec) => self.port_set(spec).await,
            Request::PortDel { link } => self.port_del(&link).await,
            Request::PortShow(filter) => self.port_show(&filter),
            Request::FdbShow(filter) => self.fdb_show(&filter),
            Request::FdbAdd(spec) => self.fdb_add(&spec),
            Request::FdbDel(key) => self.fdb_del(&key),
            Request::FdbFlush(flush) => self.fdb_flush(&flush),
            Request::MdbShow(filter) => self.mdb_show(&filter),
            Request::NetworkCreate(spec) => self.network_create(spec).await,
            Request::NetworkSet(change) => self.network_set(&change).await,
            Request::NetworkRemove { name, force } => self.network_remove(&name, force).await,
            Request::NetworkList => self.network_list().await,
            Request::NetworkInspect { name } => self.network_inspect(&name).await,
            Request::AddressList { network } => self.address_list(&network),
            Request::AddressReserve(wish) => self.address_reserve(&wish),
            Request::AddressRelease { network, ip } => self.address_release(&network, ip),
            Request::PublishAdd(publish) => self.publish_add(publish).await,
            Request::PublishDel(publish) => self.publish_del(&publish).await,
            Request::PublishShow(filter) => self.publish_show(&filter),
            Request::Stats { link } => self.stats(link.as_deref()),
            Request::Trace(spec) => self.trace(&spec),
            Request::Takeover { bridge } => self.takeover(&bridge).await,
            Request::Release { bridge } => self.release_bridge(&bridge).await,
            Request::Docker(call) => {
                self.docker_call(*call).await.map(|answer| Reply::Docker(Box::new(answer)))
            }
        }
    }

    fn note(&mut self, notice: &Notice) {
        if notice.kind == NoticeKind::Quarantined as u16 {
            self.note_quarantine(PortId(notice.port));
        } else {
            self.note_neighbour(notice);
        }
    }

    async fn tick(&mut self) {
        if let Err(error) = self.datapath.beat() {
            tracing::warn!(error = chain(&error), "cannot beat: the data path takes the controller for dead");
        }
        self.follow_quarantines();
        let (ports, networks) = (self.state.ports.len(), self.state.networks.len());
        self.systemd.tell(systemd::status(ports, networks, self.behind.len()));
        self.sweep_some();
        self.neighbours.forget_floods(self.datapath.now_ns());
        self.tick_multicast();
        self.catch_up().await;
        self.recheck_ports().await;
        self.mend_what_others_did().await;
        self.mend_gateways().await;
        self.mend_name_servers().await;
        self.watch_firewall().await;
        self.recheck_bridges().await;
        self.mend_docker(Instant::now()).await;
    }

    fn save(&mut self) -> Result<(), ApiError> {
        self.store.save(&mut self.state).map_err(|error| store_failed(&error))
    }

    fn publish(&self, what: EventKind) {
        self.handle.publish(Event::now(what));
    }

    /// The data path, for `neighbours`.
    pub(crate) fn datapath(&mut self) -> &mut dyn Datapath {
        self.datapath.as_mut()
    }

    fn link_name(&self, port: PortId) -> String {
        self.state.ports.get(&port.0).map_or_else(String::new, |port| port.link.clone())
    }
}

/// A refusal by the kernel's data path, as users see it.
fn datapath_failed(error: &DatapathError) -> ApiError {
    ApiError::new(ErrorCode::Kernel, chain(error))
}

/// A refusal by the kernel's links, as users see it.
fn netlink_failed(error: &NetlinkError) -> ApiError {
    let code = if error.is_no_such_link() { ErrorCode::NoSuchLink } else { ErrorCode::Kernel };
    ApiError::new(code, chain(error))
}

fn store_failed(error: &StoreError) -> ApiError {
    ApiError::new(ErrorCode::State, format!("{}: free space or mend the folder, then repeat", chain(error)))
}

#[cfg(test)]
mod tests;
