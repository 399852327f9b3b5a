//! A port as the API shows it, and as a test seeds it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::accounts::DEFAULT_ACCOUNT;
use crate::life_cycle::Times;

/// A port. In JSON only `portId` is required; the rest has the defaults of [`Port::new`], the name is empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Port {
    /// Unique over all accounts. Seeding an id again replaces the port.
    pub port_id: String,
    /// The account that owns it; no other account sees it.
    #[serde(default = "default_account")]
    pub account: String,
    /// Its name in the console.
    #[serde(default)]
    pub port_name: String,
    /// Where it is in its life.
    #[serde(default = "running")]
    pub port_status: PortStatus,
    /// `1G`, `10G`, `40G` …
    #[serde(default = "default_type")]
    pub port_type: String,
    /// The data centre's id; name and city are made from it.
    #[serde(default = "default_data_center")]
    pub dc_id: String,
    /// `ACTIVE` or `DOWN`.
    #[serde(default = "default_connection")]
    pub connection_status: String,
    /// How it is billed. A prepaid port cannot be terminated.
    #[serde(default)]
    pub port_charge_type: ChargeType,
    /// Shown in whole seconds; `None`: when it is seeded.
    #[serde(default)]
    pub created_time: Option<Timestamp>,
    /// Shown in whole seconds, if any.
    #[serde(default)]
    pub expired_time: Option<Timestamp>,
    /// Its own times instead of the simulator's.
    #[serde(default)]
    pub times: Option<Times>,
    /// Stuck: time does not move its status on.
    #[serde(default)]
    pub frozen: bool,
    /// What it is a part of. While there is any, the port can be neither terminated nor destroyed.
    #[serde(default)]
    pub used_by: Vec<PortUser>,
    /// What it is a part of lies in the recycle bin: still listed, and no longer in the way.
    #[serde(default)]
    pub users_recycled: bool,
    /// Fields to show beside, or in place of, the usual ones: `null`, a number for a string, a new field.
    #[serde(default)]
    pub extra: Map<String, Value>,
}

fn default_account() -> String {
    DEFAULT_ACCOUNT.to_owned()
}

fn running() -> PortStatus {
    PortStatus::Running
}

fn default_type() -> String {
    "10G".to_owned()
}

fn default_data_center() -> String {
    "SIN1".to_owned()
}

fn default_connection() -> String {
    "ACTIVE".to_owned()
}

impl Port {
    /// A running, postpaid `10G` port of the default account in `SIN1`, created when it is seeded, named like its id.
    pub fn new(port_id: impl Into<String>) -> Self {
        let port_id = port_id.into();
        Self {
            port_name: port_id.clone(),
            port_id,
            account: default_account(),
            port_status: running(),
            port_type: default_type(),
            dc_id: default_data_center(),
            connection_status: default_connection(),
            port_charge_type: ChargeType::default(),
            created_time: None,
            expired_time: None,
            times: None,
            frozen: false,
            used_by: Vec::new(),
            users_recycled: false,
            extra: Map::new(),
        }
    }

    /// Owned by this account.
    #[must_use]
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// With this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.port_name = name.into();
        self
    }

    /// In this status.
    #[must_use]
    pub fn status(mut self, status: PortStatus) -> Self {
        self.port_status = status;
        self
    }

    /// Of this type.
    #[must_use]
    pub fn port_type(mut self, port_type: impl Into<String>) -> Self {
        self.port_type = port_type.into();
        self
    }

    /// In this data centre.
    #[must_use]
    pub fn data_center(mut self, dc_id: impl Into<String>) -> Self {
        self.dc_id = dc_id.into();
        self
    }

    /// Billed so.
    #[must_use]
    pub fn charge_type(mut self, charge_type: ChargeType) -> Self {
        self.port_charge_type = charge_type;
        self
    }

    /// Created then.
    #[must_use]
    pub fn created(mut self, time: Timestamp) -> Self {
        self.created_time = Some(time);
        self
    }

    /// With its own times.
    #[must_use]
    pub fn times(mut self, times: Times) -> Self {
        self.times = Some(times);
        self
    }

    /// Stuck in its status until [`Simulator::set_frozen`](crate::Simulator::set_frozen) or
    /// [`Simulator::set_status`](crate::Simulator::set_status) moves it.
    #[must_use]
    pub fn frozen(mut self) -> Self {
        self.frozen = true;
        self
    }

    /// Is a part of this, until [`Simulator::detach`](crate::Simulator::detach).
    #[must_use]
    pub fn used_by(mut self, user: PortUser) -> Self {
        self.used_by.push(user);
        self
    }

    /// Shows this value in this field of `PortInfo`, whatever the field is otherwise.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }

    pub(crate) fn is_in_use(&self) -> bool {
        !self.used_by.is_empty() && !self.users_recycled
    }

    /// `PortInfo` as `DescribePorts` returns it.
    pub(crate) fn info(&self, version: ApiVersion) -> Value {
        let mut info = serde_json::json!({
            "portId": self.port_id,
            "portName": self.port_name,
            "portRemarks": "",
            "portType": self.port_type,
            "connectionStatus": self.connection_status,
            "portStatus": self.port_status,
            "dcId": self.dc_id,
            "dcName": self.dc_id,
            "cityName": self.dc_id.trim_end_matches(|c: char| c.is_ascii_digit()),
            "areaName": "",
            "loaStatus": "LOA_NOT_UPLOAD",
            "loaDownloadUrl": "",
            "businessEntityName": "",
            "createdTime": self.created_time.map(in_seconds),
            "expiredTime": self.expired_time.map(in_seconds),
        });
        let of_version = match version {
            ApiVersion::V20230830 => {
                serde_json::json!({ "portChargeType": self.port_charge_type, "period": null })
            }
            ApiVersion::V20260401 => {
                serde_json::json!({ "isCreateBusinessAllowed": true, "tags": { "tags": [] } })
            }
        };
        for fields in [of_version.as_object(), Some(&self.extra)].into_iter().flatten() {
            for (name, value) in fields {
                info[name] = value.clone();
            }
        }
        info
    }
}

/// What a port can be a part of (`docs/zenlayer-api.md`, what uses a port).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PortUser {
    /// One end of the private connect of this id.
    PrivateConnect(String),
    /// A point of the cloud router of this id.
    CloudRouter(String),
}

/// `YYYY-MM-DDThh:mm:ssZ`.
fn in_seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Value of `X-ZC-Version` (`docs/zenlayer-api.md`, requests).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApiVersion {
    V20230830,
    V20260401,
}

impl ApiVersion {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "2023-08-30" => Some(Self::V20230830),
            "2026-04-01" => Some(Self::V20260401),
            _ => None,
        }
    }
}

/// How a port is billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChargeType {
    /// By subscription.
    Prepaid,
    /// As used.
    #[default]
    Postpaid,
}

/// `portStatus` (`docs/zenlayer-api.md`, port states).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum PortStatus {
    /// Being created, then running.
    Creating,
    /// Alive.
    Running,
    /// Being modified. Time does not end it here.
    Updating,
    /// On its way to the recycle bin.
    Deleting,
    /// In the recycle bin.
    Recycled,
    /// On its way out of the recycle bin, then running.
    Recovering,
    /// Being released.
    Destroying,
    /// Released; still listed for a while.
    Destroyed,
    /// A word that Zenlayer's documentation does not know.
    Other(Box<str>),
}

impl PortStatus {
    /// The API's word.
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
            Self::Other(word) => word,
        }
    }
}

impl From<String> for PortStatus {
    fn from(word: String) -> Self {
        match word.as_str() {
            "CREATING" => Self::Creating,
            "RUNNING" => Self::Running,
            "UPDATING" => Self::Updating,
            "DELETING" => Self::Deleting,
            "RECYCLED" => Self::Recycled,
            "RECOVERING" => Self::Recovering,
            "DESTROYING" => Self::Destroying,
            "DESTROYED" => Self::Destroyed,
            _ => Self::Other(word.into()),
        }
    }
}

impl From<PortStatus> for String {
    fn from(status: PortStatus) -> Self {
        status.as_str().to_owned()
    }
}
