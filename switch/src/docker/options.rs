//! Options of networks and endpoints: Docker's labels, and ours, which begin with `vswitch.`.
//!
//! An option that the switch cannot honour is refused with the list of those it can, for one that is passed over would be
//! missed only when something depends on it.

use std::collections::HashMap;

use clap::ValueEnum as _;
use serde::Deserialize;
use serde_json::Value;

use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::docker::{Binding, NetworkOptions};
use crate::api::types::{BigTcp, HookChoice, Protocol};

/// Where Docker puts what the user said by `--opt`.
const GENERIC: &str = "com.docker.network.generic";
const INTERNAL: &str = "com.docker.network.internal";
const PORT_MAP: &str = "com.docker.network.portmap";

const MTU: &str = "com.docker.network.driver.mtu";
const ICC: &str = "com.docker.network.bridge.enable_icc";
const HOST_IP: &str = "com.docker.network.bridge.host_binding_ipv4";
const NETWORK: &str = "vswitch.network";
const NAME: &str = "vswitch.name";
const HOOK: &str = "vswitch.hook";
const BIG_TCP: &str = "vswitch.big-tcp";

/// Numbers of protocols, as IP has them.
const TCP: u8 = 6;
const UDP: u8 = 17;

type Options = HashMap<String, Value>;

/// Whether the network has no way out.
pub(super) fn is_internal(options: &Options) -> bool {
    options.get(INTERNAL).is_some_and(|value| value == true || value == "true")
}

/// What of a network's options is ours.
pub(super) fn network(options: &Options) -> Result<NetworkOptions, ApiError> {
    let mut wish = NetworkOptions::default();
    let Some(Value::Object(said)) = options.get(GENERIC) else { return Ok(wish) };
    for (key, value) in said {
        let text = text(value);
        let wrong = |what: &str| {
            let message = format!("option {key}={text}: {what}");
            ApiError::new(ErrorCode::InvalidArgument, message)
        };
        match key.as_str() {
            MTU => wish.mtu = Some(text.parse().map_err(|_| wrong("give a number of bytes"))?),
            ICC => {
                wish.isolated = !text.parse::<bool>().map_err(|_| wrong("give true or false"))?;
            }
            HOST_IP => wish.host_ip = Some(text.parse().map_err(|_| wrong("give an IP address"))?),
            NETWORK => wish.name = Some(text),
            BIG_TCP => {
                let choice = BigTcp::from_str(&text, true).map_err(|_| wrong("give auto, on or off"))?;
                wish.big_tcp = Some(choice);
            }
            HOOK => wish.hook = Some(hook(&text).ok_or_else(|| wrong("give auto, xdp or tc"))?),
            // What Docker itself keeps there.
            key if key.starts_with("com.docker.network.") && !key.contains(".bridge.") => {}
            key => {
                let known = [MTU, ICC, HOST_IP, NETWORK, HOOK, BIG_TCP].join(", ");
                return Err(ApiError::new(
                    ErrorCode::Unsupported,
                    format!("option {key}: vswitch does not have it: leave it out; there are {known}"),
                ));
            }
        }
    }
    Ok(wish)
}

/// Names and hook of an endpoint (`docker network connect --driver-opt`).
pub(super) fn endpoint(options: &Options) -> Result<(Vec<String>, Option<HookChoice>), ApiError> {
    let generic = options.get(GENERIC).and_then(Value::as_object);
    let said = |key: &str| options.get(key).or_else(|| generic?.get(key)).map(text);
    let names = said(NAME).unwrap_or_default();
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let hook = match said(HOOK) {
        Some(text) => Some(hook(&text).ok_or_else(|| {
            let message = format!("option {HOOK}={text}: give auto, xdp or tc");
            ApiError::new(ErrorCode::InvalidArgument, message)
        })?),
        None => None,
    };
    Ok((names, hook))
}

/// Ports to publish.
pub(super) fn bindings(options: &Options) -> Result<Vec<Binding>, ApiError> {
    let Some(said) = options.get(PORT_MAP) else { return Ok(Vec::new()) };
    let said: Option<Vec<PortBinding>> = serde_json::from_value(said.clone())
        .map_err(|error| ApiError::bad_request(format!("body: Options: {PORT_MAP}: {error}")))?;
    said.unwrap_or_default().into_iter().map(PortBinding::binding).collect()
}

/// A published port as libnetwork's `types.PortBinding` has it.
#[derive(Deserialize)]
struct PortBinding {
    #[serde(rename = "Proto")]
    protocol: u8,
    #[serde(rename = "Port")]
    port: u16,
    #[serde(rename = "HostIP", default)]
    host_ip: Option<String>,
    #[serde(rename = "HostPort", default)]
    host_port: u16,
    #[serde(rename = "HostPortEnd", default)]
    host_port_end: u16,
}

impl PortBinding {
    fn binding(self) -> Result<Binding, ApiError> {
        let protocol = match self.protocol {
            TCP => Protocol::Tcp,
            UDP => Protocol::Udp,
            other => {
                let message =
                    format!("port {} of IP protocol {other} cannot be published: TCP and UDP can", self.port);
                return Err(ApiError::new(ErrorCode::Unsupported, message));
            }
        };
        let host_ip = match self.host_ip.as_deref() {
            None | Some("") => None,
            Some(text) => Some(text.parse().map_err(|_| {
                ApiError::bad_request(format!("body: Options: {PORT_MAP}: {text:?} is no IP address"))
            })?),
        };
        let host_ports = (self.host_port, self.host_port_end.max(self.host_port));
        Ok(Binding { protocol, port: self.port, host_ip, host_ports })
    }
}

fn hook(text: &str) -> Option<HookChoice> {
    HookChoice::from_str(text, true).ok()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
