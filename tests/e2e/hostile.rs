//! Objects whose content is meant to hurt: they break neither the log nor other objects.

use serde_json::json;
use zenlayer_simulator::Port;

use crate::world::{World, given, recycled, run, spec};

/// Would end a line of the log, begin another, colour a terminal, or be expanded by somebody.
const NASTY: &str =
    "x\nERROR forged line\r\u{1b}[31m\u{0007} ${jndi:ldap://x} {{.}} %s ../../etc/passwd </script> \u{202e}";

async fn create_nasty(world: &World) -> anyhow::Result<()> {
    let mut object = world.manifest("nasty", &spec("port-1", "Destroy"));
    object["metadata"]["annotations"] = json!({
        "example.com/huge": "x".repeat(200 * 1024),
        "example.com/nasty": NASTY,
        "sdn.zenlayer.com/approve": format!("{NASTY},{}", ",".repeat(10_000)),
    });
    object["metadata"]["finalizers"] = json!(["example.com/x-1"]);
    // `kubectl apply` would keep a second copy of it all in an annotation, which the API server does not take.
    let path = std::env::temp_dir().join(format!("{}.json", world.namespace));
    std::fs::write(&path, object.to_string())?;
    let created = world.kubectl(&["create", "-f", &path.to_string_lossy()]).await;
    std::fs::remove_file(&path)?;
    created.map(drop)
}

#[test]
fn a_hostile_object_and_a_hostile_port_name_break_neither_the_log_nor_other_objects() {
    run(async {
        let ports = [
            Port::new("port-1").status(zenlayer_simulator::PortStatus::Recycled).name(NASTY),
            recycled("port-2"),
        ];
        let world = given(ports).value("log.level=debug").start().await?;
        create_nasty(&world).await?;
        world.own("edge", "port-2", "Destroy").await?;
        for name in ["nasty", "edge"] {
            world.until_alive(name, "PortRecycled").await?;
            world.delete(name).await?;
        }
        world.until_gone("edge").await?;
        world.until_reason("nasty", "WaitingForFinalizers").await?;
        let patch = r#"[{"op":"test","path":"/metadata/finalizers/0","value":"example.com/x-1"},{"op":"remove","path":"/metadata/finalizers/0"}]"#;
        world.kubectl(&["patch", "zenlayerport", "nasty", "--type=json", "-p", patch]).await?;
        world.until_gone("nasty").await?;
        world.assert_only_destroyed(&["port-1", "port-2"]);
        let log = world.operator().logs();
        assert!(!log.contains('\u{1b}') && !log.contains('\u{7}'), "a control character is in the log");
        assert!(!log.lines().any(|line| line.starts_with("ERROR forged")), "a line of the log is forged");
        Ok(())
    });
}
