//! No secret shows anywhere, however things go wrong.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use k8s_openapi::ByteString;
use serde_json::json;
use test_support::metrics::metrics;
use test_support::objects::secret;
use zenlayer_simulator::{Account, Answer, Rule};

use crate::world::{Setup, World, given, recycled, run, running};

/// With characters that encodings change, and no part that stands anywhere by chance.
pub const PASSWORD: &str = "zQ7/vK2w+mZ9x=tL4p&9";
const WRONG_PASSWORD: &str = "jW5/bN8y+cH3d=rF6s&7";
const TOKEN: &str = "gT1/kP4u+aE2v=oB9i~5";

/// So many characters in a row give a secret away.
const PART: usize = 5;

#[test]
fn no_secret_shows_in_logs_metrics_events_and_objects_however_things_go_wrong() {
    run(async {
        let ports = [recycled("port-1"), running("port-2")];
        let chatty = ["log.level=debug", "polling.resyncInterval=10s"];
        let setup = chatty.into_iter().fold(given(ports).without_secret(), Setup::value);
        let world = setup.start().await?;
        world.simulator.put_account(Account::new("default").key("KEY", PASSWORD).token("ci", TOKEN));
        let mut seen = String::new();

        world.put_secret("KEY", WRONG_PASSWORD).await?;
        world.own("edge", "port-1", "Destroy").await?;
        world.until_reason("edge", "Unauthorized").await?;
        seen += &all_that_shows(&world).await?;
        put_malformed_secret(&world).await?;
        world.until_reason("edge", "CredentialsUnavailable").await?;
        seen += &all_that_shows(&world).await?;
        world.put_secret("KEY", PASSWORD).await?;
        world.until_alive("edge", "PortRecycled").await?;
        world
            .create("by-token", json!({ "portId": "port-2", "credentialsRef": { "name": "token" } }))
            .await?;
        world.apply(&secret(&world.namespace, "token", &[("token", TOKEN)])).await?;
        world.until_alive("by-token", "Running").await?;

        world.simulator.fault(Rule::on("DescribePorts").times(3).answer(Answer::html(502)));
        world.simulator.fault(Rule::on("DestroyPort").once().answer(Answer::Lost));
        world.delete("edge").await?;
        world.until_gone("edge").await?;
        seen += &all_that_shows(&world).await?;

        assert!(
            seen.contains("zenlayer_port_operator_reconciles_total"),
            "the metrics are among what is searched"
        );
        assert!(seen.contains("calling DestroyPort"), "so is the log");
        for secret in [PASSWORD, WRONG_PASSWORD, TOKEN] {
            for shape in shapes(secret)? {
                let at = seen.find(&shape);
                assert_eq!(at, None, "{shape} shows: {:?}", at.map(|at| &seen[at.saturating_sub(200)..at]));
            }
        }
        Ok(())
    });
}

/// A password in two lines, which an error might be tempted to quote.
async fn put_malformed_secret(world: &World) -> Result<()> {
    world.put_secret("KEY", &format!("{PASSWORD}\n{PASSWORD}")).await
}

async fn all_that_shows(world: &World) -> Result<String> {
    let mut texts =
        vec![("the log", world.operator().logs()), ("the metrics", metrics(world.operator()).await?)];
    for kind in ["events", "zenlayerports"] {
        texts.push((kind, world.kubectl(&["get", kind, "--output", "yaml"]).await?));
    }
    // Of the copies, what tells them apart; what they hold is the secret itself.
    let home = ["get", "secrets,leases,pods", "--namespace", world.release()];
    let metadata = "jsonpath={.items[*].metadata}";
    texts.push(("the copies", world.cluster.kubectl(&[&home[..], &["--output", metadata]].concat()).await?));
    for (what, text) in &texts {
        ensure!(!text.trim().is_empty(), "{what}: nothing is there to be searched");
    }
    Ok(texts.into_iter().map(|(_, text)| text).collect())
}

/// The ways in which a text may be written that would give it away.
pub fn shapes(secret: &str) -> Result<Vec<String>> {
    let base64 = serde_json::to_value(ByteString(secret.as_bytes().to_vec()))?;
    let base64 = base64.as_str().unwrap_or_default().trim_end_matches('=').to_owned();
    let (mut hex, mut percent) = (String::new(), String::new());
    for byte in secret.bytes() {
        write!(hex, "{byte:02x}")?;
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'~' => percent.push(char::from(byte)),
            _ => write!(percent, "%{byte:02X}")?,
        }
    }
    let bytes = format!("{:?}", secret.as_bytes());
    let decimal = bytes.trim_matches(['[', ']']).to_owned();
    let reversed = secret.chars().rev().collect();
    let json = serde_json::to_string(secret)?.trim_matches('"').to_owned();
    let parts = (0..=secret.len() - PART).map(|at| secret[at..at + PART].to_owned());
    let mut shapes = vec![base64, hex.to_uppercase(), hex, percent, decimal, reversed, json];
    shapes.extend(parts);
    Ok(shapes)
}
