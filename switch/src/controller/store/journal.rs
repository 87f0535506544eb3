//! The journal's lines: what has become of a port or a network since the document was written.
//!
//! A save may be several lines, and a crash may cut between them. So networks come before the ports that are at them and go
//! after: whatever part of a save is read back names no network that is not there.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::controller::state::{NetworkState, PortState, State};

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

/// What is journalled; the rest of the state goes into the document alone.
pub(super) struct Tables {
    ports: BTreeMap<u16, PortState>,
    networks: BTreeMap<String, NetworkState>,
}

impl Tables {
    /// Those of a state.
    pub(super) fn of(state: &State) -> Self {
        Self { ports: state.ports.clone(), networks: state.networks.clone() }
    }

    /// Takes the tables out of a state, which is then the rest.
    pub(super) fn take(state: &mut State) -> Self {
        Self { ports: std::mem::take(&mut state.ports), networks: std::mem::take(&mut state.networks) }
    }

    /// Puts them back.
    pub(super) fn give_back(self, state: &mut State) {
        state.ports = self.ports;
        state.networks = self.networks;
    }

    /// The lines that make these tables those of `later`.
    pub(super) fn lines_to(&self, later: &State) -> Vec<Line> {
        let network = |(name, network)| Line::Network { name, network };
        let port = |(slot, port)| Line::Port { slot, port };
        let mut lines: Vec<Line> = changed(&self.networks, &later.networks).map(network).collect();
        lines.extend(changed(&self.ports, &later.ports).map(port));
        lines.extend(gone(&self.ports, &later.ports).map(port));
        lines.extend(gone(&self.networks, &later.networks).map(network));
        lines
    }
}

/// What `later` has and `before` has not, or has otherwise.
fn changed<'a, K: Ord + Clone, V: PartialEq + Clone>(
    before: &'a BTreeMap<K, V>,
    later: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (K, Option<Box<V>>)> + 'a {
    let differs = |(key, value): &(&K, &V)| before.get(key) != Some(value);
    later.iter().filter(differs).map(|(key, value)| (key.clone(), Some(Box::new(value.clone()))))
}

/// What `before` has and `later` has not.
fn gone<'a, K: Ord + Clone, V>(
    before: &'a BTreeMap<K, V>,
    later: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (K, Option<Box<V>>)> + 'a {
    before.keys().filter(|key| !later.contains_key(key)).map(|key| (key.clone(), None))
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
