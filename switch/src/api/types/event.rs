//! What happens in the switch, as `monitor` tells it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use vswitch_common::mac::MacAddr;

use super::port::Hook;

/// One line of `vswitch monitor`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: EventKind,
}

impl Event {
    /// `what`, happening now.
    #[must_use]
    pub fn now(what: EventKind) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { time_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX), what }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A station was learned.
    Learned {
        /// Its MAC.
        mac: MacAddr,
        /// Its network.
        network: String,
        /// Its port.
        port: String,
    },
    /// A station moved between ports.
    Moved {
        /// Its MAC.
        mac: MacAddr,
        /// Its network.
        network: String,
        /// The port it came from.
        from: String,
        /// The port it is at now.
        port: String,
    },
    /// A silent station was forgotten.
    Aged {
        /// Its MAC.
        mac: MacAddr,
        /// Its network.
        network: String,
        /// The port it was at.
        port: String,
    },
    /// A port was added.
    PortAdded {
        /// Link name.
        port: String,
    },
    /// A port was removed.
    PortRemoved {
        /// Link name.
        port: String,
    },
    /// A port's link came up.
    PortUp {
        /// Link name.
        port: String,
    },
    /// A port's link went down or away.
    PortDown {
        /// Link name.
        port: String,
    },
    /// A port's hook changed.
    HookChanged {
        /// Link name.
        port: String,
        /// The hook now.
        hook: Hook,
        /// Why.
        reason: String,
    },
    /// A station flapped between ports: the newer one neither takes nor gets frames for a while.
    Quarantined {
        /// Link name of the newer port.
        port: String,
        /// The station.
        mac: MacAddr,
        /// The port that it was pinned to.
        older_port: String,
        /// For how long.
        seconds: f64,
        /// What happened.
        reason: String,
    },
    /// A port's quarantine is over.
    QuarantineEnded {
        /// Link name.
        port: String,
    },
    /// A limit was reached.
    LimitReached {
        /// The limit's name, as in `status`.
        limit: String,
        /// The port at which, where there is one.
        port: Option<String>,
    },
    /// Something of the switch's that somebody else removed is there again.
    Mended {
        /// What: a program, pins, the table of rules.
        what: String,
        /// The port whose it is, where it is a port's.
        port: Option<String>,
    },
    /// Events were lost because the reader or the controller was behind.
    Lost {
        /// How many.
        count: u64,
    },
}
