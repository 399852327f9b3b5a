//! An error as a colleague tells it: what happened, with which cluster, and what you can type.

use std::error::Error as StdError;
use std::fmt;

use kube::ResourceExt;
use kube::core::Status;

use super::report::with_flags;
use super::target::Target;
use crate::api::{Remedy, custom_resource_definition};
use crate::kubernetes::says_not_found;
use crate::text::{root_cause, sanitized_up_to};

/// Longer than what the API server says of an error.
const LONGEST: usize = 1000;

/// What went wrong, in a sentence or a few, and the commands that help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub what: String,
    pub remedies: Vec<Remedy>,
    /// The person lacks a right.
    pub is_forbidden: bool,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.remedies.iter().try_for_each(|it| write!(f, "\n  {}:\n    {}", it.purpose, it.command))
    }
}

impl StdError for Trouble {}

/// What was asked of the API server, such as `list` of `ZenlayerPorts` in a namespace.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub verb: &'static str,
    /// As people write it, and as the API server calls it.
    pub kind: (&'static str, &'static str),
    /// None: in all namespaces.
    pub namespace: Option<&'a str>,
}

/// `ZenlayerPort` objects.
pub const PORTS: (&str, &str) = ("ZenlayerPorts", "zenlayerports.sdn.zenlayer.com");
pub const EVENTS: (&str, &str) = ("Events", "events");
pub const LEASES: (&str, &str) = ("Leases", "leases.coordination.k8s.io");

impl Trouble {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), remedies: Vec::new(), is_forbidden: false }
    }

    /// With a command that helps, and what it is for.
    #[must_use]
    pub fn remedy(mut self, purpose: &str, command: impl Into<String>) -> Self {
        self.remedies.push(Remedy { purpose: purpose.to_owned(), command: command.into() });
        self
    }

    /// The same with a command of kubectl for this cluster.
    #[must_use]
    pub fn kubectl(self, purpose: &str, command: &str, target: &Target) -> Self {
        self.remedy(purpose, with_flags(command, &target.flags))
    }

    /// The client could not be made.
    pub fn of_client(error: &kube::Error, target: &Target) -> Self {
        match error {
            kube::Error::Auth(_) => Self::no_login(error, target),
            error => Self::new(format!("the connection to {target} cannot be made: {}.", cause(error)))
                .kubectl("To see what the kubeconfig says", "kubectl config view --minify", target),
        }
    }

    /// A request failed.
    pub fn of(error: &kube::Error, request: Request<'_>, target: &Target) -> Self {
        match error {
            kube::Error::Api(answer) if answer.is_forbidden() => Self::forbidden(answer, request, target),
            kube::Error::Api(answer) if answer.code == 401 => Self::new(format!(
                "{target} does not accept your credentials. Perhaps they have expired: log in again."
            ))
            .kubectl("To see who the cluster takes you for", "kubectl auth whoami", target),
            // A path that no kind serves is answered with 404, and without a Status.
            kube::Error::Api(answer) if answer.code == 404 && !says_not_found(error) => {
                Self::not_served(target)
            }
            kube::Error::Api(answer) => Self::refused(answer, target),
            kube::Error::SerdeError(_) => Self::new(format!(
                "the answer of {target} cannot be read: {}. Perhaps it is no Kubernetes API server.",
                cause(error)
            ))
            .kubectl("To see what kubectl gets", "kubectl version", target),
            error if is_about_login(error) => Self::no_login(error, target),
            error => Self::unreachable(error, target),
        }
    }

    fn no_login(error: &kube::Error, target: &Target) -> Self {
        Self::new(format!(
            "your credentials for {target} could not be had: {}. Log in again, or correct the user in the kubeconfig.",
            cause(error)
        ))
        .kubectl("To see what kubectl says", "kubectl auth whoami", target)
    }

    fn unreachable(error: &kube::Error, target: &Target) -> Self {
        let cause = cause(error);
        if cause.contains("certificate") {
            return Self::new(format!(
                "the certificate of {target} is not trusted: {cause}. Check certificate-authority-data in the kubeconfig."
            ))
            .kubectl("To see what the kubeconfig says", "kubectl config view --minify", target);
        }
        Self::new(format!(
            "{target} does not answer: {cause}. Check that the cluster runs, and your network or VPN."
        ))
        .kubectl("To see whether kubectl reaches it", "kubectl get --raw /readyz", target)
        .remedy("To choose another cluster with --context", target.contexts_command())
    }

    fn forbidden(answer: &Status, request: Request<'_>, target: &Target) -> Self {
        let Request { verb, kind: (kind, resource), namespace } = request;
        let place = namespace.map_or("all namespaces".to_owned(), |it| format!("namespace {it}"));
        let scope = namespace.map_or("-A".to_owned(), |it| format!("-n {it}"));
        // Two rights are needed to approve, and the answer tells which one is missing.
        let verb = if verb == "patch" && !answer.message.contains("cannot patch") { "approve" } else { verb };
        let narrower = if namespace.is_none() { " -n NAMESPACE looks in one namespace." } else { "" };
        let trouble = Self::new(format!(
            "you may not {verb} {kind} in {place}. {target} says: {}{narrower}",
            sentence(&answer.message)
        ))
        .kubectl(
            "To see whether you may",
            &format!("kubectl auth can-i {verb} {resource} {scope}"),
            target,
        );
        Self { is_forbidden: true, ..trouble }
    }

    fn not_served(target: &Target) -> Self {
        let definition = custom_resource_definition().name_any();
        Self::new(format!(
            "{target} knows no ZenlayerPorts: the CustomResourceDefinition {definition} is not installed, or was deleted with all \
             its objects. Check that this is the right cluster. The Helm chart of the operator installs the definition."
        ))
        .kubectl("To see whether it is there", &format!("kubectl get crd {definition}"), target)
        .remedy("To see which clusters your kubeconfig has", target.contexts_command())
    }

    fn refused(answer: &Status, target: &Target) -> Self {
        let again = if answer.code == 429 || answer.code >= 500 { " Try again in a while." } else { "" };
        Self::new(format!(
            "{target} answers with an error ({}): {}{again}",
            answer.code,
            sentence(&answer.message)
        ))
    }
}

/// A program that the kubeconfig names gives no credentials.
fn is_about_login(error: &kube::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<kube::client::AuthError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The innermost error, without the full stop that the sentence around it has.
fn cause(error: &kube::Error) -> String {
    root_cause(error).trim_end_matches('.').to_owned()
}

fn sentence(text: &str) -> String {
    let text = sanitized_up_to(text.trim(), LONGEST);
    if text.ends_with('.') { text } else { format!("{text}.") }
}
