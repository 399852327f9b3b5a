//! The play that `demo` and `smoke` put on: seven objects, what is asked of each, and whether it came so.

mod cases;
mod notes;
mod verdict;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Deserialize;
use test_support::objects;
use test_support::oracle::Chronicle;
use tokio::time::{self, Instant};
use zenlayer_port_operator::api::ZenlayerPort;

use self::notes::Notes;
use crate::tool::Tool;

pub use cases::{CASES, Case, SECRET, TIMES, Wish};
pub use verdict::{Verdict, judge};

/// The access key that the simulator knows: its id and password.
pub const ACCESS_KEY: (&str, &str) = ("demo", "demo-password");

/// How long each act may take. The longest, for real times: an object that names no port must be a minute old,
/// and two readings half a minute apart, before it goes.
const PATIENCE: Duration = Duration::from_mins(3);

/// How often the objects are looked at.
const POLL: Duration = Duration::from_millis(500);

/// Where the play takes place: a namespace in which nothing is yet, of a cluster in which the operator runs.
#[derive(Clone, Debug)]
pub struct Stage {
    pub kubectl: Tool,
    pub namespace: String,
}

impl Stage {
    /// Plays it and prints each step and the verdict. An error: a step was not done in its time, or the verdict
    /// has faults.
    pub async fn play(&self, journal: impl AsyncFn() -> Result<Chronicle>) -> Result<()> {
        let mut notes = Notes::new(&self.namespace, &journal().await?);
        let played = self.acts(&mut notes, &journal).await;
        let objects = self.objects().await?;
        let journal = journal().await?;
        notes.sees(&objects, &journal);
        let mut verdict = judge(&CASES, &journal, &objects);
        verdict.faults.extend(notes.violations(journal));
        println!("\n{verdict}");
        played?;
        ensure!(
            verdict.faults.is_empty(),
            "this did not happen as expected:\n- {}",
            verdict.faults.join("\n- ")
        );
        Ok(())
    }

    async fn acts(&self, notes: &mut Notes, journal: &impl AsyncFn() -> Result<Chronicle>) -> Result<()> {
        self.create().await?;
        self.until("every object shows its port", |objects| {
            CASES.iter().all(|case| reason(objects, case) == Some(case.first_reason().as_str()))
        })
        .await?;
        notes.deletes(&journal().await?);
        self.delete().await?;
        let objects = self
            .until("what was deleted is gone or held", |objects| {
                CASES.iter().all(|case| match case.wish {
                    Wish::Release => find(objects, case).is_none(),
                    Wish::FollowAdvice(hold) => reason(objects, case) == Some(hold.as_str()),
                    Wish::LeaveAlone => true,
                })
            })
            .await?;
        let so_far = journal().await?;
        notes.sees(&objects, &so_far);
        for case in CASES.iter().filter(|case| matches!(case.wish, Wish::FollowAdvice(_))) {
            verdict::ensure_uncalled(case, &so_far)?;
            let words = Self::advice(case, &objects)?;
            notes.follows_advice(case, &words, &so_far);
            self.kubectl.typed(&words.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        }
        self.until("nothing is left but what is not to be deleted", |objects| {
            CASES.iter().all(|case| case.wish == Wish::LeaveAlone || find(objects, case).is_none())
        })
        .await?;
        Ok(())
    }

    async fn create(&self) -> Result<()> {
        let (id, password) =
            (format!("accessKeyId={}", ACCESS_KEY.0), format!("accessKeyPassword={}", ACCESS_KEY.1));
        let literals = ["--from-literal", &id, "--from-literal", &password];
        let secret = ["create", "secret", "generic", cases::SECRET, "--namespace", &self.namespace];
        self.kubectl.typed(&[&secret[..], &literals].concat()).await?;

        let objects = CASES.iter().map(|case| Ok(serde_saphyr::to_string(&case.object(&self.namespace))?));
        let objects: Vec<String> = objects.collect::<Result<_>>()?;
        println!("$ kubectl apply -f - <<EOF\n{}# … and {} more\nEOF", objects[0], objects.len() - 1);
        println!("{}", self.apply(&objects.join("---\n")).await?.trim_end());
        Ok(())
    }

    /// In the first seconds after the definition was created, a mutating policy does not know its kind yet.
    async fn apply(&self, objects: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.kubectl.run_with_input(&["apply", "-f", "-"], objects).await {
                Err(error)
                    if error.to_string().contains("ServiceUnavailable") && Instant::now() < deadline =>
                {
                    time::sleep(POLL).await;
                }
                applied => return applied,
            }
        }
    }

    async fn delete(&self) -> Result<()> {
        let doomed = CASES.iter().filter(|case| case.wish != Wish::LeaveAlone).map(|case| case.object);
        let delete = ["delete", "zenlayerport", "--namespace", &self.namespace, "--wait=false"];
        println!();
        self.kubectl.typed(&delete.into_iter().chain(doomed).collect::<Vec<_>>()).await
    }

    /// Shows the message of the held object; returns the words of the command that it ends with.
    fn advice(case: &Case, objects: &[ZenlayerPort]) -> Result<Vec<String>> {
        let message =
            find(objects, case).and_then(ready).map(|ready| ready.message.as_str()).unwrap_or_default();
        println!("\n{} is paused, and its message shows what to do:\n  {message}\n", case.object);
        advised_command(message)
    }

    /// Shows the table each time that it changes, until the objects are as they should be.
    async fn until(
        &self,
        what: &str,
        reached: impl Fn(&[ZenlayerPort]) -> bool,
    ) -> Result<Vec<ZenlayerPort>> {
        let begin = Instant::now();
        let mut shown = Vec::new();
        loop {
            let objects = self.objects().await?;
            let glimpse: Vec<_> = objects.iter().map(glimpse).collect();
            if glimpse != shown {
                println!("\n{:.1} s later:", begin.elapsed().as_secs_f32());
                self.kubectl.typed(&["get", "zenlayerports", "--namespace", &self.namespace]).await?;
                shown = glimpse;
            }
            if reached(&objects) {
                return Ok(objects);
            }
            ensure!(begin.elapsed() < PATIENCE, "waited {} s in vain until {what}", PATIENCE.as_secs());
            time::sleep(POLL).await;
        }
    }

    /// All objects of the namespace.
    pub async fn objects(&self) -> Result<Vec<ZenlayerPort>> {
        #[derive(Deserialize)]
        struct List {
            items: Vec<ZenlayerPort>,
        }
        let get = ["get", "zenlayerports", "--namespace", &self.namespace, "--output", "json"];
        let list: List =
            serde_json::from_str(&self.kubectl.run(&get).await?).context("what kubectl lists")?;
        Ok(list.items)
    }
}

/// What the table shows of an object, but its age; and whether it is deleted.
fn glimpse(object: &ZenlayerPort) -> (Option<String>, Option<String>, Option<String>, bool) {
    let port = object.status.as_ref().and_then(|status| status.port.as_ref()).map(|port| port.status.clone());
    let reason = ready(object).map(|ready| ready.reason.clone());
    (object.metadata.name.clone(), port, reason, object.is_terminating())
}

fn find<'a>(objects: &'a [ZenlayerPort], case: &Case) -> Option<&'a ZenlayerPort> {
    objects.iter().find(|object| object.metadata.name.as_deref() == Some(case.object))
}

fn ready(object: &ZenlayerPort) -> Option<&Condition> {
    object.status.as_ref()?.ready()
}

fn reason<'a>(objects: &'a [ZenlayerPort], case: &Case) -> Option<&'a str> {
    find(objects, case).and_then(ready).map(|ready| ready.reason.as_str())
}

/// The words after `kubectl` of the last command in a message, which lets the deletion go on.
pub fn advised_command(message: &str) -> Result<Vec<String>> {
    let command = objects::advised_command(message).with_context(|| format!("no command in {message:?}"))?;
    let words = shell_words::split(command).with_context(|| format!("the command in {message:?}"))?;
    Ok(words.into_iter().skip(1).collect())
}

#[cfg(test)]
mod tests {
    use zenlayer_port_operator::api::{Reason, ZenlayerPortStatus};

    use super::*;

    #[test]
    fn the_advised_command_is_split_as_a_shell_would() {
        let held = CASES[1].object("demo");
        let message = format!(
            "The port is RUNNING. {}",
            Reason::NotInRecycleBin.advice_for(&held, &ZenlayerPortStatus::default())
        );
        let words = advised_command(&message).expect("a command");
        assert_eq!(words[..3], ["patch", "zenlayerport", "running"], "of {message}");
        assert_eq!(
            words.last().map(String::as_str),
            Some(r#"{"spec":{"deletionPolicy":"TerminateAndDestroy"}}"#)
        );
    }

    #[test]
    fn a_message_without_a_command_is_an_error_that_shows_it() {
        let error = advised_command("Wait.").expect_err("no command");
        assert!(error.to_string().contains("Wait."), "{error}");
    }
}
