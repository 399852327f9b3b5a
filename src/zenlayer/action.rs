//! The actions of Zenlayer's API that the operator uses.

use std::time::Duration;

use super::settings::Timeouts;

/// What is asked for, as `X-ZC-Action` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    DescribePorts,
    DescribePrivateConnects,
    DescribeCloudRouters,
    TerminatePort,
    DestroyPort,
}

impl Action {
    pub(super) const ALL: [Self; 5] = [
        Self::DescribePorts,
        Self::DescribePrivateConnects,
        Self::DescribeCloudRouters,
        Self::TerminatePort,
        Self::DestroyPort,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DescribePorts => "DescribePorts",
            Self::DescribePrivateConnects => "DescribePrivateConnects",
            Self::DescribeCloudRouters => "DescribeCloudRouters",
            Self::TerminatePort => "TerminatePort",
            Self::DestroyPort => "DestroyPort",
        }
    }

    pub(super) fn timeout(self, timeouts: &Timeouts) -> Duration {
        match self {
            Self::DescribePorts | Self::DescribePrivateConnects | Self::DescribeCloudRouters => timeouts.read,
            Self::TerminatePort | Self::DestroyPort => timeouts.change,
        }
    }

    /// In bytes.
    pub(super) fn longest_answer(self) -> usize {
        match self {
            Self::DescribePorts | Self::DescribePrivateConnects | Self::DescribeCloudRouters => {
                8 * 1024 * 1024
            }
            Self::TerminatePort | Self::DestroyPort => 64 * 1024,
        }
    }
}
