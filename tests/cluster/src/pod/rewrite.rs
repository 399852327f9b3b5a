//! Paths and ports of a container, replaced by those of the local process.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What stands for what.
pub(super) struct Rewrite {
    /// By `mountPath`.
    pub(super) mounts: Vec<(String, PathBuf)>,
    /// By `containerPort`.
    pub(super) ports: BTreeMap<u16, u16>,
}

impl Rewrite {
    /// Replaces each mount path where it stands as a whole path or begins one, and a container port at the
    /// end, after `:`, after `=` or alone; `0.0.0.0:`, `[::]:` and `:` before it become `127.0.0.1:`.
    pub(super) fn apply(&self, value: &str) -> String {
        self.replace_port(&self.replace_paths(value))
    }

    /// In one pass, as a folder that was put in may lie under another mount path, such as `/tmp`.
    fn replace_paths(&self, value: &str) -> String {
        let mut result = String::with_capacity(value.len());
        let mut rest = value;
        while let Some(next) = rest.chars().next() {
            let begins = !result.ends_with(is_path_char);
            if let Some((path, folder)) = self.longest_mount(rest).filter(|_| begins) {
                result.push_str(&folder.to_string_lossy());
                rest = &rest[path.len()..];
            } else {
                result.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        result
    }

    fn longest_mount(&self, value: &str) -> Option<&(String, PathBuf)> {
        let ends = |rest: &str| !rest.starts_with(|next| is_path_char(next) && next != '/');
        let found =
            self.mounts.iter().filter(|(path, _)| value.strip_prefix(path.as_str()).is_some_and(ends));
        found.max_by_key(|(path, _)| path.len())
    }

    fn replace_port(&self, value: &str) -> String {
        let before = value.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let Some(port) = value[before.len()..].parse().ok().and_then(|port: u16| self.ports.get(&port))
        else {
            return value.to_owned();
        };
        let any_host = ["0.0.0.0:", "[::]:"].iter().find_map(|host| before.strip_suffix(host));
        let no_host = before.strip_suffix(':').filter(|flag| flag.is_empty() || flag.ends_with('='));
        match any_host.or(no_host) {
            Some(flag) => format!("{flag}127.0.0.1:{port}"),
            None if before.is_empty() || before.ends_with([':', '=']) => format!("{before}{port}"),
            None => value.to_owned(),
        }
    }
}

fn is_path_char(char: char) -> bool {
    char.is_alphanumeric() || "/._-".contains(char)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(value: &str) -> String {
        let mounts = [("/etc/keys", "/tmp/pod/keys"), ("/tmp", "/tmp/pod/scratch"), ("/etc", "/tmp/pod/etc")];
        Rewrite {
            mounts: mounts.map(|(path, folder)| (path.to_owned(), folder.into())).into(),
            ports: BTreeMap::from([(8080, 20001)]),
        }
        .apply(value)
    }

    #[test]
    fn the_longest_mount_path_is_replaced_once() {
        assert_eq!(rewrite("/etc/keys"), "/tmp/pod/keys");
        assert_eq!(
            rewrite("--dirs=/etc/keys/id,/tmp:/etc"),
            "--dirs=/tmp/pod/keys/id,/tmp/pod/scratch:/tmp/pod/etc"
        );
    }

    #[test]
    fn a_path_that_only_looks_like_a_mount_path_stays() {
        for value in ["/var/tmp", "/tmpfs", "/usr/etc/x", "/etcd"] {
            assert_eq!(rewrite(value), value);
        }
    }

    #[test]
    fn a_container_port_moves_to_a_free_port_on_loopback() {
        for (value, expected) in [
            ("8080", "20001"),
            (":8080", "127.0.0.1:20001"),
            ("0.0.0.0:8080", "127.0.0.1:20001"),
            ("[::]:8080", "127.0.0.1:20001"),
            ("--port=8080", "--port=20001"),
            ("--listen=:8080", "--listen=127.0.0.1:20001"),
            ("--listen=0.0.0.0:8080", "--listen=127.0.0.1:20001"),
            ("127.0.0.1:8080", "127.0.0.1:20001"),
            ("http://localhost:8080", "http://localhost:20001"),
        ] {
            assert_eq!(rewrite(value), expected, "from {value}");
        }
    }

    #[test]
    fn other_numbers_stay() {
        for value in ["18080", "--port=80", "v8080", "0.0.0.0:9090", ""] {
            assert_eq!(rewrite(value), value);
        }
    }
}
