//! `kubectl zenlayerport status`: who must act for which port, and what to type.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::cli::{Connection, StatusOptions, quoted};
use super::cluster::Cluster;
use super::definition::Definition;
use super::operator::Operator;
use super::output;
use super::report::{Actor, PortReport, with_flags};
use super::screen::{GREEN, Page, RED, YELLOW, age, count, first_of};
use crate::api::Reason;
use crate::clock::Clock;

/// All ports that were asked for, those that need a person first.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    pub api_version: &'static str,
    pub kind: &'static str,
    /// Where the ports are; none: in all namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub summary: Summary,
    pub operator: Operator,
    pub definition: Definition,
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
    /// Those that were not asked for, by `--actor` or `--reason`.
    pub hidden: usize,
    /// Those of them that need a person.
    pub hidden_need_you: usize,
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
    let now = Clock::System.wall();
    let (objects, operator, definition) = tokio::join!(
        cluster.ports(&options.selection),
        cluster.operator(&options.selection, now),
        cluster.definition()
    );
    let objects = objects?;
    let is_asked_for = |port: &PortReport| {
        options.actor.is_none_or(|actor| port.actor == actor)
            && options.reason.is_none_or(|reason| port.reason == reason.as_str())
    };
    let flags = connection.flags();
    let ports = objects.iter().map(|port| PortReport::among(port, &objects).for_cluster(&flags));
    let (ports, hidden): (Vec<_>, Vec<_>) = ports.partition(is_asked_for);
    let mut report = StatusReport::new(operator, ports);
    report.namespace = (!options.selection.all_namespaces).then(|| cluster.namespace.clone());
    report.definition = definition.or_as_told_by(&objects);
    report.summary.hide(&hidden);
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
            need_you: needing_you(&ports),
            hidden: 0,
            hidden_need_you: 0,
        };
        Self {
            api_version: super::SCHEMA,
            kind: "StatusReport",
            namespace: None,
            summary,
            operator,
            definition: Definition::default(),
            ports,
        }
    }

    pub fn render(&self, view: View<'_>) -> String {
        let mut page = Page::new(view.width);
        self.definition.render(&mut page, view.now, view.flags);
        page.paragraph(0, &self.first_line(view.now));
        page.paragraph(0, &self.operator.describe(view.now));
        if let Some(command) = self.operator.look_at() {
            page.command(0, "To see its Pods", &with_flags(&command, view.flags));
        }
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
        let Summary { ports, deletions, need_you, hidden, hidden_need_you } = self.summary;
        let hidden = match (hidden, hidden_need_you) {
            (0, _) => String::new(),
            (_, 1) => format!(" Not shown: {}, 1 needs you.", count(hidden, "port")),
            (_, need) => format!(" Not shown: {}, {need} need you.", count(hidden, "port")),
        };
        if ports == 0 {
            let place =
                self.namespace.as_ref().map_or("any namespace".to_owned(), |it| format!("namespace {it}"));
            let elsewhere = if self.namespace.is_some() { " -A looks in all namespaces." } else { "" };
            return format!("No ZenlayerPort in {place} matches.{hidden}{elsewhere}");
        }
        let total = format!("{}, {} being deleted.{hidden}", count(ports, "port"), deletions);
        if need_you == 0 {
            let these = if hidden.is_empty() { "" } else { " of these" };
            return format!("No port{these} needs you: {total}");
        }
        let oldest =
            self.ports.iter().filter(|port| port.actor == Actor::You).filter_map(|port| port.since).min();
        let waited =
            oldest.map(|since| format!("; the oldest has waited {}", age(now.duration_since(since))));
        let need = if need_you == 1 { "needs" } else { "need" };
        format!("{need_you} of {ports} ports {need} you{}. {total}", waited.unwrap_or_default())
    }
}

impl Summary {
    fn hide(&mut self, ports: &[PortReport]) {
        (self.hidden, self.hidden_need_you) = (ports.len(), needing_you(ports));
    }
}

fn needing_you(ports: &[PortReport]) -> usize {
    ports.iter().filter(|port| port.actor == Actor::You).count()
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
        let approve =
            format!("kubectl zenlayerport approve --all --reason {} -n {}", first.reason, first.namespace);
        let purpose = format!("To let the deletion of all {} go on", group.len());
        page.command(6, &purpose, &with_flags(&approve, view.flags));
    }
    for remedy in &first.remedies {
        page.command(6, &format!("{of_first}{}", remedy.purpose), &remedy.command);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::ZenlayerPort;

    fn object(name: &str, created: &str, reason: &str) -> ZenlayerPort {
        let value = json!({
            "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
            "metadata": {
                "name": name, "namespace": "team-a", "uid": name, "generation": 2, "creationTimestamp": created,
                "deletionTimestamp": "2026-01-02T00:00:00Z", "finalizers": ["sdn.zenlayer.com/destroy-port"],
            },
            "spec": { "portId": "port-1" },
            "status": { "observedGeneration": 2, "conditions": [{
                "type": "Ready", "status": "False", "reason": reason, "message": "It waits.",
                "lastTransitionTime": "2026-01-02T00:00:00Z",
            }] },
        });
        serde_json::from_value(value).expect("a ZenlayerPort")
    }

    fn screen(report: &StatusReport, flags: &str) -> String {
        let now = "2026-01-02T00:05:00Z".parse().expect("a time");
        let rendered = report.render(View { all: false, now, width: Some(100), flags });
        anstream::adapter::strip_str(&rendered).to_string()
    }

    fn report(objects: &[ZenlayerPort]) -> StatusReport {
        let ports = objects.iter().map(|it| PortReport::among(it, objects).for_cluster("--context prod"));
        StatusReport::new(Operator::Missing, ports.collect())
    }

    const FIRST: &str = "2026-01-01T00:00:00Z";
    const SECOND: &str = "2026-01-01T00:00:01Z";

    #[test]
    fn of_two_deleted_objects_of_one_port_the_younger_points_at_the_older() {
        let objects = [object("new", SECOND, "PortClaimed"), object("old", FIRST, "NotInRecycleBin")];
        let shown = screen(&report(&objects), "");
        let pointer = "Both objects are being deleted. To see what the older one waits for:\n        \
                       kubectl zenlayerport explain old -n team-a --context prod\n";
        assert!(shown.contains(pointer), "{shown}");
        assert_eq!(shown.matches("kubectl zenlayerport explain").count(), 1, "{shown}");
        let mut living = objects;
        living[1].metadata.deletion_timestamp = None;
        assert!(
            !screen(&report(&living), "").contains("kubectl zenlayerport explain"),
            "the other one stays"
        );
    }

    #[test]
    fn what_a_filter_hides_is_counted_so_that_nothing_looks_calm_that_is_not() {
        let hidden = [PortReport::of(&object("held", FIRST, "NotInRecycleBin"))];
        let mut filtered = report(&[object("going", FIRST, "Destroying")]);
        filtered.summary.hide(&hidden);
        let shown = screen(&filtered, "");
        assert!(
            shown.starts_with(
                "No port of these needs you: 1 port, 1 being deleted. Not shown: 1 port, 1 needs you."
            ),
            "{shown}"
        );
        let mut none = report(&[]);
        none.namespace = Some("team-a".to_owned());
        none.summary.hide(&hidden);
        let shown = screen(&none, "");
        assert!(
            shown.starts_with("No ZenlayerPort in namespace team-a matches. Not shown: 1 port, 1 needs you."),
            "{shown}"
        );
    }

    #[test]
    fn a_deleted_definition_stands_at_the_top_and_an_operator_that_does_not_run_has_a_command() {
        let mut report = report(&[object("held", FIRST, "CRDDeleted")]);
        assert!(screen(&report, "").starts_with("1 of 1 ports needs you"), "{}", screen(&report, ""));
        report.definition =
            Definition::BeingDeleted { since: "2026-01-02T00:00:00Z".parse().expect("a time") };
        let shown = screen(&report, "--context prod");
        assert!(shown.starts_with("THE CUSTOMRESOURCEDEFINITION IS BEING DELETED  5m\n"), "{shown}");
        let pods =
            "\n  kubectl get pods -A -l app.kubernetes.io/name=zenlayer-port-operator --context prod\n";
        assert!(shown.contains(pods), "{shown}");
        let json = serde_json::to_value(&report).expect("JSON");
        assert_eq!(json["definition"], json!({ "seen": "beingDeleted", "since": "2026-01-02T00:00:00Z" }));
    }
}
