//! Bodies of the control API, and the texts that command lines hold: read or refused, and read the same again.

use serde::Serialize;
use serde::de::DeserializeOwned;
use vswitch::api::error::ApiError;
use vswitch::api::types::{
    AddressWish, FdbFilter, FdbFlush, FdbKeySpec, FdbSpec, NetworkChange, NetworkSpec, PortFilter, PortSpec,
    Publish, PublishFilter, Request, TraceSpec, vlan_ranges,
};
use vswitch::api::wire;
use vswitch_common::mac::MacAddr;
use vswitch_common::vlan::VlanId;

use super::{gist, outcome};

/// What the API understands.
pub(super) const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "true",
    "false",
    "-1",
    "1e99",
    "18446744073709551616",
    "\"link\":\"a\"",
    "\"network\":\"n\"",
    "\"mac\":\"02:42:ac:11:00:02\"",
    "\"vlan\":4094",
    "\"sticky\":true",
    "\"hook\":\"xdp\"",
    "\"ips\":[\"10.0.0.2\"]",
    "\"storm\":{\"broadcast\":1}",
    "\"frame\":\"ff\"",
    "\"name\":",
    "\"subnets\":[\"10.0.0.0/24\"]",
    "\"ageing\":0",
    "\"mtu\":1500",
    "\"port\":\"a\"",
    "\\u0000",
    "\\ud800",
    "\"mode\":\"trunk\"",
    "\"allowed\":\"1-5,7\"",
    "\"port_add\":",
    "\"fdb_flush\":",
    "1-4094",
    "all",
    "4095",
    "8000-8010:10.0.0.2:80-90/udp",
    "[2001:db8::1]:",
    "/tcp",
];

/// The first octet chooses the type, the rest is the text.
pub(super) fn check(input: &[u8]) -> u64 {
    let Some((chosen, text)) = input.split_first() else { return 0 };
    let chosen = chosen % 16;
    let said = match chosen {
        0 => body::<PortSpec>(text),
        1 => body::<FdbSpec>(text),
        2 => body::<FdbKeySpec>(text),
        3 => body::<FdbFlush>(text),
        4 => body::<FdbFilter>(text),
        5 => body::<NetworkSpec>(text),
        6 => body::<NetworkChange>(text),
        7 => body::<AddressWish>(text),
        8 => body::<Publish>(text),
        9 => body::<PublishFilter>(text),
        10 => body::<PortFilter>(text),
        11 => trace(text),
        12 | 13 => request(text),
        _ => texts(&String::from_utf8_lossy(text)),
    };
    outcome(&(char::from(b'a' + chosen), said))
}

/// Read, it is written and read again as the same; refused, it is refused in one line.
fn body<T: Serialize + DeserializeOwned>(text: &[u8]) -> String {
    match serde_json::from_slice::<T>(text) {
        Ok(value) => {
            let written = serde_json::to_string(&value).expect("what was read can be written");
            let again: T = serde_json::from_str(&written).expect("what was written can be read");
            assert_eq!(serde_json::to_string(&again).expect("as before"), written, "another value");
            shape(&written)
        }
        Err(error) => one_line(&error.to_string()),
    }
}

fn trace(text: &[u8]) -> String {
    let said = body::<TraceSpec>(text);
    if let Ok(spec) = serde_json::from_slice::<TraceSpec>(text) {
        return spec.octets().map_or_else(|error| one_line(&error.to_string()), |_| said);
    }
    said
}

/// A request has a route, whatever its names hold.
fn request(text: &[u8]) -> String {
    let said = body::<Request>(text);
    if let Ok(request) = serde_json::from_slice::<Request>(text) {
        let call = wire::encode(&request).expect("every request has a route");
        let is_plain = |byte: u8| byte.is_ascii_graphic();
        assert!(call.target.starts_with("/v1/") && call.target.bytes().all(is_plain), "{:?}", call.target);
        assert!(
            call.target.split('?').next().is_some_and(|path| !path.contains("/../")),
            "{:?}",
            call.target
        );
    }
    said
}

fn texts(text: &str) -> String {
    let mac = text.parse::<MacAddr>();
    if let Ok(mac) = &mac {
        assert_eq!(mac.to_string().parse::<MacAddr>().as_ref(), Ok(mac));
    }
    let vid = text.parse::<VlanId>();
    if let Ok(vid) = &vid {
        assert!((1..=4094).contains(&vid.get()));
    }
    let ranges = vlan_ranges(text);
    for range in ranges.iter().flatten() {
        assert!(range.start().get() >= 1 && range.end().get() <= 4094 && range.start() <= range.end());
    }
    let published = Publish::parse("blue", text);
    if let Ok(published) = &published {
        let written = serde_json::to_string(published).expect("it can be written");
        let again: Publish = serde_json::from_str(&written).expect("and read");
        assert_eq!(serde_json::to_string(&again).expect("and written"), written);
    }
    format!(
        "{} {} {} {}",
        mac.is_ok(),
        vid.is_ok(),
        ranges.is_ok(),
        match published {
            Ok(_) => "published".to_owned(),
            Err(error) => one_line(&error.to_string()),
        }
    )
}

/// What a user would see of it: one line without control characters.
fn one_line(message: &str) -> String {
    let said = ApiError::bad_request(message).message;
    assert!(!said.chars().any(char::is_control), "{said:?}");
    gist(&said)
}

/// How much of it is said.
fn shape(json: &str) -> String {
    let (said, nulls) = (json.matches(':').count(), json.matches(":null").count());
    format!("{} fields", said.saturating_sub(nulls).min(12))
}
