//! Names of things on the network: short channel ids, channel ids, node ids. Parsed once, at the door.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `block x transaction x output`, packed as BOLT 7 packs it. A splice changes it; key state by [`ChannelId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scid(pub u64);

/// The lasting name of a channel (32 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub [u8; 32]);

/// A node's public key (33 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 33]);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    #[error("'{0}' is not a short channel id (BLOCKxTRANSACTIONxOUTPUT, for example 800000x12x1)")]
    Scid(String),
    #[error("'{0}' is not a channel id (64 hexadecimal digits)")]
    ChannelId(String),
    #[error("'{0}' is not a node id (66 hexadecimal digits that start with 02 or 03)")]
    PeerId(String),
}

impl Scid {
    pub fn new(block: u32, transaction: u32, output: u16) -> Option<Scid> {
        (block < 1 << 24 && transaction < 1 << 24)
            .then(|| Scid(u64::from(block) << 40 | u64::from(transaction) << 16 | u64::from(output)))
    }

    /// Height of the block that holds the funding transaction (meaningless for an alias).
    pub fn block(self) -> u64 {
        self.0 >> 40
    }
}

impl FromStr for Scid {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Scid, BadId> {
        let bad = || BadId::Scid(text.to_owned());
        let mut parts = text.split('x');
        let mut next = || parts.next().filter(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
        let block = next().and_then(|p| p.parse().ok()).ok_or_else(bad)?;
        let transaction = next().and_then(|p| p.parse().ok()).ok_or_else(bad)?;
        let output = next().and_then(|p| p.parse().ok()).ok_or_else(bad)?;
        if parts.next().is_some() {
            return Err(bad());
        }
        Scid::new(block, transaction, output).ok_or_else(bad)
    }
}

impl fmt::Display for Scid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.0 >> 40, (self.0 >> 16) & 0xff_ffff, self.0 & 0xffff)
    }
}

impl FromStr for ChannelId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<ChannelId, BadId> {
        unhex(text).map(ChannelId).ok_or_else(|| BadId::ChannelId(text.to_owned()))
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl FromStr for PeerId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<PeerId, BadId> {
        unhex(text)
            .filter(|bytes: &[u8; 33]| matches!(bytes[0], 2 | 3))
            .map(PeerId)
            .ok_or_else(|| BadId::PeerId(text.to_owned()))
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

pub(super) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// In JSON an id is the text that operators type.
macro_rules! serde_as_text {
    ($($id:ty),*) => {$(
        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(Scid, ChannelId, PeerId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scid_reads_as_it_is_written() {
        for text in ["0x0x0", "118x6x0", "800000x12x1", "16777215x16777215x65535"] {
            assert_eq!(text.parse::<Scid>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_scid_is_refused_by_name() {
        for text in ["", "118:6:0", "1x2", "1x2x3x4", "1x2x65536", "16777216x0x0", "+1x2x3", "1x 2x3", "axbxc"] {
            let error = text.parse::<Scid>().unwrap_err();
            assert!(error.to_string().contains(&format!("'{text}'")), "{error}");
        }
    }

    #[test]
    fn node_ids_are_66_digits_with_a_known_prefix() {
        let id = format!("02{}", "ab".repeat(32));
        assert_eq!(id.parse::<PeerId>().unwrap().to_string(), id);
        assert!(format!("05{}", "ab".repeat(32)).parse::<PeerId>().is_err());
        assert!("02ab".parse::<PeerId>().is_err());
        assert!(format!("02{}", "zz".repeat(32)).parse::<PeerId>().is_err());
    }
}
