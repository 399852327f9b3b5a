//! `check`: whether the operator can do its work in this cluster. `helm test` runs it after an install.
//!
//! It changes nothing. [`judge`] decides about what [`run`] has asked, without a network.

mod definition;
mod permissions;
#[cfg(test)]
mod tests;

use std::fmt;

use anyhow::bail;
use futures::{StreamExt as _, stream};
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use kube::core::CustomResourceExt as _;
use kube::{Api, Client};

pub use self::permissions::{Needs, Permission};
use crate::answer::{RefusalKind, Unreadable};
use crate::api::ZenlayerPort;
use crate::credentials::OwnCredentials;
use crate::kubernetes::says_not_found;
use crate::port::PortId;
use crate::text::sanitized;
use crate::zenlayer::{self, Batch, Credential, Priority, Transport};

/// Questions to the API server at a time.
const QUESTIONS: usize = 8;

/// What a check asks about.
pub struct Subject {
    pub needs: Needs,
    pub own_credentials: Option<OwnCredentials>,
    pub transport: Transport,
}

/// What was answered.
pub struct Facts {
    definition: Definition,
    permissions: Vec<(Permission, Answer)>,
    /// Whether the operator has a key of its own that can be used, or why not; none: it is to have none.
    own_key: Option<Result<(), String>>,
    /// Zenlayer's answer, to the operator's own key if there is one.
    zenlayer: Result<(), Unreadable>,
}

enum Definition {
    Found(Box<CustomResourceDefinition>),
    Missing,
    Unread(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    Unknown(String),
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    /// What scripts can look for.
    pub name: &'static str,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Good,
    /// The operator works, but a person should look at this.
    Warning,
    /// The operator cannot do its work.
    Error,
}

impl Finding {
    fn good(name: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Good, name, text: text.into() }
    }

    fn warning(name: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Warning, name, text: text.into() }
    }

    fn error(name: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Error, name, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Good => "ok",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        write!(f, "{level:<8} {:<20} {}", self.name, self.text)
    }
}

/// Prints what is good and what is not; fails if the operator cannot do its work.
pub async fn run(client: &Client, subject: &Subject) -> anyhow::Result<()> {
    let findings = judge(&gather(client, subject).await);
    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings.iter().filter(|finding| finding.level == Level::Error).count();
    if errors > 0 {
        bail!("the operator cannot do its work here; errors: {errors}");
    }
    println!("The operator can do its work here.");
    Ok(())
}

/// What the facts mean, and what a person can do.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let definition = match &facts.definition {
        Definition::Found(served) => definition::judge(served),
        Definition::Missing => Finding::error(
            "CRDMissing",
            "The API server does not know ZenlayerPorts. Run `helm upgrade` with crds.enabled=true, or apply the output of \
             `zenlayer-port-operator crd`.",
        ),
        Definition::Unread(why) => Finding::warning(
            "CRDUnreadable",
            format!("The CustomResourceDefinition could not be read: {why}."),
        ),
    };
    let mut findings = vec![definition];
    findings.extend(permissions::judge(&facts.permissions));
    if let Some(Err(why)) = &facts.own_key {
        findings.push(Finding::warning(
            "OwnKeyMissing",
            format!(
                "{why} ZenlayerPorts without spec.credentialsRef wait until you create or correct the Secret in \
                 credentials.existingSecret. The operator finds it without a restart."
            ),
        ));
    }
    findings.push(zenlayer_finding(matches!(facts.own_key, Some(Ok(()))), &facts.zenlayer));
    findings
}

fn zenlayer_finding(asked_with_key: bool, answer: &Result<(), Unreadable>) -> Finding {
    let refused = match answer {
        Err(Unreadable::Refused(refusal)) if asked_with_key => refusal,
        // Without a key, Zenlayer refuses every request: it is there.
        Ok(()) | Err(Unreadable::Refused(_)) => return Finding::good("Zenlayer", "Zenlayer answers."),
        Err(Unreadable::Unavailable(why) | Unreadable::NotAsked(why)) => {
            return Finding::warning(
                "ZenlayerUnreachable",
                format!(
                    "There is no answer from Zenlayer: {why}. The operator changes no port until there is one. Check \
                     zenlayer.endpoint, zenlayer.proxy, the NetworkPolicies, the firewall and DNS."
                ),
            );
        }
    };
    match refused.kind {
        RefusalKind::Unauthorized | RefusalKind::PermissionDenied => Finding::warning(
            "OwnKeyRefused",
            format!(
                "Zenlayer does not accept the operator's own key for DescribePorts: {refused}. Check the key and its \
                 permissions in the Zenlayer console, and the Secret in credentials.existingSecret."
            ),
        ),
        RefusalKind::ClockSkew => Finding::warning(
            "ClockSkew",
            format!(
                "The clock of this node differs too much from Zenlayer's clock: {refused}. Correct the clock of the \
                 node, for example with NTP."
            ),
        ),
        // The port of the question does not exist.
        RefusalKind::Throttled | RefusalKind::NotFound | RefusalKind::Other => {
            Finding::good("Zenlayer", "Zenlayer answers, and accepts the operator's own key.")
        }
    }
}

async fn gather(client: &Client, subject: &Subject) -> Facts {
    let own_key = match &subject.own_credentials {
        None => None,
        Some(own) => Some(own.read().await),
    };
    let credential = own_key.as_ref().and_then(|read| read.as_ref().ok());
    let (definition, permissions, zenlayer) = futures::join!(
        read_definition(client),
        ask_permissions(client, &subject.needs),
        ask_zenlayer(&subject.transport, credential)
    );
    Facts { definition, permissions, own_key: own_key.map(|read| read.map(drop)), zenlayer }
}

async fn read_definition(client: &Client) -> Definition {
    match Api::<CustomResourceDefinition>::all(client.clone()).get(ZenlayerPort::crd_name()).await {
        Ok(definition) => Definition::Found(Box::new(definition)),
        Err(error) if says_not_found(&error) => Definition::Missing,
        Err(error) => Definition::Unread(sanitized(&error.to_string())),
    }
}

async fn ask_permissions(client: &Client, needs: &Needs) -> Vec<(Permission, Answer)> {
    let reviews = Api::<SelfSubjectAccessReview>::all(client.clone());
    let ask = async |permission: Permission| {
        let review = reviews.create(&PostParams::default(), &permission.review()).await;
        let answer = match review.map(|review| review.status) {
            Ok(Some(status)) if status.allowed => Answer::Yes,
            Ok(_) => Answer::No,
            Err(error) => Answer::Unknown(sanitized(&error.to_string())),
        };
        (permission, answer)
    };
    stream::iter(needs.permissions()).map(ask).buffered(QUESTIONS).collect().await
}

/// Reads a port that does not exist, which changes nothing.
async fn ask_zenlayer(transport: &Transport, own: Option<&Credential>) -> Result<(), Unreadable> {
    let stand_in = || Credential::token("no-key").map_err(|error| Unreadable::NotAsked(error.to_string()));
    let credential = own.cloned().map_or_else(stand_in, Ok)?;
    let client = zenlayer::Client::new(transport, credential);
    let permit = client.read_permit(Priority::Upkeep).await?;
    let ids = [PortId::new("check")];
    match Batch::new(&ids) {
        Some(batch) => client.describe_ports(permit, batch, Priority::Upkeep).await.map(drop),
        None => Ok(()),
    }
}
