//! The journal's lines: what has become of a port or a network since the document was written.
//!
//! A save may be several lines, and a crash may cut between them. So networks come before the ports that are at them and go
//! after: whatever part of a save is read back names no network that is not there.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::ops::Deref as _;

use serde::{Deserialize, Serialize};

use crate::controller::state::{NetworkState, PortState, State};
use crate::controller::table::Table;

/// A line: something as it has become, or that it has gone.
#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum Line {
    /// A port, by its slot.
    Port { slot: u16, port: Option<Box<PortState>> },
    /// A network, by its name.
    Network { name: String, network: Option<Box<NetworkState>> },
}

impl Line {
    /// Does to the tables what the line says was done.
    pub(super) fn apply(self, tables: &mut Tables) {
        match self {
            Self::Port { slot, port } => put(&mut tables.ports, slot, port),
            Self::Network { name, network } => put(&mut tables.networks, name, network),
        }
    }
}

fn put<K: Ord, V>(table: &mut BTreeMap<K, V>, key: K, value: Option<Box<V>>) {
    match value {
        Some(value) => drop(table.insert(key, *value)),
        None => drop(table.remove(&key)),
    }
}

/// What is durable of the tables that are journalled; the rest of the state goes into the document alone.
pub(super) struct Tables {
    ports: BTreeMap<u16, PortState>,
    networks: BTreeMap<String, NetworkState>,
}

impl Tables {
    /// Those of a state that has been written whole.
    pub(super) fn of(state: &mut State) -> Self {
        state.ports.take_touched();
        state.networks.take_touched();
        Self { ports: state.ports.deref().clone(), networks: state.networks.deref().clone() }
    }

    /// Brings a state's tables up to date.
    pub(super) fn replay(lines: Vec<Line>, state: &mut State) {
        let mut tables = Self::of(state);
        lines.into_iter().for_each(|line| line.apply(&mut tables));
        state.ports = tables.ports.into();
        state.networks = tables.networks.into();
    }

    /// The lines that make these tables those of `later`. Only what it has touched is looked at.
    pub(super) fn lines_to(&self, later: &mut State) -> Vec<Line> {
        let network = |(name, network)| Line::Network { name, network };
        let port = |(slot, port)| Line::Port { slot, port };
        let (networks, gone_networks) = changes(&self.networks, &mut later.networks);
        let (ports, gone_ports) = changes(&self.ports, &mut later.ports);
        let lines = networks.into_iter().map(network).chain(ports.into_iter().map(port));
        lines.chain(gone_ports.into_iter().map(port)).chain(gone_networks.into_iter().map(network)).collect()
    }
}

/// Entries as they have become; none for those that have gone.
type Changes<K, V> = Vec<(K, Option<Box<V>>)>;

/// What `later` has and `before` has not, or has otherwise, and what has gone.
fn changes<K: Ord + Clone, V: PartialEq + Clone>(
    before: &BTreeMap<K, V>,
    later: &mut Table<K, V>,
) -> (Changes<K, V>, Changes<K, V>) {
    let touched = later.take_touched().into_iter();
    let changed = touched.filter(|key| before.get(key) != later.get(key));
    let change = |key: K| {
        let value = later.get(&key).cloned().map(Box::new);
        (key, value)
    };
    changed.map(change).partition(|(_, value)| value.is_some())
}

/// Lines as they are in the file.
pub(super) fn text_of(lines: &[Line]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.write_all(b"\n")?;
    }
    Ok(text)
}

/// The whole lines of a file. A last one that is cut was never said to be done, and is left out.
///
/// # Errors
/// When one that is whole is none of ours.
pub(super) fn lines_of(text: &[u8]) -> Result<Vec<Line>, serde_json::Error> {
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(serde_json::from_slice).collect()
}
