//! Addresses as people and JSON write them. User space only.

use core::fmt;
use core::str::FromStr;
use std::string::{String, ToString as _};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::mac::MacAddr;
use crate::vlan::VlanId;

/// Why a text is not an address or identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseError {
    /// Not six two-digit hexadecimal octets separated by `:` or `-`.
    Mac(String),
    /// Not a number from 1 to 4094.
    VlanId(String),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac(text) => write!(f, "{text:?} is not a MAC address: write it as 02:42:ac:11:00:02"),
            Self::VlanId(text) => write!(f, "{text:?} is not a VLAN ID: give a number from 1 to 4094"),
        }
    }
}

impl std::error::Error for ParseError {}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.octets();
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bad = || ParseError::Mac(text.to_string());
        let mut octets = [0u8; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part = parts.next().filter(|p| p.len() == 2).ok_or_else(bad)?;
            if !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(bad());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() {
            return Err(bad());
        }
        Ok(Self::from_octets(octets))
    }
}

impl Serialize for MacAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl fmt::Debug for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl FromStr for VlanId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse().ok().and_then(Self::new).ok_or_else(|| ParseError::VlanId(text.to_string()))
    }
}

impl Serialize for VlanId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.get())
    }
}

impl<'de> Deserialize<'de> for VlanId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let vid = u16::deserialize(deserializer)?;
        Self::new(vid).ok_or_else(|| D::Error::custom(ParseError::VlanId(vid.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_reads_back_as_it_was_written() {
        let mac: MacAddr = "02:42:AC:11:00:02".parse().expect("a MAC");
        assert_eq!(mac.to_string(), "02:42:ac:11:00:02");
    }

    #[test]
    fn what_is_not_a_mac_is_refused() {
        for text in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "2:42:ac:11:0:2",
            "02:42:ac:11:00:0g",
            "+2:42:ac:11:00:02",
        ] {
            assert!(text.parse::<MacAddr>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_vlan_id_is_1_to_4094() {
        assert!("0".parse::<VlanId>().is_err());
        assert!("4095".parse::<VlanId>().is_err());
        assert_eq!("4094".parse::<VlanId>().map(VlanId::get), Ok(4094));
    }
}
