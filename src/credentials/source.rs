//! Which credentials an object names: a Secret beside it, or the operator's own files.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use super::copies::PREFIX;
use super::parts::Parts;
use crate::api::ZenlayerPort;
use crate::zenlayer::Credential;

/// The operator's own credentials: files named as the keys of a Secret, and the namespaces that they serve.
#[derive(Clone, Debug)]
pub struct OwnCredentials {
    directory: PathBuf,
    namespaces: BTreeSet<String>,
    /// The Secret in the operator's namespace that the files come from, if that is known.
    secret: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("--credentials-namespaces lists no namespace, so no object could use the operator's own credentials")]
pub struct OwnCredentialsError;

impl OwnCredentials {
    pub fn new(
        directory: PathBuf,
        namespaces: impl IntoIterator<Item = String>,
        secret: Option<String>,
    ) -> Result<Self, OwnCredentialsError> {
        let namespaces: BTreeSet<String> = namespaces.into_iter().collect();
        if namespaces.is_empty() {
            Err(OwnCredentialsError)
        } else {
            Ok(Self { directory, namespaces, secret })
        }
    }

    pub(super) async fn parts(&self) -> io::Result<Parts> {
        Parts::of_directory(&self.directory).await
    }

    /// The key that the files hold now; else why there is none, as a sentence.
    pub async fn read(&self) -> Result<Credential, String> {
        match self.parts().await {
            Ok(parts) => {
                parts.credential().map_err(|error| format!("The operator's own key cannot be used: {error}."))
            }
            Err(error) => Err(format!("The operator could not read its own key: {error}.")),
        }
    }
}

/// Where one credential is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    Secret { namespace: String, name: String },
    Own,
}

/// Which objects may use which source.
#[derive(Clone, Debug)]
pub struct Sources {
    own: Option<OwnCredentials>,
    /// The operator's own namespace.
    home: String,
}

impl Sources {
    pub fn new(own: Option<OwnCredentials>, home: String) -> Self {
        Self { own, home }
    }

    pub(super) fn own(&self) -> Option<&OwnCredentials> {
        self.own.as_ref()
    }

    pub(super) fn home(&self) -> &str {
        &self.home
    }

    /// The source of an object's credentials, or why it has none.
    pub fn of(&self, object: &ZenlayerPort) -> Result<Source, String> {
        let namespace = object.metadata.namespace.clone().unwrap_or_default();
        match (&object.spec.credentials_ref, &self.own) {
            (Some(secret), _) if !secret.is_well_formed() => Err(format!(
                "spec.credentialsRef.name is {:?}, which cannot be the name of a Secret.",
                secret.name
            )),
            (Some(secret), own) => match reserved(&namespace, &secret.name, &self.home, own.as_ref()) {
                Some(why) => Err(why),
                None => Ok(Source::Secret { namespace, name: secret.name.clone() }),
            },
            (None, Some(own)) if own.namespaces.contains(&namespace) => Ok(Source::Own),
            (None, Some(_)) => Err(format!(
                "spec.credentialsRef names no Secret, and objects in namespace {namespace} may not use the \
                 operator's own credentials (--credentials-namespaces)."
            )),
            (None, None) => {
                Err("spec.credentialsRef names no Secret, and the operator has no credentials of its own."
                    .to_owned())
            }
        }
    }
}

/// Why no object may name this Secret. Only the operator's own namespace has such Secrets: elsewhere names are free.
fn reserved(namespace: &str, name: &str, home: &str, own: Option<&OwnCredentials>) -> Option<String> {
    if namespace != home {
        return None;
    }
    if own.and_then(|own| own.secret.as_deref()) == Some(name) {
        return Some(format!(
            "Secret {name} contains the operator's own credentials, and no object may name it. To let objects use \
             these credentials, add {namespace} to credentials.namespaces, and remove spec.credentialsRef."
        ));
    }
    name.starts_with(PREFIX).then(|| {
        format!(
            "In namespace {namespace}, names that begin with {PREFIX} are reserved for the operator's copies of \
             Secrets, and no object may name such a Secret. Give the Secret {name} another name."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_keeps_for_itself_no_object_may_name_and_elsewhere_names_are_free() {
        let own =
            OwnCredentials::new(PathBuf::new(), ["team-a".to_owned()], Some("own".to_owned())).expect("own");
        let why =
            |namespace, name| reserved(namespace, name, "zenlayer-system", Some(&own)).unwrap_or_default();
        let copy = "zenlayer-credentials-0959b49ac3233acf5eb5b449650536e1";
        assert!(why("zenlayer-system", copy).contains("Give the Secret"), "{}", why("zenlayer-system", copy));
        assert!(why("zenlayer-system", "own").contains("credentials.namespaces"));
        for (namespace, name) in
            [("team-a", copy), ("team-a", "own"), ("zenlayer-system", "zenlayer-credentials")]
        {
            assert_eq!(why(namespace, name), "", "{namespace}/{name}");
        }
    }
}
