//! The cluster that is asked, as messages and commands name it.

use std::fmt;

use super::report::with_flags;

/// The cluster that is asked, for messages.
#[derive(Clone, Debug, Default)]
pub struct Target {
    pub server: String,
    /// The context and the file; none in a Pod.
    pub origin: Option<String>,
    /// The flags that choose the cluster and the user, as one types them again.
    pub flags: String,
    /// The flag that chooses the file, likewise.
    pub file_flag: String,
}

impl Target {
    pub fn contexts_command(&self) -> String {
        with_flags("kubectl config get-contexts", &self.file_flag)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the API server {}", self.server)?;
        self.origin.iter().try_for_each(|origin| write!(f, " ({origin})"))
    }
}
