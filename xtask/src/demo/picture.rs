//! The picture of one deletion that the README shows: real output of kubectl, drawn as an SVG.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use test_support::objects::{key_secret, list, manifest};
use tokio::time;

use crate::play::{ACCESS_KEY, SECRET, advised_command};
use crate::svg;
use crate::tool::Tool;

/// Zenlayer's id of the port in the picture.
pub(super) const PORT_ID: &str = "port-0a1b2c3d";

const OBJECT: &str = "edge";
/// Where kubectl looks unless one says so.
const NAMESPACE: &str = "default";
const MESSAGE: &str = r#"jsonpath={.status.conditions[?(@.type=="Ready")].message}"#;

/// Deletes one object, follows the advice in its message, and draws everything that was typed and shown.
pub(super) async fn draw(kubectl: &Tool, file: &Path) -> Result<()> {
    create(kubectl).await?;
    reason_becomes(kubectl, "Running").await?;

    let mut terminal = Terminal { kubectl, text: String::new() };
    terminal.types(&["get", "zenlayerport", OBJECT]).await?;
    terminal.types(&["delete", "zenlayerport", OBJECT, "--wait=false"]).await?;
    reason_becomes(kubectl, "NotInRecycleBin").await?;
    terminal.types(&["get", "zenlayerport", OBJECT]).await?;
    let message = terminal.types(&["get", "zenlayerport", OBJECT, "--output", MESSAGE]).await?;

    let advice = advised_command(&message)?;
    let advice: Vec<&str> = advice.iter().map(String::as_str).collect();
    terminal.types(&advice).await?;
    let gone = kubectl.run(&["wait", "--for=delete", "zenlayerport", OBJECT, "--timeout=3m"]);
    terminal.watches(&["get", "zenlayerport", OBJECT, "--watch"], gone).await?;
    terminal.types(&["get", "events", "--field-selector=reason=PortDestroyed"]).await?;

    let title = "kubectl deletes a ZenlayerPort: the object waits, shows what to do, and disappears after its port is destroyed";
    fs::write(file, svg::of_terminal(title, &terminal.text))
        .with_context(|| format!("writing {}", file.display()))?;
    println!("\n{}\nwrote {}", terminal.text.trim_end(), file.display());
    Ok(())
}

async fn create(kubectl: &Tool) -> Result<()> {
    let spec = json!({ "portId": PORT_ID, "credentialsRef": { "name": SECRET } });
    let objects = list(&[key_secret(NAMESPACE, SECRET, ACCESS_KEY), manifest(NAMESPACE, OBJECT, &spec)]);
    kubectl.run_with_input(&["apply", "-f", "-"], &objects.to_string()).await.map(drop)
}

async fn reason_becomes(kubectl: &Tool, reason: &str) -> Result<()> {
    let condition = format!(r#"--for=jsonpath={{.status.conditions[?(@.type=="Ready")].reason}}={reason}"#);
    kubectl.run(&["wait", &condition, "zenlayerport", OBJECT, "--timeout=2m"]).await.map(drop)
}

/// Everything that was typed and shown.
struct Terminal<'a> {
    kubectl: &'a Tool,
    text: String,
}

impl Terminal<'_> {
    async fn types(&mut self, args: &[&str]) -> Result<String> {
        let shown = self.kubectl.run(args).await?;
        self.shows(args, &shown);
        Ok(shown)
    }

    /// A command that goes on until `end`. Rows that differ in their age alone are shown once.
    async fn watches(&mut self, args: &[&str], end: impl Future<Output = Result<String>>) -> Result<()> {
        let shown = self.kubectl.run_until(args, async {
            let ended = end.await;
            // The last row comes a moment after the end.
            time::sleep(Duration::from_millis(500)).await;
            ended.map(drop)
        });
        let mut rows: Vec<String> = shown.await?.lines().map(str::to_owned).collect();
        rows.dedup_by_key(|row| row.rsplit_once(' ').map(|(row, _)| row.trim_end().to_owned()));
        self.shows(args, &rows.join("\n"));
        Ok(())
    }

    fn shows(&mut self, args: &[&str], shown: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.text, "$ {}\n{}", self.kubectl.command_line(args), shown.trim_end());
    }
}
