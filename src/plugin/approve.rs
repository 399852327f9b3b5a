//! `kubectl zenlayerport approve`: ends the pause of deletions, after it has shown what happens then.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::cli::{ApproveOptions, Connection};
use super::cluster::Cluster;
use super::output;
use super::plan::{self, PlanReport};
use super::report::{PortReport, with_flags};
use super::screen::count;
use crate::api::{APPROVE_ANNOTATION, Reason, ZenlayerPort};
use crate::clock::Clock;

/// One object that waits for approval, and the annotation that gives it.
pub struct Pending {
    pub object: ZenlayerPort,
    pub approval: String,
}

/// Why there is nothing to approve.
pub struct NotPending {
    why: String,
    /// What tells more; none if somebody has approved it already.
    command: Option<String>,
}

pub async fn run(connection: &Connection, options: &ApproveOptions) -> Result<ExitCode> {
    let cluster = Cluster::connect(connection).await?;
    let objects = plan::chosen(&cluster, &options.names, &options.selection).await?;
    let mut pending = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for object in &objects {
        match Pending::of(object, options.reason) {
            Ok(found) => pending.push(found),
            // Whoever names an object wants to know why there is nothing to approve.
            Err(_) if options.all => {}
            Err(NotPending { why, command: Some(command) }) => {
                anstream::eprintln!("{why} See: {}", with_flags(&command, &connection.flags()));
                code = ExitCode::FAILURE;
            }
            Err(NotPending { why, command: None }) => anstream::eprintln!("{why}"),
        }
    }
    if pending.is_empty() {
        let place = match (options.all, options.selection.all_namespaces) {
            (false, _) => String::new(),
            (true, false) => format!(" in namespace {}", cluster.namespace),
            (true, true) => " in any namespace".to_owned(),
        };
        output::print(&format!("Nothing waits for approval{place}.\n"))?;
        return Ok(code);
    }
    let approved: Vec<ZenlayerPort> = pending.iter().map(Pending::approved).collect();
    let report = PlanReport::of(&cluster, &approved, &options.selection, Clock::System.wall()).await?;
    let intro = format!("If you approve {}", count(pending.len(), "deletion"));
    let plan = report.render(&intro, true, output::width());
    if options.dry_run {
        output::print(&plan)?;
        for it in &pending {
            cluster.approve(&it.object, &it.approval, true).await?;
        }
        output::print("\nThis was a dry run: nothing is approved.\n")?;
        return Ok(code);
    }
    if options.yes {
        output::print(&plan)?;
    } else {
        ask(
            &plan,
            pending.len(),
            &mut io::stdin().lock(),
            io::stdin().is_terminal() && io::stderr().is_terminal(),
        )?;
    }
    for (done, it) in pending.iter().enumerate() {
        cluster.approve(&it.object, &it.approval, false).await.with_context(|| {
            format!("{done} of {} are approved; this one and the rest are not", pending.len())
        })?;
    }
    output::print(&format!("Approved {}.\n", count(pending.len(), "deletion")))?;
    Ok(code)
}

/// The number has to be typed, so that nobody approves more than they have seen.
fn ask(plan: &str, number: usize, answer: &mut impl BufRead, is_terminal: bool) -> Result<()> {
    if !is_terminal {
        bail!("add --yes to approve without a question: there is no terminal to ask at");
    }
    // To where the question goes: nobody approves what they did not see.
    let mut screen = anstream::stderr().lock();
    write!(screen, "{plan}\nThis cannot be undone. Type {number} to approve: ")?;
    screen.flush()?;
    let mut line = String::new();
    answer.read_line(&mut line)?;
    if line.trim() != number.to_string() {
        bail!("nothing is approved: you typed {:?}, not {number}", line.trim());
    }
    Ok(())
}

impl Pending {
    /// What has to be approved of the object; else why there is nothing.
    pub fn of(object: &ZenlayerPort, only: Option<Reason>) -> Result<Self, NotPending> {
        let port = PortReport::of(object);
        let status = object.status.clone().unwrap_or_default();
        let told = |what: &str| format!("{} {what}", port.reference());
        let explain = format!("kubectl zenlayerport explain {} -n {}", port.name, port.namespace);
        let not_pending = |what: &str| NotPending { why: told(what), command: Some(explain.clone()) };
        let reason = Reason::parse(&port.reason).filter(|reason| reason.is_approvable());
        let Some(reason) = reason.filter(|reason| only.is_none_or(|only| only == *reason)) else {
            let shown = if port.reason.is_empty() { "no reason yet" } else { port.reason.as_str() };
            return Err(not_pending(&format!("does not wait for this approval: it shows {shown}.")));
        };
        if !object.is_terminating() {
            return Err(not_pending("is not being deleted, so there is no deletion to approve."));
        }
        if object.approves_given(reason, &status) {
            return Err(NotPending { why: told("is approved already."), command: None });
        }
        let approval = object.approval_of(reason, &status);
        if approval.is_empty() {
            return Err(not_pending("waits for a status check first."));
        }
        Ok(Self { object: object.clone(), approval })
    }

    /// The object as it is once it is approved.
    pub fn approved(&self) -> ZenlayerPort {
        let mut object = self.object.clone();
        let annotations = object.metadata.annotations.get_or_insert_default();
        annotations.insert(APPROVE_ANNOTATION.to_owned(), self.approval.clone());
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_number_that_was_shown_approves() {
        let typed = |text: &str| ask("", 58, &mut text.as_bytes(), true).is_ok();
        assert!(typed("58\n") && typed(" 58 "));
        for wrong in ["", "\n", "y\n", "yes\n", "5\n", "580\n"] {
            assert!(!typed(wrong), "{wrong:?} must not approve");
        }
        let without_terminal = ask("", 1, &mut "1\n".as_bytes(), false).expect_err("no terminal");
        assert!(without_terminal.to_string().contains("--yes"), "{without_terminal}");
    }
}
