//! With what a request proves who sends it: an access key, or a personal access token
//! (`docs/zenlayer-api.md`, credentials).

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::signing::{hex, sha256};

/// An access key or a token, valid in form. Neither `Debug` nor any error shows its secret part.
#[derive(Clone)]
pub struct Credential(Kind);

#[derive(Clone)]
pub(super) enum Kind {
    AccessKey { id: String, password: SecretString },
    Token(SecretString),
}

/// Tells credentials apart by all they hold: who knows only another's key id cannot come by its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialKey([u8; 32]);

/// Why a text cannot be a part of a credential; `part` is named as in the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    #[error("{part} is empty")]
    Empty { part: &'static str },
    #[error(
        "{part} contains a space, a line break or another character that is not allowed; write the value alone"
    )]
    Malformed { part: &'static str },
}

impl Credential {
    /// Both parts are trimmed, as the official SDKs do.
    pub fn access_key(id: &str, password: &str) -> Result<Self, CredentialError> {
        let id = checked("accessKeyId", id, |c| c.is_ascii_graphic() && c != ',')?;
        let password = checked("accessKeyPassword", password, |c| !c.is_control())?;
        Ok(Self(Kind::AccessKey { id: id.to_owned(), password: SecretString::from(password) }))
    }

    /// The token alone, without the word `Bearer`. It is trimmed.
    pub fn token(token: &str) -> Result<Self, CredentialError> {
        let token = checked("token", token, |c| c.is_ascii_graphic())?;
        Ok(Self(Kind::Token(SecretString::from(token))))
    }

    /// Names the credential without revealing it: the first 16 hexadecimal digits of the SHA-256 of the key
    /// id, or of the token.
    pub fn fingerprint(&self) -> String {
        let named = match &self.0 {
            Kind::AccessKey { id, .. } => id,
            Kind::Token(token) => token.expose_secret(),
        };
        hex(&sha256(&[named.as_bytes()])[..8])
    }

    pub fn key(&self) -> CredentialKey {
        // No part holds a control character, so that NUL keeps them apart.
        CredentialKey(match &self.0 {
            Kind::AccessKey { id, password } => {
                sha256(&[b"key\0", id.as_bytes(), b"\0", password.expose_secret().as_bytes()])
            }
            Kind::Token(token) => sha256(&[b"token\0", token.expose_secret().as_bytes()]),
        })
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.0
    }
}

fn checked<'a>(
    part: &'static str,
    text: &'a str,
    allowed: impl Fn(char) -> bool,
) -> Result<&'a str, CredentialError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(CredentialError::Empty { part });
    }
    if !text.chars().all(allowed) {
        return Err(CredentialError::Malformed { part });
    }
    Ok(text)
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 {
            Kind::AccessKey { .. } => "access key",
            Kind::Token(_) => "token",
        };
        write!(f, "Credential({kind} {})", self.fingerprint())
    }
}

impl CredentialKey {
    /// The SHA-256 itself, which is not to be shown: a short secret could be guessed from it.
    pub fn digest(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_trimmed_as_files_end_in_a_line_break() {
        let plain = Credential::access_key("id", "password").expect("valid");
        let padded = Credential::access_key(" id\n", "password\r\n").expect("valid");
        assert_eq!(plain.key(), padded.key());
        assert_eq!(
            Credential::token("t").expect("valid").key(),
            Credential::token("\tt\n").expect("valid").key()
        );
    }

    #[test]
    fn a_value_that_cannot_be_right_is_refused_and_not_repeated() {
        for (error, part) in [
            (Credential::access_key(" ", "password"), "accessKeyId is empty"),
            (Credential::access_key("id", "\n"), "accessKeyPassword is empty"),
            (Credential::token(""), "token is empty"),
            (Credential::access_key("hunter2, x", "password"), "accessKeyId contains"),
            (Credential::access_key("id", "hunter2\nsecond line"), "accessKeyPassword contains"),
            (Credential::token("Bearer hunter2"), "token contains"),
            (Credential::token("hunter2é"), "token contains"),
        ]
        .map(|(result, part)| (result.expect_err(part).to_string(), part))
        {
            assert!(error.starts_with(part) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_fingerprint_names_the_key_id_and_not_its_password() {
        let one = Credential::access_key("ZLKEYEXAMPLE0001", "old").expect("valid");
        let rotated = Credential::access_key("ZLKEYEXAMPLE0001", "new").expect("valid");
        assert_eq!(one.fingerprint(), rotated.fingerprint());
        // printf abc | sha256sum
        assert_eq!(Credential::token("abc").expect("valid").fingerprint(), "ba7816bf8f01cfea");
    }

    #[test]
    fn the_key_differs_wherever_any_part_differs() {
        let key = |id, password| Credential::access_key(id, password).expect("valid").key();
        assert_ne!(key("id", "one"), key("id", "two"), "another's key id must not be enough");
        assert_ne!(key("ab", "c"), key("a", "bc"));
        assert_ne!(key("a", "b"), Credential::token("ab").expect("valid").key());
    }

    #[test]
    fn debug_shows_nothing_secret() {
        let credential = Credential::access_key("ZLKEY", "hunter2").expect("valid");
        let token = Credential::token("hunter2").expect("valid");
        let shown = format!("{credential:?} {token:?} {:?}", token.key());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.ends_with("CredentialKey(..)"), "{shown}");
    }
}
