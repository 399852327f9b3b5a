//! One Zenlayer client per credential, shared by all objects that use it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::fingerprint::Fingerprint;
use crate::mirror::Account;
use crate::zenlayer::{Client, Credential, CredentialKey, Transport};

/// The clients in use. One that nobody holds any more is dropped with its limiter and its connections' credentials.
#[derive(Debug)]
pub struct Accounts {
    transport: Transport,
    clients: Mutex<BTreeMap<CredentialKey, Weak<Account<Client>>>>,
}

impl Accounts {
    pub fn new(transport: Transport) -> Self {
        Self { transport, clients: Mutex::default() }
    }

    pub fn of(&self, credential: Credential) -> Arc<Account<Client>> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|_, client| client.strong_count() > 0);
        let key = credential.key();
        if let Some(account) = clients.get(&key).and_then(Weak::upgrade) {
            return account;
        }
        let fingerprint = Fingerprint::new(credential.fingerprint());
        let reader = Arc::new(Client::new(&self.transport, credential));
        let account = Arc::new(Account::new(key.into(), fingerprint, reader));
        clients.insert(key, Arc::downgrade(&account));
        account
    }
}
