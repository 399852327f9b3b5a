//! Reads what a source holds: the Secret, the operator's own files, or the copy that was kept.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::copies::{COMPONENT, Copy};
use super::custody::{Custody, Found, Held, Kept};
use super::parts::Parts;
use super::setbacks::{Failure, brief};
use super::{Cached, Credentials, Source};
use crate::clock::Monotonic;
use crate::decision::Lack;
use crate::kubernetes::says_not_found;
use crate::zenlayer::Client;

impl Credentials {
    /// Reads the source, unless it was read after `not_before` and less than a minute ago; after a failure, as soon as it is to
    /// be tried again. One read serves all who wait for the entry. Fails if the copy that was kept cannot be read.
    pub(super) async fn read_if_due(
        &self,
        source: &Source,
        cached: &mut Cached,
        not_before: Option<Monotonic>,
    ) -> Result<(), Lack> {
        let now = self.clock.monotonic();
        let longest = self.valid_for;
        if cached.custody.is_none() {
            if not_before.is_some() || cached.keeping.is_due(now, longest) {
                match Box::pin(self.copy_of(source)).await {
                    Ok(kept) => {
                        cached.keeping.end();
                        cached.custody = Some(Custody::new(kept));
                    }
                    Err(failure) => {
                        tracing::warn!(
                            ?source,
                            why = failure.why(),
                            "cannot read the copy of a Secret; the operator tries again"
                        );
                        cached.keeping.failed(failure, now);
                    }
                }
            }
            if let Some(lack) = cached.keeping.lack(now, longest) {
                return Err(lack);
            }
        }
        let Some(custody) = &mut cached.custody else { return Ok(()) };
        let failing = cached.reading.lack(now, longest).is_some();
        let due = cached.read.is_none_or(|read| {
            now.since(read) >= longest
                || not_before.is_some_and(|not_before| read < not_before)
                || (failing && cached.reading.is_due(now, longest))
        });
        if !due {
            return Ok(());
        }
        let found = Box::pin(self.read(source)).await;
        if let Found::Unknown(why) = &found {
            tracing::warn!(
                ?source,
                why,
                "cannot read credentials; the operator continues with those that it read before, and tries again"
            );
            cached.reading.failed(Failure::Unanswered(why.clone()), now);
        } else {
            cached.reading.end();
        }
        custody.take_in(found, now);
        if self.copies.is_none() {
            custody.forget_if_gone();
        }
        cached.read = Some(now);
        Ok(())
    }

    async fn copy_of(&self, source: &Source) -> Result<Option<Kept<Client>>, Failure> {
        let (Some(copies), Source::Secret { namespace, name }) = (&self.copies, source) else {
            return Ok(None);
        };
        let Some(Copy { proved, next, namespace }) = copies.get(namespace, name).await? else {
            return Ok(None);
        };
        // A copy that someone damaged is written again.
        let held = |parts| match self.parse("Its copy", parts) {
            Found::Credential(held) => Some(held),
            Found::Unusable(_) | Found::Gone(_) | Found::Forbidden(_) | Found::Unknown(_) => None,
        };
        Ok(held(proved).map(|proved| Kept { proved, next: next.and_then(held), namespace }))
    }

    async fn read(&self, source: &Source) -> Found<Client> {
        match source {
            Source::Secret { namespace, name } => {
                let secrets: Api<Secret> = Api::namespaced(self.kubernetes.clone(), namespace);
                let place = format!("Secret {namespace}/{name}");
                match secrets.get(name).await {
                    Ok(secret) if namespace == self.sources.home() && is_copy(&secret) => Found::Unusable(
                        format!("{place} is the operator's copy of another Secret, which no object may use."),
                    ),
                    Ok(secret) => self.parse(&place, Parts::of_secret(&secret.data.unwrap_or_default())),
                    Err(error) if says_not_found(&error) => Found::Gone(format!("{place} does not exist.")),
                    Err(kube::Error::Api(answer)) if answer.is_forbidden() => Found::Forbidden(format!(
                        "The operator may not read {place}: its RBAC lacks `get` on secrets there."
                    )),
                    Err(error) => {
                        Found::Unknown(format!("The operator could not read {place}: {}.", brief(&error)))
                    }
                }
            }
            Source::Own => {
                let Some(own) = self.sources.own() else {
                    return Found::Unusable("The operator has no credentials of its own.".to_owned());
                };
                match own.parts().await {
                    Ok(parts) => self.parse("The operator's credentials directory", parts),
                    Err(error) => {
                        Found::Unknown(format!("The operator could not read its own credentials: {error}."))
                    }
                }
            }
        }
    }

    fn parse(&self, place: &str, parts: Parts) -> Found<Client> {
        match parts.credential() {
            Ok(credential) => Found::Credential(Held { account: self.accounts.of(credential), parts }),
            Err(error) => Found::Unusable(format!("{place} contains no valid credential: {error}.")),
        }
    }
}

fn is_copy(secret: &Secret) -> bool {
    let (key, value) = COMPONENT;
    secret.metadata.labels.as_ref().and_then(|labels| labels.get(key)).is_some_and(|label| label == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_by_its_label_whatever_its_name_is() {
        let labelled = |label: &str| {
            let mut secret = Secret::default();
            secret.metadata.labels = Some([(COMPONENT.0.to_owned(), label.to_owned())].into());
            secret
        };
        assert!(is_copy(&labelled(COMPONENT.1)));
        assert!(!is_copy(&labelled("controller")) && !is_copy(&Secret::default()));
    }
}
