//! `kubectl zenlayerport plan`: what a deletion would do, by the operator's own tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::ExitCode;

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::cli::{Connection, PlanOptions, Selection};
use super::cluster::{Cluster, Known, Reach};
use super::neighbours::Neighbours;
use super::operator::Operator;
use super::output;
use super::report::PortReport;
use super::screen::{BOLD, Page, count, first_of};
use super::trouble::Trouble;
use crate::api::{
    APPROVE_ANNOTATION, Advice, CallAction, DeletionPolicy, FINALIZER, Reason, Remedy, ZenlayerPort,
};
use crate::clock::Clock;
use crate::decision::{self, Ending, Forecast, Judgement, Surroundings};

/// What comes of the deletion of all ports that were asked for, if they are deleted together.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    pub api_version: &'static str,
    pub kind: &'static str,
    /// What could not be taken into account.
    pub gaps: Vec<String>,
    pub ports: Vec<PortPlan>,
}

/// What comes of the deletion of one port.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PortPlan {
    pub namespace: String,
    pub name: String,
    pub port_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_status: Option<String>,
    pub deletion_policy: DeletionPolicy,
    /// The calls to Zenlayer, in their order.
    pub calls: Vec<CallAction>,
    pub end: End,
    /// The reason that the object shows then; empty if the operator has not checked the port yet.
    pub reason: String,
    /// The row of the decision that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<u8>,
    /// The same in words.
    pub says: String,
    /// Why the deletion is paused; empty if it is not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The commands to choose from, where the deletion is paused.
    pub remedies: Vec<Remedy>,
}

/// How far the deletion goes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum End {
    /// The port is destroyed.
    Destroyed,
    /// The port is in the recycle bin, where Zenlayer destroys it later.
    LeftInRecycleBin,
    /// The port stays as it is.
    Retained,
    /// There is no port to destroy.
    NoPort,
    /// The operator waits for a person.
    Paused,
    /// The operator waits, and goes on by itself.
    GoesOnLater,
    Unknown,
}

pub async fn run(connection: &Connection, options: &PlanOptions) -> Result<ExitCode> {
    let cluster = Cluster::connect(connection).await?;
    let now = Clock::System.wall();
    let planned = chosen(&cluster, &options.names, &options.selection).await?;
    let report = PlanReport::of(&cluster, &planned, &options.selection, now).await?;
    let intro = format!("If you delete {}", count(planned.len(), "object"));
    output::show(options.output, &report, |width| report.render(&intro, options.all, width))?;
    Ok(ExitCode::SUCCESS)
}

/// The objects with these names; without names all of the selection.
pub async fn chosen(
    cluster: &Cluster,
    names: &[String],
    selection: &Selection,
) -> Result<Vec<ZenlayerPort>, Trouble> {
    if names.is_empty() {
        return cluster.ports(selection).await;
    }
    let mut ports = Vec::new();
    for name in names.iter().collect::<BTreeSet<_>>() {
        ports.push(cluster.port(name).await?);
    }
    Ok(ports)
}

impl PlanReport {
    pub async fn of(
        cluster: &Cluster,
        planned: &[ZenlayerPort],
        selection: &Selection,
        now: Timestamp,
    ) -> Result<Self> {
        let (known, operator) = tokio::join!(cluster.known_ports(), cluster.operator(selection, now));
        Ok(Self::new(planned, &known?, &operator, now))
    }

    pub fn new(planned: &[ZenlayerPort], known: &Known, operator: &Operator, now: Timestamp) -> Self {
        let runs = matches!(operator, Operator::Running { .. } | Operator::Unknown { .. });
        let mut gaps = Vec::new();
        let unlisted = match known.reach {
            Reach::Cluster => None,
            Reach::Namespace => {
                Some("in all namespaces, so deletions and owners of the same port in other namespaces do")
            }
            Reach::Nothing => Some(", so other deletions and other owners of the same port do"),
        };
        if let Some(unlisted) = unlisted {
            gaps.push(format!("You may not list ZenlayerPorts {unlisted} not count here."));
        }
        if planned.len() > 1 {
            gaps.push(
                "Deletions of the last ten minutes whose objects are gone count too, and are not known here."
                    .to_owned(),
            );
        }
        if operator.has_others() {
            gaps.push(
                "Several operators run, perhaps with other settings: ask for each namespace with -n."
                    .to_owned(),
            );
        }
        if operator.gates().is_none() {
            gaps.push(
                "The operator's settings are unknown. This assumes the defaults: a limit of 20 deletions, and no approval for every deletion."
                    .to_owned(),
            );
        }
        if !runs {
            gaps.push("The operator does not run: nothing happens before it does.".to_owned());
        }
        let neighbours = Neighbours::new(&known.ports, planned, operator);
        let plan = |object| PortPlan::of(object, &neighbours.of(object), runs, now);
        let ports = planned.iter().map(plan).collect();
        Self { api_version: super::SCHEMA, kind: "PlanReport", gaps, ports }
    }

    /// `intro` says what is planned.
    pub fn render(&self, intro: &str, all: bool, width: Option<usize>) -> String {
        let mut page = Page::new(width);
        if self.ports.is_empty() {
            page.line(super::NO_PORTS);
            return page.into_text();
        }
        page.paragraph(0, &format!("{intro}: {}.", self.ends()));
        for gap in &self.gaps {
            page.paragraph(0, &format!("Note: {gap}"));
        }
        page.line("");
        let header = ["NAME", "PORT STATUS", "POLICY", "WHAT A DELETION DOES"].map(str::to_owned).to_vec();
        let groups = self.groups(all);
        let rows = [header].into_iter().chain(groups.iter().map(|group| row(group)));
        page.table(0, &rows.collect::<Vec<_>>());
        for group in &groups {
            let [first, ..] = group.as_slice() else { continue };
            if first.message.is_empty() {
                continue;
            }
            page.line("");
            page.marked(BOLD, &names(group), "");
            page.paragraph(2, &first.message);
            for remedy in first.remedies.iter().filter(|_| group.len() == 1) {
                page.command(2, &remedy.purpose, &remedy.command);
            }
        }
        page.into_text()
    }

    /// Those of one namespace of which the same is said, together.
    fn groups(&self, all: bool) -> Vec<Vec<&PortPlan>> {
        let mut groups: Vec<Vec<&PortPlan>> = Vec::new();
        let key = |port: &PortPlan| {
            (port.namespace.clone(), port.port_status.clone(), port.deletion_policy, port.says.clone())
        };
        let mut places = HashMap::new();
        for port in &self.ports {
            let place = *places.entry(key(port)).or_insert(groups.len());
            match groups.get_mut(place).filter(|_| !all) {
                Some(group) => group.push(port),
                None => groups.push(vec![port]),
            }
        }
        groups
    }

    fn ends(&self) -> String {
        let mut ends: BTreeMap<End, usize> = BTreeMap::new();
        for port in &self.ports {
            *ends.entry(port.end).or_default() += 1;
        }
        let told = ends.into_iter().map(|(end, number)| {
            let what = match end {
                End::Destroyed => "destroyed",
                End::LeftInRecycleBin => "left in the recycle bin",
                End::Retained => "kept as they are",
                End::NoPort => "without a port",
                End::Paused => "paused until you act",
                End::GoesOnLater => "waiting, then going on by themselves",
                End::Unknown => "not known",
            };
            format!("{number} {what}")
        });
        told.collect::<Vec<_>>().join(", ")
    }
}

fn row(group: &[&PortPlan]) -> Vec<String> {
    let [first, ..] = group else { return Vec::new() };
    let status = first.port_status.clone().unwrap_or_else(|| "unknown".to_owned());
    vec![names(group), status, format!("{:?}", first.deletion_policy), first.says.clone()]
}

fn names(group: &[&PortPlan]) -> String {
    let [first, ..] = group else { return String::new() };
    let names: Vec<&str> = group.iter().map(|port| port.name.as_str()).collect();
    format!("{}/{}", first.namespace, first_of(&names))
}

impl PortPlan {
    fn of(object: &ZenlayerPort, surroundings: &Surroundings, runs: bool, now: Timestamp) -> Self {
        let forecast_of = |object: &ZenlayerPort| decision::forecast(object, surroundings, now);
        if !runs && !object.is_terminating() && !object.has_finalizer() {
            let says =
                "removes the object at once, and the port stays: the object has no finalizer yet".to_owned();
            let nothing = Forecast { calls: Vec::new(), ending: Ending::NotOurs };
            return Self { says, ..Self::new(object, nothing) };
        }
        let forecast = forecast_of(object);
        match &forecast.ending {
            Ending::Held(Judgement { reason: Reason::WaitingForFinalizers, .. }) => {
                // The operator goes on once they are gone.
                let mut alone = object.clone();
                alone.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
                let after = Self::new(&alone, forecast_of(&alone));
                Self {
                    says: format!("waits for the object's other finalizers, then {}", after.says),
                    ..after
                }
            }
            Ending::Held(Judgement { reason: Reason::PortClaimed, row, .. })
                if surroundings.claims.iter().all(|claim| claim.terminating) =>
            {
                let row = *row;
                let says = "waits for the older object of the same port, which is deleted too".to_owned();
                Self {
                    end: End::GoesOnLater,
                    says,
                    row,
                    message: String::new(),
                    remedies: Vec::new(),
                    ..Self::new(object, forecast)
                }
            }
            _ => Self::new(object, forecast),
        }
    }

    fn new(object: &ZenlayerPort, forecast: Forecast) -> Self {
        let PortReport { namespace, name, port_id, port_status, deletion_policy, .. } =
            PortReport::of(object);
        let Forecast { calls, ending } = forecast;
        let first = if calls.contains(&CallAction::TerminatePort) { "stops the traffic, then " } else { "" };
        let plan = |end, reason: Option<Reason>, says: String| Self {
            reason: reason.map(Reason::as_str).unwrap_or_default().to_owned(),
            end,
            row: None,
            says,
            message: String::new(),
            remedies: Vec::new(),
            namespace,
            name,
            port_id,
            port_status,
            deletion_policy,
            calls,
        };
        match ending {
            Ending::Released(reason) => {
                let (end, says) = released(reason, first);
                plan(end, Some(reason), says)
            }
            Ending::Held(Judgement { row, reason: Reason::InUse, .. }) => {
                let says =
                    "is refused while something uses the port; the operator tries again by itself".to_owned();
                Self { row, ..plan(End::GoesOnLater, Some(Reason::InUse), says) }
            }
            Ending::Held(Judgement { row, reason, message }) => {
                let advice =
                    reason.advice_for(&as_deleted(object), &object.status.clone().unwrap_or_default());
                let message = message.strip_suffix(advice.as_str()).unwrap_or(&message).trim_end().to_owned();
                let says = format!("{first}pauses with {}", reason.as_str());
                // An approval is for a deletion that has begun.
                let is_approval = |remedy: &Remedy| remedy.command.contains(APPROVE_ANNOTATION);
                let mut remedies = Advice::parse(&advice).remedies;
                remedies.retain(|remedy| object.is_terminating() || !is_approval(remedy));
                Self { row, message, remedies, ..plan(End::Paused, Some(reason), says) }
            }
            Ending::NotChecked => {
                plan(End::Unknown, None, "unknown: the operator has not checked the port yet".to_owned())
            }
            Ending::NotOurs => {
                let says = "the operator is done with it; others' finalizers keep the object".to_owned();
                plan(End::Retained, None, says)
            }
        }
    }
}

fn released(reason: Reason, first: &str) -> (End, String) {
    match reason {
        Reason::PortRetained => {
            (End::Retained, "removes only the object; the port stays as it is".to_owned())
        }
        Reason::PortRecycled => (
            End::LeftInRecycleBin,
            format!(
                "{first}leaves the port in the recycle bin; Zenlayer destroys it 24 hours to 2 days later"
            ),
        ),
        Reason::PortNeverFound => {
            (
                End::NoPort,
                "removes only the object: Zenlayer never returned this port. If it exists in another account, it stays, and you \
                 keep paying"
                    .to_owned(),
            )
        }
        Reason::PortGone => (
            End::Unknown,
            "removes the object if it is proven that the port is gone, else pauses with AbsenceUnproven: \
             Zenlayer returns no such port now"
                .to_owned(),
        ),
        _ => (End::Destroyed, format!("{first}destroys the port")),
    }
}

/// The advice during a deletion differs from that before.
fn as_deleted(object: &ZenlayerPort) -> ZenlayerPort {
    let mut object = object.clone();
    let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH);
    object.metadata.deletion_timestamp.get_or_insert(now);
    object
}
