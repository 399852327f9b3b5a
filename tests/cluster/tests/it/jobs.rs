//! Jobs whose Pod runs as a local process.

use std::path::Path;

use serde_json::json;

use crate::cluster;

#[tokio::test]
async fn a_job_completes_or_fails_as_its_process_ends() {
    let cluster = cluster().await;
    for (script, condition, code) in [("echo done", "Complete", 0), ("echo no luck; exit 3", "Failed", 3)] {
        let namespace = cluster.create_namespace("jobs").await.unwrap();
        let container = json!({ "name": "app", "image": "example.invalid/app", "args": ["-c", script] });
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": { "name": "app", "namespace": namespace },
            "spec": {
                "backoffLimit": 0,
                "template": {
                    "metadata": { "labels": { "app": "job" } },
                    "spec": { "containers": [container], "restartPolicy": "Never" },
                },
            },
        });
        cluster.apply(&job.to_string()).await.unwrap();
        let finished = cluster.run_job(&namespace, "app=job", Path::new("/bin/sh")).await.unwrap();
        assert_eq!(finished.status.code(), Some(code), "{}", finished.logs);
        let wait = format!("--for=condition={condition}");
        cluster.kubectl(&["wait", &wait, "job/app", "-n", &namespace, "--timeout=60s"]).await.unwrap();
    }
}
