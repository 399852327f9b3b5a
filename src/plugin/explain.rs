//! `kubectl zenlayerport explain`: one port on one page.

use std::process::ExitCode;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use serde::Serialize;

use super::approve::Pending;
use super::cli::{Connection, ExplainOptions, Selection};
use super::cluster::{Cluster, Known};
use super::neighbours::Neighbours;
use super::operator::Operator;
use super::output;
use super::plan::{End, PlanReport, PortPlan};
use super::report::{Actor, PortReport, with_flags};
use super::screen::{BOLD, Page, age};
use super::trouble::Trouble;
use crate::api::{Call, CallOutcome, Reason, ZenlayerPort};
use crate::clock::Clock;
use crate::decision::{self, DELETION, Row, UPKEEP};
use crate::text::sanitized;

/// All that can be said of one port.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    pub api_version: &'static str,
    pub kind: &'static str,
    pub port: PortReport,
    pub deletion_protection: bool,
    /// The Secret with the key; none: the operator's own key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The port in words: name, type, data centre, creation.
    pub port_description: String,
    pub operator: Operator,
    /// What happens next, and who does it.
    pub next: String,
    /// What the deletion does if all goes well; for an object that is not deleted, what a deletion would do; for one that
    /// waits for approval, what happens after that. Empty where a pause ends it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub forecast: String,
    pub decision: Decision,
    /// The last call that changes the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
    pub events: Vec<EventLine>,
    /// What could not be read.
    pub gaps: Vec<String>,
    /// The flags that choose the cluster.
    #[serde(skip)]
    flags: String,
}

/// Where the object stands in the table of the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The row that decides; none if what the status tells does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<u8>,
    pub rows: Vec<RowLine>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowLine {
    pub number: u8,
    pub when: String,
    pub then: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    #[serde(rename = "type")]
    pub event_type: String,
    pub reason: String,
    pub message: String,
}

pub async fn run(connection: &Connection, options: &ExplainOptions) -> Result<ExitCode> {
    let mut cluster = Cluster::connect(connection).await?;
    let now = Clock::System.wall();
    let object = cluster.port(&options.name).await?;
    // What else there is, is asked about the object's namespace.
    cluster.namespace = object.namespace().unwrap_or_default();
    let here = Selection::default();
    let (known, operator, events) =
        tokio::join!(cluster.known_ports(), cluster.operator(&here, now), cluster.events(&object));
    let mut explanation = Explanation::new(&object, &known?, operator, events, now);
    explanation.flags = connection.flags();
    explanation.port = explanation.port.for_cluster(&explanation.flags);
    output::show(options.output, &explanation, |width| explanation.render(now, width, options.all))?;
    Ok(ExitCode::SUCCESS)
}

impl Explanation {
    pub fn new(
        object: &ZenlayerPort,
        known: &Known,
        operator: Operator,
        events: Result<Vec<Event>, Trouble>,
        now: Timestamp,
    ) -> Self {
        let approved = Pending::of(object, None).map(|pending| pending.approved());
        let alone = [approved.unwrap_or_else(|_| object.clone())];
        let PlanReport { mut gaps, ports, .. } = PlanReport::new(&alone, known, &operator, now);
        let events = events.unwrap_or_else(|trouble| {
            gaps.push(format!("The Events could not be read: {}", trouble.what));
            Vec::new()
        });
        let port = PortReport::among(object, &known.ports);
        let surroundings = Neighbours::new(&known.ports, &[], &operator).of(object);
        let table = if object.is_terminating() { DELETION } else { UPKEEP };
        Self {
            api_version: super::SCHEMA,
            kind: "Explanation",
            deletion_protection: object.spec.deletion_protection,
            secret: object.spec.credentials_ref.as_ref().map(|secret| secret.name.clone()),
            port_description: description(object),
            next: if operator.is_down() { DOWN.to_owned() } else { next(&port, now) },
            forecast: forecast(&port, &ports),
            decision: Decision {
                row: row(object, &surroundings, &port.reason, table, now),
                rows: table.iter().map(RowLine::of).collect(),
            },
            call: object.release().and_then(|release| release.call.clone()),
            events: newest(&events),
            port,
            operator,
            gaps,
            flags: String::new(),
        }
    }

    pub fn render(&self, now: Timestamp, width: Option<usize>, all_rows: bool) -> String {
        let mut page = Page::new(width);
        let port = &self.port;
        let shown_for = port.shown_for(now).map(|lasted| format!(" for {}", age(lasted))).unwrap_or_default();
        let reason = if port.reason.is_empty() { "not seen by the operator" } else { &port.reason };
        page.marked(BOLD, &format!("{}: {reason}", port.reference()), &shown_for);
        page.paragraph(2, &port.message);
        page.line("");
        page.field("who acts", &who(port));
        page.field("next", &self.next);
        if !self.forecast.is_empty() {
            page.field(self.after(), &self.forecast);
        }
        if !port.hint.is_empty() {
            page.field("advice", &port.hint);
        }
        for remedy in &port.remedies {
            page.command(2, &remedy.purpose, &remedy.command);
        }
        page.line("");
        page.field("port", &self.port_description);
        page.field("policy", &self.policy());
        if let Some(deleted) = port.deletion_timestamp {
            page.field("deleted", &moment(deleted, now));
        }
        if let Some(call) = &self.call {
            page.field("last call", &told(call, now));
        }
        page.field("uid", &format!("{} (in the log; without dashes, the trace id)", port.uid));
        page.field("operator", &self.operator.describe(now));
        if let Some(command) = self.operator.look_at() {
            page.command(2, "To see its Pods", &with_flags(&command, &self.flags));
        }
        page.line("");
        self.decision.render(&mut page, all_rows);
        if !self.events.is_empty() {
            page.line("");
            page.line("  Events, the newest first:");
            for event in &self.events {
                let when = event.time.map(|time| format!("{} ago", age(now.duration_since(time))));
                let when = when.unwrap_or_default();
                page.line(&format!("    {when:>9}  {}  {}", event.event_type, event.reason));
            }
        }
        for gap in &self.gaps {
            page.paragraph(2, &format!("Note: {gap}"));
        }
        page.into_text()
    }

    /// What the forecast follows from.
    fn after(&self) -> &'static str {
        let is_approvable = Reason::parse(&self.port.reason).is_some_and(Reason::is_approvable);
        match (self.port.is_terminating(), is_approvable) {
            (true, true) => "if approved",
            (true, false) => "then",
            (false, _) => "if deleted",
        }
    }

    fn policy(&self) -> String {
        let protected = if self.deletion_protection { "deletion protection is on" } else { "not protected" };
        let key = match &self.secret {
            Some(secret) => format!("key: Secret {secret}"),
            None => "key: the operator's own".to_owned(),
        };
        format!("{:?}; {protected}; {key}", self.port.deletion_policy)
    }
}

impl Decision {
    fn render(&self, page: &mut Page, all_rows: bool) {
        let Some(row) = self.row else {
            page.line("  The operator has not decided about the object as it is now.");
            return;
        };
        page.line(&format!("  The decision is at row {row} of {}:", self.rows.len()));
        let passed = self.rows.iter().take_while(|line| line.number < row);
        let rows: Vec<Vec<String>> = if all_rows {
            self.rows.iter().map(|line| line.cells(row)).collect()
        } else {
            let before = passed.count();
            let skipped = match before {
                0 => None,
                1 => Some("row 1 does not apply".to_owned()),
                _ => Some(format!("rows 1 to {before} do not apply")),
            };
            let skipped = skipped.map(|text| vec!["-".to_owned(), text]);
            let here = self.rows.iter().filter(|line| line.number == row).map(|line| line.cells(row));
            skipped
                .into_iter()
                .chain(here.map(|cells| vec![cells[0].clone(), cells[1..].join(" ")]))
                .collect()
        };
        page.table(4, &rows);
    }
}

impl RowLine {
    fn of(row: &Row) -> Self {
        Self { number: row.number, when: plain(row.when), then: plain(row.then) }
    }

    fn cells(&self, at: u8) -> Vec<String> {
        let mark = match self.number.cmp(&at) {
            std::cmp::Ordering::Less => "-",
            std::cmp::Ordering::Equal => "→",
            std::cmp::Ordering::Greater => "·",
        };
        let then = if self.number == at { format!(": {}", self.then) } else { String::new() };
        vec![mark.to_owned(), self.number.to_string(), format!("{}{then}", self.when)]
    }
}

/// Markdown without its marks.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once("](") {
        text.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    text.push_str(rest);
    text.replace(['`', '['], "")
}

/// The row that the operator's tables give for what the status tells, or else the first that can show this reason.
fn row(
    object: &ZenlayerPort,
    surroundings: &decision::Surroundings,
    shown: &str,
    table: &'static [Row],
    now: Timestamp,
) -> Option<u8> {
    let shown = Reason::parse(shown)?;
    let is_seen =
        object.status.as_ref().is_some_and(|status| status.observed_generation == object.metadata.generation);
    if !is_seen {
        return None;
    }
    let judged = decision::judge(object, surroundings, now).filter(|judged| judged.reason == shown);
    let possible = || table.iter().find(|row| row.reasons.contains(&shown)).map(|row| row.number);
    judged.and_then(|judged| judged.row).or_else(possible)
}

/// What is not said already.
fn forecast(port: &PortReport, plans: &[PortPlan]) -> String {
    let [plan] = plans else { return String::new() };
    match (plan.end, port.is_terminating()) {
        (End::Paused, true) if plan.reason == port.reason => String::new(),
        (End::Paused, _) => format!("{}: {}", plan.says, plan.message),
        _ => plan.says.clone(),
    }
}

fn who(port: &PortReport) -> String {
    let usual = Reason::parse(&port.reason).and_then(Reason::stalls_after);
    let usual = usual.map(|limit| format!("; this usually takes less than {}m", limit.as_secs() / 60));
    let usual = usual.unwrap_or_default();
    match port.actor {
        Actor::You if port.stalled && !usual.is_empty() => format!("You: look at it{usual}."),
        Actor::You => "You.".to_owned(),
        Actor::Zenlayer => format!("Zenlayer{usual}. You need not do anything."),
        Actor::Operator => format!("The operator{usual}. You need not do anything."),
        Actor::OtherFinalizers => "The owners of the object's other finalizers.".to_owned(),
        Actor::Nobody => "Nobody: everything is as it should be.".to_owned(),
    }
}

/// Whatever the object waits for.
const DOWN: &str = "Nothing, until the operator runs again.";

fn next(port: &PortReport, now: Timestamp) -> String {
    let checks = if port.is_terminating() { "10 seconds" } else { "5 minutes" };
    let reason = Reason::parse(&port.reason);
    let stalls_at = reason.and_then(Reason::stalls_after).zip(port.since).and_then(|(limit, since)| {
        since.checked_add(SignedDuration::try_from(limit).ok()?).ok().filter(|at| *at > now)
    });
    match (port.actor, stalls_at) {
        (Actor::You, _) => "Nothing, until you act.".to_owned(),
        (Actor::Nobody, _) => format!("The operator checks the port about every {checks}."),
        (Actor::OtherFinalizers, _) => {
            "Nothing by the operator, until the other finalizers are gone.".to_owned()
        }
        (Actor::Operator | Actor::Zenlayer, Some(at)) => format!(
            "The operator checks the port about every {checks}. If nothing changes by {at:.0}, it says that you should look."
        ),
        (Actor::Operator | Actor::Zenlayer, None) => {
            format!("The operator checks the port about every {checks}.")
        }
    }
}

fn description(object: &ZenlayerPort) -> String {
    let port = object.status.as_ref().and_then(|status| status.port.as_ref());
    let id = object.spec.port_id.to_string();
    let Some(port) = port else { return format!("{id}, not checked yet") };
    let created = port.created_time.as_ref().map(|time| format!("created {time}"));
    let words = [
        Some(port.status.clone()),
        port.name.clone(),
        port.port_type.clone(),
        port.data_center.clone(),
        created,
    ];
    let known: Vec<String> = words.into_iter().flatten().map(|word| sanitized(&word)).collect();
    format!("{id}: {}", known.join(", "))
}

fn told(call: &Call, now: Timestamp) -> String {
    let outcome = match &call.outcome {
        CallOutcome::Pending {} => "being sent, or the answer was lost".to_owned(),
        CallOutcome::Accepted { request_id: Some(id) } => format!("accepted, request {id}"),
        CallOutcome::Accepted { request_id: None } => "accepted".to_owned(),
        CallOutcome::Refused(refusal) => format!("refused: {refusal}"),
        CallOutcome::NotSent { why, .. } => format!("not sent: {why}"),
        CallOutcome::Unclear { why } => format!("no clear answer: {why}"),
    };
    let name = call.action.as_str();
    let when = moment(call.requested_time.0, now);
    format!("{name}, attempt {}, {when}: {}", call.attempt, sanitized(&outcome))
}

fn moment(time: Timestamp, now: Timestamp) -> String {
    format!("{time:.0} ({} ago)", age(now.duration_since(time).max(SignedDuration::ZERO)))
}

/// The newest few.
fn newest(events: &[Event]) -> Vec<EventLine> {
    const SHOWN: usize = 5;
    let time = |event: &Event| {
        let series =
            event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
        let last = event.last_timestamp.as_ref().map(|time| time.0);
        series.or(last).or_else(|| event.event_time.as_ref().map(|time| time.0))
    };
    let mut lines: Vec<EventLine> = events
        .iter()
        .map(|event| EventLine {
            time: time(event),
            event_type: sanitized(event.type_.as_deref().unwrap_or_default()),
            reason: sanitized(event.reason.as_deref().unwrap_or_default()),
            message: sanitized(event.message.as_deref().unwrap_or_default()),
        })
        .collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.time));
    lines.truncate(SHOWN);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_row_are_shown_without_markdown() {
        assert_eq!(plain("a [safety check](architecture.md#x) says `no`"), "a safety check says no");
        assert_eq!(plain("the policy is `Retain`"), "the policy is Retain");
    }
}
