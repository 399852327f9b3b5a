//! Volumes as folders, in the layout of the kubelet.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::{KeyToPath, Volume as VolumeSpec, VolumeMount};

use super::template::Template;
use super::values::{Data, Origin, Values};
use crate::folder::write_private;

/// The volumes that the container mounts.
#[derive(Debug)]
pub(super) struct Volumes(Vec<Volume>);

#[derive(Debug)]
struct Volume {
    mount_path: String,
    folder: PathBuf,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Empty,
    Projected { origin: Origin, items: Option<Vec<KeyToPath>>, optional: Option<bool> },
}

impl Volumes {
    /// Makes their folders under `home`, empty as yet.
    pub(super) fn new(template: &Template, home: &Path) -> Result<Self> {
        let mounts = template.volume_mounts().map(|(mount, volume)| Volume::new(mount, volume, home));
        Ok(Self(mounts.collect::<Result<_>>()?))
    }

    pub(super) fn mounts(&self) -> Vec<(String, PathBuf)> {
        self.0.iter().map(|volume| (volume.mount_path.clone(), volume.folder.clone())).collect()
    }

    /// Brings all files up to date.
    pub(super) async fn write(&self, values: &Values) -> Result<()> {
        for volume in &self.0 {
            if let Content::Projected { origin, items, optional } = &volume.content {
                let data = values.data(origin, *optional).await?.unwrap_or_default();
                let files = project(data, items.as_deref(), *optional).with_context(|| origin.to_string())?;
                replace_files(&volume.folder, &files)
                    .with_context(|| format!("writing {origin} as files"))?;
            }
        }
        Ok(())
    }
}

impl Volume {
    fn new(mount: &VolumeMount, volume: &VolumeSpec, home: &Path) -> Result<Self> {
        if mount.sub_path.is_some() || mount.sub_path_expr.is_some() {
            bail!(
                "the volume mount {} has a subPath, which the test cluster does not know",
                mount.mount_path
            );
        }
        let content = match volume {
            VolumeSpec { empty_dir: Some(_), .. } => Content::Empty,
            VolumeSpec { secret: Some(source), .. } => Content::Projected {
                origin: Origin::Secret(source.secret_name.clone().unwrap_or_default()),
                items: source.items.clone(),
                optional: source.optional,
            },
            VolumeSpec { config_map: Some(source), .. } => Content::Projected {
                origin: Origin::ConfigMap(source.name.clone()),
                items: source.items.clone(),
                optional: source.optional,
            },
            VolumeSpec { name, .. } => {
                bail!("volume {name}: the test cluster knows secret, configMap and emptyDir volumes only")
            }
        };
        // Volumes that are mounted twice are one folder.
        let folder = home.join("volumes").join(&volume.name);
        fs::create_dir_all(&folder)?;
        Ok(Self { mount_path: mount.mount_path.trim_end_matches('/').to_owned(), folder, content })
    }
}

/// The files by path: all keys, or those that `items` names.
fn project(mut data: Data, items: Option<&[KeyToPath]>, optional: Option<bool>) -> Result<Data> {
    let Some(items) = items else { return Ok(data) };
    let mut files = Data::new();
    for KeyToPath { key, path, .. } in items {
        match data.remove(key) {
            Some(bytes) => drop(files.insert(path.clone(), bytes)),
            None if optional == Some(true) => {}
            None => bail!("there is no key {key}"),
        }
    }
    Ok(files)
}

/// Replaces all files at one moment, that of a rename: `NAME -> ..data/NAME`, `..data -> ..VERSION`.
fn replace_files(folder: &Path, files: &Data) -> Result<()> {
    let current = folder.join("..data");
    let previous = fs::read_link(&current).ok();

    let version = tempfile::Builder::new().prefix("..").tempdir_in(folder)?.keep();
    for (path, bytes) in files {
        let file = version.join(path);
        file.parent().map_or(Ok(()), fs::create_dir_all)?;
        write_private(&file, bytes)?;
    }
    let next = folder.join("..data_tmp");
    symlink(version.file_name().context("a temporary folder has a name")?, &next)?;
    fs::rename(&next, &current)?;

    for name in files.keys().filter_map(|path| path.split('/').next()) {
        let link = folder.join(name);
        if !link.is_symlink() {
            symlink(Path::new("..data").join(name), link)?;
        }
    }
    for link in fs::read_dir(folder)?.flatten().map(|entry| entry.path()) {
        if link.is_symlink() && !link.exists() {
            fs::remove_file(link)?;
        }
    }
    if let Some(previous) = previous {
        fs::remove_dir_all(folder.join(previous))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> Data {
        pairs.iter().map(|(key, text)| ((*key).to_owned(), text.as_bytes().to_owned())).collect()
    }

    #[test]
    fn a_new_version_replaces_all_files_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).ok();
        replace_files(folder.path(), &data(&[("id", "one"), ("old", "x"), ("sub/key", "1")])).unwrap();
        assert_eq!(
            (read("id"), read("old"), read("sub/key")),
            (Some("one".into()), Some("x".into()), Some("1".into()))
        );

        replace_files(folder.path(), &data(&[("id", "two"), ("new", "y")])).unwrap();
        assert_eq!((read("id"), read("old"), read("new")), (Some("two".into()), None, Some("y".into())));
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 4, "..data, one version, id and new, but found {names:?}");
    }

    #[test]
    fn items_choose_keys_and_name_their_files() {
        let item = |key: &str| KeyToPath { key: key.into(), path: format!("{key}.pem"), mode: None };
        let files = project(data(&[("a", "1"), ("b", "2")]), Some(&[item("a")]), None).unwrap();
        assert_eq!(files, data(&[("a.pem", "1")]));
        let error = project(data(&[]), Some(&[item("a")]), None).unwrap_err();
        assert!(error.to_string().contains("no key a"), "{error}");
    }
}
