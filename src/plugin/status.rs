//! `kubectl zenlayerport status`: who must act for which port, and what to type.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::cli::{Connection, StatusOptions, quoted};
use super::cluster::Cluster;
use super::operator::Operator;
use super::output;
use super::report::{Actor, PortReport, with_flags};
use super::screen::{GREEN, Page, RED, YELLOW, age, count, first_of};
use crate::api::Reason;

/// All ports that were asked for, those that need a person first.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    pub api_version: &'static str,
    pub kind: &'static str,
    pub summary: Summary,
    pub operator: Operator,
    pub ports: Vec<PortReport>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub ports: usize,
    /// Those that are being deleted.
    pub deletions: usize,
    /// Those that need a person.
    pub need_you: usize,
}

/// What is shown of them.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Each port has its own line.
    pub all: bool,
    pub now: Timestamp,
    pub width: Option<usize>,
    /// The flags that choose the cluster, and those of the ports that were asked for.
    pub flags: &'a str,
}

pub async fn run(connection: &Connection, options: &StatusOptions) -> Result<ExitCode> {
    let cluster = Cluster::connect(connection).await?;
    let now = Timestamp::now();
    let (ports, operator) =
        tokio::join!(cluster.ports(&options.selection), cluster.operator(&options.selection, now));
    let is_asked_for = |port: &PortReport| {
        options.actor.is_none_or(|actor| port.actor == actor)
            && options.reason.is_none_or(|reason| port.reason == reason.as_str())
    };
    let flags = connection.flags();
    let ports =
        ports?.iter().map(|port| PortReport::of(port).for_cluster(&flags)).filter(is_asked_for).collect();
    let report = StatusReport::new(operator, ports);
    let selector = options.selection.selector.as_ref().map(|labels| format!("-l {}", quoted(labels)));
    let flags =
        [flags].into_iter().filter(|flags| !flags.is_empty()).chain(selector).collect::<Vec<_>>().join(" ");
    output::show(options.output, &report, |width| {
        report.render(View { all: options.all, now, width, flags: &flags })
    })?;
    let somebody_must_act = report.summary.need_you > 0 || report.operator.is_down();
    Ok(if options.exit_code && somebody_must_act {
        ExitCode::from(super::NEEDS_YOU)
    } else {
        ExitCode::SUCCESS
    })
}

impl StatusReport {
    pub fn new(operator: Operator, mut ports: Vec<PortReport>) -> Self {
        let key = |port: &PortReport| (port.actor, !port.is_terminating(), port.since, port.reference());
        ports.sort_by_cached_key(key);
        let summary = Summary {
            ports: ports.len(),
            deletions: ports.iter().filter(|port| port.is_terminating()).count(),
            need_you: ports.iter().filter(|port| port.actor == Actor::You).count(),
        };
        Self { api_version: super::SCHEMA, kind: "StatusReport", summary, operator, ports }
    }

    pub fn render(&self, view: View<'_>) -> String {
        let mut page = Page::new(view.width);
        page.paragraph(0, &self.first_line(view.now));
        page.paragraph(0, &self.operator.describe(view.now));
        for (actor, style, mark, title) in [
            (Actor::You, RED, "✗ ", "YOU"),
            (Actor::Zenlayer, YELLOW, "~ ", "ZENLAYER"),
            (Actor::Operator, YELLOW, "> ", "THE OPERATOR"),
            (Actor::OtherFinalizers, YELLOW, "~ ", "OTHER FINALIZERS"),
            (Actor::Nobody, GREEN, "✓ ", "NOBODY"),
        ] {
            let ports: Vec<&PortReport> = self.ports.iter().filter(|port| port.actor == actor).collect();
            if ports.is_empty() {
                continue;
            }
            page.line("");
            page.marked(style, &format!("{mark}{title}"), &format!("  {}", count(ports.len(), "port")));
            match actor {
                Actor::You => to_act_on(&mut page, &ports, view),
                Actor::Nobody if !view.all => by_reason(&mut page, &ports),
                _ => in_lines(&mut page, &ports, view),
            }
        }
        page.into_text()
    }

    fn first_line(&self, now: Timestamp) -> String {
        let Summary { ports, deletions, need_you } = self.summary;
        let total = format!("{}, {} being deleted.", count(ports, "port"), deletions);
        if ports == 0 {
            return super::NO_PORTS.to_owned();
        }
        if need_you == 0 {
            return format!("No port needs you: {total}");
        }
        let oldest =
            self.ports.iter().filter(|port| port.actor == Actor::You).filter_map(|port| port.since).min();
        let waited =
            oldest.map(|since| format!("; the oldest has waited {}", age(now.duration_since(since))));
        let need = if need_you == 1 { "needs" } else { "need" };
        format!("{need_you} of {ports} ports {need} you{}. {total}", waited.unwrap_or_default())
    }
}

/// Each port with its commands, those that have the same reason in one namespace together.
fn to_act_on(page: &mut Page, ports: &[&PortReport], view: View<'_>) {
    let mut groups: Vec<Vec<&PortReport>> = Vec::new();
    for port in ports {
        let same = |group: &&mut Vec<&PortReport>| {
            let key =
                |port: &PortReport| (port.is_terminating(), port.namespace.clone(), port.reason.clone());
            !view.all && key(group[0]) == key(port)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(port),
            None => groups.push(vec![port]),
        }
    }
    for group in &groups {
        entry(page, group, view);
    }
}

fn entry(page: &mut Page, group: &[&PortReport], view: View<'_>) {
    let [first, ..] = group else { return };
    let names: Vec<&str> = group.iter().map(|port| port.name.as_str()).collect();
    let names = first_of(&names);
    let waited = first.shown_for(view.now).map(age).unwrap_or_default();
    let deleted = if first.is_terminating() { "" } else { ", not deleted" };
    page.line(&format!("  {}/{names}  {}  {waited}{deleted}", first.namespace, first.reason));
    let of_first = if group.len() == 1 { String::new() } else { format!("{}: ", first.name) };
    page.paragraph(6, &format!("{of_first}{}", first.message));
    if !first.hint.is_empty() {
        page.paragraph(6, &first.hint);
    }
    let is_approvable = Reason::parse(&first.reason).is_some_and(Reason::is_approvable);
    if group.len() > 1 && !is_approvable {
        page.paragraph(
            6,
            &format!("The same for each of the {}; add --all to see all commands.", group.len()),
        );
    }
    if group.len() > 1 && is_approvable && first.is_terminating() {
        page.paragraph(6, &format!("To let the deletion of all {} go on:", group.len()));
        let approve =
            format!("kubectl zenlayerport approve --all --reason {} -n {}", first.reason, first.namespace);
        page.line(&format!("        {}", with_flags(&approve, view.flags)));
    }
    for remedy in &first.remedies {
        page.paragraph(6, &format!("{of_first}{}:", remedy.purpose));
        page.line(&format!("        {}", remedy.command));
    }
}

fn in_lines(page: &mut Page, ports: &[&PortReport], view: View<'_>) {
    /// More lines say less.
    const LINES: usize = 20;
    let shown = if view.all { ports.len() } else { LINES };
    let rows: Vec<Vec<String>> = ports
        .iter()
        .take(shown)
        .map(|port| {
            let waited = port.shown_for(view.now).map(age).unwrap_or_default();
            vec![port.reference(), port.reason.clone(), waited, usual(port)]
        })
        .collect();
    page.table(2, &rows);
    if ports.len() > shown {
        page.line(&format!("  and {} more: add --all to see each", ports.len() - shown));
    }
}

/// How long it usually takes, and the request to ask about.
fn usual(port: &PortReport) -> String {
    let limit = Reason::parse(&port.reason).and_then(Reason::stalls_after);
    let usual = limit.map(|limit| format!("usually less than {}m", limit.as_secs() / 60));
    let request = port.request_id.as_ref().map(|id| format!("request {id}"));
    usual.into_iter().chain(request).collect::<Vec<_>>().join(", ")
}

fn by_reason(page: &mut Page, ports: &[&PortReport]) {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for port in ports {
        *reasons.entry(&port.reason).or_default() += 1;
    }
    let told: Vec<String> = reasons.iter().map(|(reason, number)| format!("{number} {reason}")).collect();
    page.paragraph(2, &format!("{} (add --all to see each)", told.join(", ")));
}
