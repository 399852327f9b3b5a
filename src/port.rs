//! Zenlayer's words for a port, shared by both mirrors and by the decision.
//!
//! Every field but the id may be missing or of an unknown value: nullability is documented nowhere and the
//! schema grows without a version bump (`docs/zenlayer-api.md`, answers).

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::text::sanitized;

/// Zenlayer's id of a port (`portId`), as given: 1–64 of `[A-Za-z0-9_-]` once the API server has validated it. Clones share
/// it, as several indexes hold that of every port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, serde::Serialize)]
#[serde(transparent)]
pub struct PortId(Arc<str>);

impl PortId {
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `portStatus`, the place of a port in its life (`docs/zenlayer-api.md`, port states).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PortStatus {
    Creating,
    Running,
    Updating,
    /// On its way into the recycle bin.
    Deleting,
    /// In the recycle bin; Zenlayer releases it itself within 24 h to 2 days.
    Recycled,
    /// On its way out of the recycle bin.
    Recovering,
    Destroying,
    Destroyed,
    /// A word that this version does not know (empty: none was given).
    Unknown(String),
}

impl PortStatus {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Creating => "CREATING",
            Self::Running => "RUNNING",
            Self::Updating => "UPDATING",
            Self::Deleting => "DELETING",
            Self::Recycled => "RECYCLED",
            Self::Recovering => "RECOVERING",
            Self::Destroying => "DESTROYING",
            Self::Destroyed => "DESTROYED",
            Self::Unknown(word) => word,
        }
    }
}

impl From<&str> for PortStatus {
    fn from(word: &str) -> Self {
        match word {
            "CREATING" => Self::Creating,
            "RUNNING" => Self::Running,
            "UPDATING" => Self::Updating,
            "DELETING" => Self::Deleting,
            "RECYCLED" => Self::Recycled,
            "RECOVERING" => Self::Recovering,
            "DESTROYING" => Self::Destroying,
            "DESTROYED" => Self::Destroyed,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for PortStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        Ok(match Self::from(word.as_str()) {
            // Escaped, a word that only looks like a known one stays unknown.
            Self::Unknown(word) => Self::Unknown(sanitized(&word)),
            known => known,
        })
    }
}

impl Default for PortStatus {
    fn default() -> Self {
        Self::Unknown(String::new())
    }
}

/// What `DescribePorts` says of one port (`PortInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortInfo {
    pub port_id: PortId,
    #[serde(default)]
    pub port_status: PortStatus,
    #[serde(default, deserialize_with = "words")]
    pub port_name: Option<String>,
    #[serde(default, deserialize_with = "words")]
    pub port_type: Option<String>,
    #[serde(default, deserialize_with = "words")]
    pub dc_id: Option<String>,
    #[serde(default, deserialize_with = "words")]
    pub dc_name: Option<String>,
    #[serde(default, deserialize_with = "words")]
    pub connection_status: Option<String>,
    /// `PREPAID` ports cannot be terminated through the API.
    #[serde(default, deserialize_with = "words")]
    pub port_charge_type: Option<String>,
    /// As Zenlayer writes it, `YYYY-MM-DDThh:mm:ssZ`: compare with [`same_instant`].
    #[serde(default, deserialize_with = "words")]
    pub created_time: Option<String>,
    #[serde(default, deserialize_with = "words")]
    pub expired_time: Option<String>,
}

/// An empty text is the same as none.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.trim().is_empty()).as_deref().map(sanitized))
}

impl PortInfo {
    pub fn is_prepaid(&self) -> bool {
        self.port_charge_type.as_deref() == Some("PREPAID")
    }
}

/// Whether two times as Zenlayer writes them are one instant; texts that are no times are compared as texts.
pub fn same_instant(a: &str, b: &str) -> bool {
    match (a.parse::<Timestamp>(), b.parse::<Timestamp>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}
