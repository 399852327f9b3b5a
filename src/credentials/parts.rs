//! The parts of a credential, under the keys of a Secret.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use k8s_openapi::ByteString;
use secrecy::{ExposeSecret, SecretString};

use crate::zenlayer::{Credential, CredentialError};

const ACCESS_KEY_ID: &str = "accessKeyId";
const ACCESS_KEY_PASSWORD: &str = "accessKeyPassword";
const TOKEN: &str = "token";
const KEYS: [&str; 3] = [ACCESS_KEY_ID, ACCESS_KEY_PASSWORD, TOKEN];

/// Where a copy holds two credentials, the keys of the second begin so.
const NEXT: &str = "next.";

/// A credential is a few dozen characters; what is longer is not one.
const LONGEST: usize = 4096;

/// As they were read, so that they can be written again. `Debug` shows the keys alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts(BTreeMap<&'static str, SecretString>);

impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        fn exposed(parts: &Parts) -> impl Iterator<Item = (&str, &str)> {
            parts.0.iter().map(|(key, value)| (*key, value.expose_secret()))
        }
        exposed(self).eq(exposed(other))
    }
}

impl Eq for Parts {}

/// Why parts are no credential.
#[derive(Debug, thiserror::Error)]
pub(super) enum PartsError {
    #[error("{0} is too long to be a credential")]
    TooLong(&'static str),
    #[error("it must contain {ACCESS_KEY_ID} and {ACCESS_KEY_PASSWORD}, or {TOKEN}")]
    Incomplete,
    #[error(transparent)]
    Malformed(#[from] CredentialError),
}

impl Parts {
    /// Those of a Secret's `data`; its other keys are left alone.
    pub(super) fn of_secret(data: &BTreeMap<String, ByteString>) -> Self {
        Self::of_keys(data, "")
    }

    /// Those of the second credential of a copy.
    pub(super) fn next_of_secret(data: &BTreeMap<String, ByteString>) -> Self {
        Self::of_keys(data, NEXT)
    }

    fn of_keys(data: &BTreeMap<String, ByteString>, prefix: &str) -> Self {
        let part = |key| {
            let value = data.get(&format!("{prefix}{key}"))?;
            Some((key, SecretString::from(String::from_utf8_lossy(&value.0).into_owned())))
        };
        Self(KEYS.into_iter().filter_map(part).collect())
    }

    #[cfg(test)]
    pub(super) fn token(token: &str) -> Self {
        Self([(TOKEN, SecretString::from(token))].into())
    }

    /// Those of a directory with a file for each; files that are missing are left out.
    #[expect(
        clippy::disallowed_methods,
        reason = "a file system may hang; no decision waits for this thread alone"
    )]
    pub(super) async fn of_directory(directory: &Path) -> io::Result<Self> {
        let directory = directory.to_owned();
        let read = move || {
            let mut parts = BTreeMap::new();
            for key in KEYS {
                match std::fs::read_to_string(directory.join(key)) {
                    Ok(text) => drop(parts.insert(key, SecretString::from(text))),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(Self(parts))
        };
        tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
    }

    /// As a Secret's `data`.
    pub(super) fn to_secret(&self) -> BTreeMap<String, ByteString> {
        let entry = |(key, value): (&&str, &SecretString)| {
            ((*key).to_owned(), ByteString(value.expose_secret().as_bytes().to_vec()))
        };
        self.0.iter().map(entry).collect()
    }

    /// As the second credential of a copy.
    pub(super) fn to_secret_as_next(&self) -> BTreeMap<String, ByteString> {
        self.to_secret().into_iter().map(|(key, value)| (format!("{NEXT}{key}"), value)).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A token wins over an access key.
    pub(super) fn credential(&self) -> Result<Credential, PartsError> {
        let part = |key: &'static str| self.0.get(key).map(SecretString::expose_secret);
        if let Some(key) = KEYS.into_iter().find(|&key| part(key).is_some_and(|value| value.len() > LONGEST))
        {
            return Err(PartsError::TooLong(key));
        }
        match (part(ACCESS_KEY_ID), part(ACCESS_KEY_PASSWORD), part(TOKEN)) {
            (_, _, Some(token)) => Ok(Credential::token(token)?),
            (Some(id), Some(password), None) => Ok(Credential::access_key(id, password)?),
            (None, _, None) | (_, None, None) => Err(PartsError::Incomplete),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(data: &[(&str, &str)]) -> Parts {
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        Parts::of_secret(&data.iter().map(|(key, value)| ((*key).to_owned(), bytes(value))).collect())
    }

    #[test]
    fn what_is_written_is_what_was_read_and_nothing_of_it_is_shown() {
        let read = parts(&[(ACCESS_KEY_ID, "id\n"), (ACCESS_KEY_PASSWORD, "hunter2"), ("other", "x")]);
        let again = Parts::of_secret(&read.to_secret());
        assert_eq!(read.to_secret().len(), 2, "only the credential's own keys are copied");
        assert_eq!(again.credential().expect("complete").key(), read.credential().expect("complete").key());
        assert!(!format!("{read:?}").contains("hunter2"), "{read:?}");
    }

    #[test]
    fn parts_that_are_no_credential_say_what_is_missing() {
        let long = "x".repeat(LONGEST + 1);
        for (data, expected) in [
            (parts(&[]), "it must contain accessKeyId and accessKeyPassword, or token"),
            (parts(&[(ACCESS_KEY_ID, "id")]), "it must contain accessKeyId and accessKeyPassword, or token"),
            (parts(&[(TOKEN, &long)]), "token is too long to be a credential"),
            (parts(&[(TOKEN, " ")]), "token is empty"),
        ] {
            assert_eq!(data.credential().expect_err(expected).to_string(), expected);
        }
    }
}
