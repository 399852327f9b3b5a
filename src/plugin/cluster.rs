//! What the plugin reads from the API server, and the one thing that it writes: approvals.

use anyhow::{Result, bail};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::cli::{Connection, Selection};
use super::definition::Definition;
use super::kubeconfig;
use super::operator::Operator;
use super::target::Target;
use super::trouble::{EVENTS, LEASES, PORTS, Request, Trouble};
use crate::api::{APPROVE_ANNOTATION, ZenlayerPort, custom_resource_definition};
use crate::kubernetes::says_not_found;
use crate::lease::LEASE_LABEL;

const FIELD_MANAGER: &str = "kubectl-zenlayerport";

/// How many objects are read at once.
const PAGE: u32 = 500;

/// The API server, as the person who types.
pub struct Cluster {
    client: Client,
    target: Target,
    /// The namespace that was asked for, or that of the context.
    pub namespace: String,
}

impl Cluster {
    pub async fn connect(connection: &Connection) -> Result<Self, Trouble> {
        let (mut config, target) = kubeconfig::load(connection).await?;
        config.connect_timeout = Some(connection.request_timeout);
        config.read_timeout = Some(connection.request_timeout);
        if connection.as_user.is_some() {
            config.auth_info.impersonate.clone_from(&connection.as_user);
            config.auth_info.impersonate_groups = Some(connection.as_group.clone());
        }
        let namespace = connection.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| Trouble::of_client(&error, &target))?;
        Ok(Self { client, target, namespace })
    }

    /// The ports that were asked for.
    pub async fn ports(&self, selection: &Selection) -> Result<Vec<ZenlayerPort>, Trouble> {
        let namespace = (!selection.all_namespaces).then_some(self.namespace.as_str());
        self.list(namespace, selection.selector.as_deref()).await
    }

    /// The ports among which deletions are counted and owners of the same port are found: as many as this person may list.
    pub async fn known_ports(&self) -> Result<Known, Trouble> {
        for (namespace, reach) in [(None, Reach::Cluster), (Some(self.namespace.as_str()), Reach::Namespace)]
        {
            match self.list(namespace, None).await {
                Ok(ports) => return Ok(Known { ports, reach }),
                Err(trouble) if trouble.is_forbidden => {}
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(Known { ports: Vec::new(), reach: Reach::Nothing })
    }

    /// The object of this name, or of `NAMESPACE/NAME`, as `status` prints it.
    pub async fn port(&self, reference: &str) -> Result<ZenlayerPort, Trouble> {
        let (namespace, name) = reference.split_once('/').unwrap_or((&self.namespace, reference));
        let request = Request { verb: "get", kind: PORTS, namespace: Some(namespace) };
        match self.objects(Some(namespace)).get(name).await {
            Ok(object) => Ok(parsed(object)),
            Err(error) if says_not_found(&error) => {
                Err(Trouble::new(format!("there is no ZenlayerPort {name} in namespace {namespace}."))
                    .kubectl("To see all of them", "kubectl get zenlayerports -A", &self.target))
            }
            Err(error) => Err(Trouble::of(&error, request, &self.target)),
        }
    }

    async fn list(
        &self,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Vec<ZenlayerPort>, Trouble> {
        let api = self.objects(namespace);
        let request = Request { verb: "list", kind: PORTS, namespace };
        let mut params = ListParams::default().limit(PAGE);
        params.label_selector = selector.map(str::to_owned);
        let mut ports = Vec::new();
        loop {
            let page = api.list(&params).await.map_err(|error| Trouble::of(&error, request, &self.target))?;
            ports.extend(page.items.into_iter().map(parsed));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok(ports),
            }
        }
    }

    /// Untyped: an object that this version cannot read is no reason to show nothing.
    fn objects(&self, namespace: Option<&str>) -> Api<DynamicObject> {
        let kind = kube::api::ApiResource::erase::<ZenlayerPort>(&());
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind),
            None => Api::all_with(self.client.clone(), &kind),
        }
    }

    /// The operator that watches the namespace, by its Lease; never an error, as the ports are shown without it too.
    pub async fn operator(&self, selection: &Selection, now: Timestamp) -> Operator {
        let namespace = (!selection.all_namespaces).then_some(self.namespace.as_str());
        let (key, value) = LEASE_LABEL;
        let params = ListParams::default().labels(&format!("{key}={value}"));
        match Api::<Lease>::all(self.client.clone()).list(&params).await {
            Ok(leases) => Operator::of(&leases.items, namespace, now),
            Err(kube::Error::Api(answer)) if answer.is_forbidden() => {
                Operator::Unknown { why: "you may not list Leases in all namespaces.".to_owned() }
            }
            Err(error) => {
                let request = Request { verb: "list", kind: LEASES, namespace: None };
                Operator::Unknown { why: Trouble::of(&error, request, &self.target).what }
            }
        }
    }

    /// Whether the CustomResourceDefinition stays. Not everybody may read it.
    pub async fn definition(&self) -> Definition {
        let api = Api::<CustomResourceDefinition>::all(self.client.clone());
        match api.get_metadata(&custom_resource_definition().name_any()).await {
            Ok(definition) => Definition::of(&definition.metadata),
            Err(_) => Definition::Unknown,
        }
    }

    /// The Events of an object, the newest first.
    pub async fn events(&self, object: &ZenlayerPort) -> Result<Vec<Event>, Trouble> {
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let namespace = object.namespace().unwrap_or_default();
        let api = Api::<Event>::namespaced(self.client.clone(), &namespace);
        let params = ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(PAGE);
        let request = Request { verb: "list", kind: EVENTS, namespace: Some(&namespace) };
        let listed = api.list(&params).await.map_err(|error| Trouble::of(&error, request, &self.target))?;
        Ok(listed.items)
    }

    /// The namespaces that this person may list.
    pub async fn namespaces(&self) -> Result<Vec<String>, kube::Error> {
        let api = Api::<Namespace>::all(self.client.clone());
        let listed = api.list_metadata(&ListParams::default().limit(PAGE)).await?;
        Ok(listed.items.iter().map(ResourceExt::name_any).collect())
    }

    /// Sets the approval of the object as it was shown.
    pub async fn approve(&self, object: &ZenlayerPort, approval: &str, dry_run: bool) -> Result<()> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let api = Api::<ZenlayerPort>::namespaced(self.client.clone(), &namespace);
        let patch = json!({ "metadata": {
            "annotations": { APPROVE_ANNOTATION: approval },
            "uid": object.metadata.uid,
            "resourceVersion": object.metadata.resource_version,
        } });
        let params =
            PatchParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match api.patch_metadata(&name, &params, &Patch::Merge(&patch)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(answer)) if answer.is_conflict() => {
                bail!(
                    "{namespace}/{name} changed after it was shown; run the command again to see it as it is now"
                )
            }
            Err(error) => {
                let request = Request { verb: "patch", kind: PORTS, namespace: Some(&namespace) };
                let trouble = Trouble::of(&error, request, &self.target);
                Err(anyhow::Error::new(trouble).context(format!("{namespace}/{name}")))
            }
        }
    }
}

/// What is known beside the ports that were asked for.
#[derive(Clone, Debug)]
pub struct Known {
    pub ports: Vec<ZenlayerPort>,
    pub reach: Reach,
}

/// Where ports could be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Cluster,
    Namespace,
    Nothing,
}

/// The object, or what can be understood of one that this version cannot read.
fn parsed(object: DynamicObject) -> ZenlayerPort {
    let DynamicObject { metadata, data, types: _ } = object;
    let parse = || {
        let spec = serde_json::from_value(data["spec"].clone())?;
        Ok::<_, serde_json::Error>((spec, serde_json::from_value(data["status"].clone())?))
    };
    match parse() {
        Ok((spec, status)) => ZenlayerPort { metadata, spec, status },
        Err(_) => ZenlayerPort::salvaged(metadata, &data["spec"], &data["status"]),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use serde_json::Value;

    use super::*;

    /// An API server that answers each request with this, behind a cluster of the context `prod`.
    fn answering(code: u16, body: impl Into<String>) -> Cluster {
        let (code, body) = (StatusCode::from_u16(code).expect("a status"), body.into());
        let router = Router::new().fallback(async move || (code, body));
        let target = Target {
            server: "https://10.0.0.1:6443".to_owned(),
            origin: Some("context prod, kubeconfig /k".to_owned()),
            flags: "--context prod".to_owned(),
            ..Target::default()
        };
        Cluster { client: Client::new(router, "default"), target, namespace: "team-a".to_owned() }
    }

    fn status(code: u16, reason: &str, message: &str) -> String {
        let status: Value = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": reason, "message": message });
        status.to_string()
    }

    /// What is said of the same answer to `status` and to `explain`.
    async fn told(code: u16, body: &str) -> [String; 2] {
        let cluster = answering(code, body);
        let listed = cluster.ports(&Selection::default()).await.expect_err("no ports").to_string();
        let port = cluster.port("edge").await.expect_err("no port").to_string();
        [listed, port]
    }

    const SERVER: &str = "the API server https://10.0.0.1:6443 (context prod, kubeconfig /k)";

    #[tokio::test]
    async fn a_missing_definition_is_told_from_a_missing_object() {
        for trouble in told(404, "404 page not found\n").await {
            assert!(
                trouble
                    .starts_with(&format!("{SERVER} knows no ZenlayerPorts: the CustomResourceDefinition")),
                "{trouble}"
            );
            assert!(
                trouble.contains("\n    kubectl get crd zenlayerports.sdn.zenlayer.com --context prod\n"),
                "{trouble}"
            );
        }
        let [_, port] = told(404, &status(404, "NotFound", "zenlayerports \"edge\" not found")).await;
        assert!(port.starts_with("there is no ZenlayerPort edge in namespace team-a."), "{port}");
        assert!(port.ends_with("\n    kubectl get zenlayerports -A --context prod"), "{port}");
    }

    #[tokio::test]
    async fn who_lacks_a_right_learns_which_and_how_to_check_it() {
        let body = status(403, "Forbidden", "User \"ann\" cannot list it\u{1b}[2J");
        let [listed, port] = told(403, &body).await;
        assert!(listed.starts_with("you may not list ZenlayerPorts in namespace team-a. "), "{listed}");
        assert!(listed.contains(SERVER) && listed.contains("User \"ann\""), "{listed}");
        assert!(!listed.contains('\u{1b}'), "what a server says steers no terminal: {listed:?}");
        let check = "\n    kubectl auth can-i list zenlayerports.sdn.zenlayer.com -n team-a --context prod";
        assert!(listed.ends_with(check), "{listed}");
        assert!(port.starts_with("you may not get ZenlayerPorts in namespace team-a. "), "{port}");
        let everywhere = Selection { all_namespaces: true, ..Selection::default() };
        let everywhere = answering(403, body).ports(&everywhere).await.expect_err("no right").to_string();
        assert!(everywhere.contains(" -n NAMESPACE looks in one namespace."), "{everywhere}");
        assert!(everywhere.contains("zenlayerports.sdn.zenlayer.com -A --context prod"), "{everywhere}");
    }

    #[tokio::test]
    async fn refused_credentials_are_told_as_such() {
        for trouble in told(401, &status(401, "Unauthorized", "Unauthorized")).await {
            assert!(trouble.starts_with(&format!("{SERVER} does not accept your credentials.")), "{trouble}");
            assert!(trouble.ends_with("\n    kubectl auth whoami --context prod"), "{trouble}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_none_of_kubernetes_is_told_as_such() {
        for trouble in told(200, "<html>welcome</html>").await {
            assert!(trouble.contains(&format!("the answer of {SERVER} cannot be read")), "{trouble}");
        }
        for trouble in told(503, "<html>busy</html>").await {
            assert!(trouble.starts_with(&format!("{SERVER} answers with an error (503): ")), "{trouble}");
            assert!(trouble.ends_with(" Try again in a while."), "{trouble}");
        }
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_named_with_its_context_and_file() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // Nobody listens there once it is closed.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        let file = tempfile::NamedTempFile::new().expect("a file");
        let kubeconfig = json!({ "current-context": "prod",
            "contexts": [{ "name": "prod", "context": { "cluster": "c", "namespace": "team-b" } }],
            "clusters": [{ "name": "c", "cluster": { "server": server } }] });
        std::fs::write(file.path(), kubeconfig.to_string()).expect("written");
        let path = file.path().display().to_string();
        let connection = Connection {
            kubeconfig: Some(file.path().into()),
            request_timeout: PATIENCE,
            ..Connection::default()
        };
        let cluster = Cluster::connect(&connection).await.expect("a kubeconfig");
        assert_eq!(cluster.namespace, "team-b");
        let trouble = cluster.port("edge").await.expect_err("no server").to_string();
        let said = format!(
            "the API server {server} (context prod, kubeconfig {path}) does not answer: Connection refused"
        );
        assert!(trouble.starts_with(&said), "{trouble}");
        assert!(
            trouble.contains(&format!("\n    kubectl get --raw /readyz --kubeconfig {path}\n")),
            "{trouble}"
        );
        assert!(
            trouble.ends_with(&format!("\n    kubectl config get-contexts --kubeconfig {path}")),
            "{trouble}"
        );
    }

    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

    #[tokio::test]
    async fn a_definition_is_read_as_it_is_and_no_right_to_it_is_no_error() {
        let metadata = |deleted: Value| {
            json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": { "name": "x", "deletionTimestamp": deleted } })
            .to_string()
        };
        let since = "2026-01-01T00:00:00Z";
        let deleted = answering(200, metadata(json!(since))).definition().await;
        assert_eq!(deleted, Definition::BeingDeleted { since: since.parse().expect("a time") });
        assert_eq!(answering(200, metadata(Value::Null)).definition().await, Definition::Stays);
        let refused = answering(403, status(403, "Forbidden", "no")).definition().await;
        assert_eq!(refused, Definition::Unknown);
    }

    #[tokio::test]
    async fn an_approval_that_is_not_allowed_says_which_right_is_missing() {
        let object = serde_json::from_value(
            json!({ "apiVersion": "sdn.zenlayer.com/v1alpha1", "kind": "ZenlayerPort",
            "metadata": { "name": "edge", "namespace": "team-a" }, "spec": { "portId": "port-1" } }),
        );
        let object: ZenlayerPort = object.expect("a ZenlayerPort");
        for (message, verb) in [
            ("zenlayerports is forbidden: User \"ann\" cannot patch resource", "patch"),
            ("ValidatingAdmissionPolicy denied request: you may not approve", "approve"),
        ] {
            let cluster = answering(403, status(403, "Forbidden", message));
            let error = cluster.approve(&object, "MassDeletion-1", false).await.expect_err("no right");
            let told = format!("{error:#}");
            let said = format!("team-a/edge: you may not {verb} ZenlayerPorts in namespace team-a. ");
            assert!(told.starts_with(&said), "{told}");
            let check =
                format!("kubectl auth can-i {verb} zenlayerports.sdn.zenlayer.com -n team-a --context prod");
            assert!(told.ends_with(&check), "{told}");
        }
    }
}
