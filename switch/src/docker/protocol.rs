//! libnetwork's remote protocol: names of methods, shapes of bodies, and what they are in our words.
//!
//! Fields that are not known are passed over, for every Docker release adds some; ids and addresses are checked.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vswitch_common::mac::MacAddr;

use super::options;
use crate::api::error::ApiError;
use crate::api::types::docker::{
    AddressRequest, Answer, Call, EndpointId, EndpointWish, NetworkWish, PoolWish, Purpose, WishedPool,
};

/// Longest id; Docker's have 64 digits.
const ID_BYTES: usize = 128;

/// Option of an address request that says what for, and its value for a gateway.
const ADDRESS_TYPE: &str = "RequestAddressType";
const GATEWAY_TYPE: &str = "com.docker.network.gateway";
/// And the container's MAC.
const MAC_OPTION: &str = "com.docker.network.endpoint.macaddress";

/// The methods of a plugin that is both a network driver and an IPAM driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Activate,
    DriverCapabilities,
    AllocateNetwork,
    FreeNetwork,
    CreateNetwork,
    DeleteNetwork,
    CreateEndpoint,
    EndpointOperInfo,
    DeleteEndpoint,
    Join,
    Leave,
    Discover,
    ProgramExternalConnectivity,
    RevokeExternalConnectivity,
    IpamCapabilities,
    AddressSpaces,
    RequestPool,
    ReleasePool,
    RequestAddress,
    ReleaseAddress,
}

/// What a body says.
pub(super) enum Understood {
    /// Something that is always answered alike.
    Fixed(Value),
    /// Something for the loop.
    Call(Call),
}

impl Method {
    /// The method of a path.
    pub(super) fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/Plugin.Activate" => Self::Activate,
            "/NetworkDriver.GetCapabilities" => Self::DriverCapabilities,
            "/NetworkDriver.AllocateNetwork" => Self::AllocateNetwork,
            "/NetworkDriver.FreeNetwork" => Self::FreeNetwork,
            "/NetworkDriver.CreateNetwork" => Self::CreateNetwork,
            "/NetworkDriver.DeleteNetwork" => Self::DeleteNetwork,
            "/NetworkDriver.CreateEndpoint" => Self::CreateEndpoint,
            "/NetworkDriver.EndpointOperInfo" => Self::EndpointOperInfo,
            "/NetworkDriver.DeleteEndpoint" => Self::DeleteEndpoint,
            "/NetworkDriver.Join" => Self::Join,
            "/NetworkDriver.Leave" => Self::Leave,
            "/NetworkDriver.DiscoverNew" | "/NetworkDriver.DiscoverDelete" => Self::Discover,
            "/NetworkDriver.ProgramExternalConnectivity" => Self::ProgramExternalConnectivity,
            "/NetworkDriver.RevokeExternalConnectivity" => Self::RevokeExternalConnectivity,
            "/IpamDriver.GetCapabilities" => Self::IpamCapabilities,
            "/IpamDriver.GetDefaultAddressSpaces" => Self::AddressSpaces,
            "/IpamDriver.RequestPool" => Self::RequestPool,
            "/IpamDriver.ReleasePool" => Self::ReleasePool,
            "/IpamDriver.RequestAddress" => Self::RequestAddress,
            "/IpamDriver.ReleaseAddress" => Self::ReleaseAddress,
            _ => return None,
        })
    }

    /// What a body of this method says.
    ///
    /// # Errors
    /// `bad-request` when it is no such body; another code when what it says cannot be had.
    pub(super) fn read(self, body: &[u8]) -> Result<Understood, ApiError> {
        let fixed = |value| {
            // Nothing is in it that counts, but it must be JSON if it is anything.
            if !body.trim_ascii().is_empty() {
                parse::<Value>(body)?;
            }
            Ok(Understood::Fixed(value))
        };
        Ok(Understood::Call(match self {
            Self::Activate => return fixed(json!({ "Implements": ["NetworkDriver", "IpamDriver"] })),
            Self::DriverCapabilities => {
                return fixed(json!({ "Scope": "local", "ConnectivityScope": "local" }));
            }
            Self::IpamCapabilities => {
                return fixed(json!({ "RequiresMACAddress": true, "RequiresRequestReplay": false }));
            }
            Self::AddressSpaces => {
                let spaces = json!({
                    "LocalDefaultAddressSpace": "vswitch",
                    "GlobalDefaultAddressSpace": "vswitch-global",
                });
                return fixed(spaces);
            }
            // Asked by swarm managers of drivers whose networks span machines: the network is made by CreateNetwork.
            Self::AllocateNetwork => {
                let said: Allocate = parse(body)?;
                check_id("NetworkID", &said.network_id)?;
                return Ok(Understood::Fixed(json!({ "Options": said.options.unwrap_or_default() })));
            }
            Self::FreeNetwork | Self::Discover => return fixed(json!({})),
            Self::CreateNetwork => Call::CreateNetwork(parse::<Create>(body)?.wish()?),
            Self::DeleteNetwork => {
                let said: NetworkOnly = parse(body)?;
                Call::DeleteNetwork { network: check_id("NetworkID", &said.network_id)? }
            }
            Self::CreateEndpoint => Call::CreateEndpoint(parse::<Endpoint>(body)?.wish()?),
            Self::DeleteEndpoint => Call::DeleteEndpoint(parse::<Endpoint>(body)?.id()?),
            Self::EndpointOperInfo => Call::EndpointInfo(parse::<Endpoint>(body)?.id()?),
            Self::Leave => Call::Leave(parse::<Endpoint>(body)?.id()?),
            Self::RevokeExternalConnectivity => Call::Unpublish(parse::<Endpoint>(body)?.id()?),
            Self::Join => {
                let said: Endpoint = parse(body)?;
                Call::Join(said.id()?, options::bindings(&said.options.unwrap_or_default())?)
            }
            Self::ProgramExternalConnectivity => {
                let said: Endpoint = parse(body)?;
                Call::Publish(said.id()?, options::bindings(&said.options.unwrap_or_default())?)
            }
            Self::RequestPool => Call::RequestPool(parse::<PoolBody>(body)?.wish()?),
            Self::ReleasePool => Call::ReleasePool { pool: parse::<PoolOnly>(body)?.pool_id },
            Self::RequestAddress => Call::RequestAddress(parse::<AddressBody>(body)?.request()?),
            Self::ReleaseAddress => {
                let said: AddressBody = parse(body)?;
                Call::ReleaseAddress { ip: address("Address", &said.address)?, pool: said.pool_id }
            }
        }))
    }
}

/// An answer as the protocol has it.
pub(super) fn write(answer: Answer) -> Value {
    match answer {
        Answer::Done => json!({}),
        Answer::Endpoint { mac: Some(mac) } => json!({ "Interface": { "MacAddress": mac.to_string() } }),
        // Naming again what Docker chose would be an attempt to change it.
        Answer::Endpoint { mac: None } => json!({ "Interface": {} }),
        Answer::Info(value) => json!({ "Value": value }),
        Answer::Joined(joined) => {
            let gateway = |is: fn(&&IpAddr) -> bool| {
                joined.gateways.iter().find(is).map(ToString::to_string).unwrap_or_default()
            };
            json!({
                "InterfaceName": { "SrcName": joined.link, "DstPrefix": "eth" },
                "Gateway": gateway(|ip| ip.is_ipv4()),
                "GatewayIPv6": gateway(|ip| ip.is_ipv6()),
                // The way out is ours: no second link to a bridge of Docker's.
                "DisableGatewayService": true,
            })
        }
        Answer::Pool { id, subnet } => json!({ "PoolID": id, "Pool": subnet.to_string(), "Data": {} }),
        Answer::Address(ip) => json!({ "Address": ip.to_string(), "Data": {} }),
    }
}

type Options = HashMap<String, Value>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Allocate {
    #[serde(rename = "NetworkID")]
    network_id: String,
    options: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct NetworkOnly {
    #[serde(rename = "NetworkID")]
    network_id: String,
}

#[derive(Deserialize)]
struct Create {
    #[serde(rename = "NetworkID")]
    network_id: String,
    #[serde(rename = "Options")]
    options: Option<Options>,
    #[serde(rename = "IPv4Data")]
    v4: Option<Vec<IpamData>>,
    #[serde(rename = "IPv6Data")]
    v6: Option<Vec<IpamData>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IpamData {
    #[serde(default)]
    pool: String,
    #[serde(default)]
    gateway: String,
    aux_addresses: Option<BTreeMap<String, String>>,
}

impl Create {
    fn wish(self) -> Result<NetworkWish, ApiError> {
        let data = self.v4.into_iter().flatten().chain(self.v6.into_iter().flatten());
        let pools = data.filter_map(|data| data.pool().transpose()).collect::<Result<_, _>>()?;
        let options = self.options.unwrap_or_default();
        Ok(NetworkWish {
            id: check_id("NetworkID", &self.network_id)?,
            pools,
            internal: options::is_internal(&options),
            options: options::network(&options)?,
        })
    }
}

impl IpamData {
    /// None for the pool without addresses that Docker's `null` IPAM driver gives.
    fn pool(self) -> Result<Option<WishedPool>, ApiError> {
        if self.pool.is_empty() {
            return Ok(None);
        }
        let subnet = subnet("Pool", &self.pool)?;
        if subnet.prefix_len() == 0 {
            return Ok(None);
        }
        let gateway = if self.gateway.is_empty() { None } else { Some(address("Gateway", &self.gateway)?) };
        let auxiliary = self.aux_addresses.unwrap_or_default();
        let auxiliary = auxiliary.values().map(|ip| address("AuxAddresses", ip)).collect::<Result<_, _>>()?;
        Ok(Some(WishedPool { subnet, gateway, auxiliary }))
    }
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "NetworkID")]
    network_id: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    #[serde(rename = "Interface")]
    interface: Option<Interface>,
    #[serde(rename = "Options")]
    options: Option<Options>,
}

#[derive(Deserialize)]
struct Interface {
    #[serde(rename = "Address", default)]
    address: String,
    #[serde(rename = "AddressIPv6", default)]
    address_v6: String,
    #[serde(rename = "MacAddress", default)]
    mac: String,
}

impl Endpoint {
    fn id(&self) -> Result<EndpointId, ApiError> {
        Ok(EndpointId {
            network: check_id("NetworkID", &self.network_id)?,
            endpoint: check_id("EndpointID", &self.endpoint_id)?,
        })
    }

    fn wish(self) -> Result<EndpointWish, ApiError> {
        let id = self.id()?;
        let (mut ips, mut mac) = (Vec::new(), None);
        if let Some(interface) = &self.interface {
            for text in
                [&interface.address, &interface.address_v6].into_iter().filter(|text| !text.is_empty())
            {
                ips.push(address("Interface", text)?);
            }
            if !interface.mac.is_empty() {
                mac = Some(hardware_address(&interface.mac)?);
            }
        }
        let said = self.options.unwrap_or_default();
        let (names, hook) = options::endpoint(&said)?;
        Ok(EndpointWish { id, ips, mac, bindings: options::bindings(&said)?, names, hook })
    }
}

#[derive(Deserialize)]
struct PoolBody {
    #[serde(rename = "Pool", default)]
    pool: String,
    #[serde(rename = "SubPool", default)]
    sub_pool: String,
    #[serde(rename = "V6", default)]
    v6: bool,
}

impl PoolBody {
    fn wish(self) -> Result<PoolWish, ApiError> {
        let optional = |field, text: &str| (!text.is_empty()).then(|| subnet(field, text)).transpose();
        let wish = PoolWish {
            subnet: optional("Pool", &self.pool)?,
            range: optional("SubPool", &self.sub_pool)?,
            v6: self.v6,
        };
        if wish.subnet.is_none() && wish.range.is_some() {
            return Err(ApiError::bad_request("SubPool: a part of no Pool"));
        }
        Ok(wish)
    }
}

#[derive(Deserialize)]
struct PoolOnly {
    #[serde(rename = "PoolID")]
    pool_id: String,
}

#[derive(Deserialize)]
struct AddressBody {
    #[serde(rename = "PoolID")]
    pool_id: String,
    #[serde(rename = "Address", default)]
    address: String,
    #[serde(rename = "Options")]
    options: Option<HashMap<String, String>>,
}

impl AddressBody {
    fn request(self) -> Result<AddressRequest, ApiError> {
        let options = self.options.unwrap_or_default();
        let purpose = match (options.get(ADDRESS_TYPE).map(String::as_str), options.get(MAC_OPTION)) {
            (Some(GATEWAY_TYPE), _) => Purpose::Gateway,
            (_, Some(mac)) => Purpose::Endpoint(hardware_address(mac)?),
            _ => Purpose::Other,
        };
        let ip = (!self.address.is_empty()).then(|| address("Address", &self.address)).transpose()?;
        Ok(AddressRequest { pool: self.pool_id, ip, purpose })
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad_request(format!("body: {error}")))
}

/// Links are called after ids, so they are letters and digits.
fn check_id(field: &str, id: &str) -> Result<String, ApiError> {
    let is_id = (1..=ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_id {
        return Ok(id.to_owned());
    }
    Err(ApiError::bad_request(format!("body: {field}: {id:?} is no id of Docker's")))
}

fn subnet(field: &str, text: &str) -> Result<IpNet, ApiError> {
    text.parse().map_err(|_| ApiError::bad_request(format!("body: {field}: {text:?} is no subnet")))
}

/// An address, with or without the length of a prefix.
fn address(field: &str, text: &str) -> Result<IpAddr, ApiError> {
    let ip = text.split_once('/').map_or(text, |(ip, _)| ip).parse();
    ip.map_err(|_| ApiError::bad_request(format!("body: {field}: {text:?} is no IP address")))
}

fn hardware_address(text: &str) -> Result<MacAddr, ApiError> {
    text.parse().map_err(|error| ApiError::bad_request(format!("body: MAC: {error}")))
}
