//! The Zenlayer client against the simulator of the API, which checks every signature.

use zenlayer_port_operator::answer::{NotSentCause, RefusalKind, Unreadable};
use zenlayer_port_operator::port::{PortId, PortInfo, PortStatus};
use zenlayer_port_operator::zenlayer::{
    ApiVersion, Batch, ChangeAnswer, Client, Credential, Endpoint, InsecureEndpoint, Priority, Rate,
    Settings, Timeouts, Transport,
};
use zenlayer_simulator::{Account, Answer, Apply, Config, ListFault, Port, Rule, Simulator, Times};

/// An account with one recycled port, `port-1`, and another account without ports.
fn simulator() -> Simulator {
    let config = Config {
        accounts: vec![
            Account::new("default").key("KEY", "PASSWORD").token("ci", "TOKEN"),
            Account::new("other").key("OTHER", "PASSWORD"),
            Account::new("reader").key("READER", "PASSWORD").denied("DestroyPort"),
        ],
        times: Times::INSTANT,
        ..Config::default()
    };
    let simulator = Simulator::start(config).expect("the simulator starts");
    simulator.seed(Port::new("port-1").status(zenlayer_simulator::PortStatus::Recycled));
    simulator
}

fn client_of(simulator: &Simulator, credential: Credential) -> Client {
    let settings = Settings {
        endpoint: Endpoint::parse(&simulator.url(), InsecureEndpoint::Refuse)
            .expect("an endpoint of loopback"),
        proxy: None,
        api_version: ApiVersion::default(),
        requests_per_second: Rate::per_second(1000.0).expect("a valid rate"),
        timeouts: Timeouts::default(),
    };
    Client::new(&Transport::new(settings).expect("a transport"), credential)
}

fn with_key(simulator: &Simulator, id: &str, password: &str) -> Client {
    client_of(simulator, Credential::access_key(id, password).expect("a valid key"))
}

async fn read(client: &Client) -> Result<Vec<PortInfo>, Unreadable> {
    let ids = [PortId::new("port-1"), PortId::new("port-2")];
    read_all(client, &ids).await
}

async fn read_all(client: &Client, ids: &[PortId]) -> Result<Vec<PortInfo>, Unreadable> {
    let permit = client.read_permit(Priority::Release).await?;
    client.describe_ports(permit, Batch::new(ids).expect("a batch"), Priority::Release).await
}

async fn destroy(client: &Client) -> ChangeAnswer {
    let permit = client.change_permit().await;
    client.destroy_port(permit, &PortId::new("port-1")).await
}

#[tokio::test]
async fn a_port_is_terminated_destroyed_and_gone() {
    let simulator = simulator();
    simulator.seed(Port::new("port-2"));
    let client = with_key(&simulator, "KEY", "PASSWORD");
    let id = PortId::new("port-2");
    let permit = client.change_permit().await;
    let terminated = client.terminate_port(permit, &id).await;
    assert!(matches!(terminated, ChangeAnswer::Accepted { request_id: Some(_) }), "{terminated:?}");
    let ports = read(&client).await.expect("a good reading");
    assert_eq!(ports.iter().map(|port| &port.port_status).collect::<Vec<_>>(), [&PortStatus::Recycled; 2]);
    let permit = client.change_permit().await;
    let destroyed = client.destroy_port(permit, &id).await;
    assert!(matches!(destroyed, ChangeAnswer::Accepted { .. }), "{destroyed:?}");
    let left = read(&client).await.expect("a good reading");
    assert_eq!(left.iter().map(|port| port.port_id.as_str()).collect::<Vec<_>>(), ["port-1"]);
}

#[tokio::test]
async fn a_token_opens_the_account_as_well() {
    let simulator = simulator();
    let client = client_of(&simulator, Credential::token("TOKEN").expect("a valid token"));
    assert_eq!(read(&client).await.map(|ports| ports.len()), Ok(1));
}

#[tokio::test]
async fn a_hundred_ports_are_read_with_one_call() {
    let simulator = simulator();
    let ids: Vec<PortId> = (0..100).map(|n| PortId::new(format!("port-{n}"))).collect();
    for id in &ids {
        simulator.seed(Port::new(id.as_str()));
    }
    let client = with_key(&simulator, "KEY", "PASSWORD");
    let ports = read_all(&client, &ids).await;
    assert_eq!(ports.map(|ports| ports.len()), Ok(100));
    assert_eq!(simulator.journal().calls("DescribePorts").count(), 1);
}

#[tokio::test]
async fn another_accounts_key_reads_an_absence_and_a_wrong_password_reads_nothing() {
    let simulator = simulator();
    assert_eq!(read(&with_key(&simulator, "OTHER", "PASSWORD")).await, Ok(vec![]));
    let wrong = read(&with_key(&simulator, "KEY", "WRONG")).await;
    assert!(matches!(&wrong, Err(why) if why.kind() == Some(RefusalKind::Unauthorized)), "{wrong:?}");
}

#[tokio::test]
async fn a_forbidden_action_is_no_dead_credential() {
    let simulator = simulator();
    let answer = destroy(&with_key(&simulator, "READER", "PASSWORD")).await;
    let ChangeAnswer::Refused(refusal) = answer else { panic!("{answer:?}") };
    assert_eq!(refusal.kind, RefusalKind::PermissionDenied, "{refusal}");
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_unclear_and_sent_once() {
    for (what, answer) in [
        ("closed", Answer::Lost),
        ("reset", Answer::Reset),
        ("truncated", Answer::Truncated),
        ("empty", Answer::empty()),
        ("too long", Answer::Huge(65 * 1024)),
        ("a page of a proxy", Answer::html(502)),
        ("a page of a proxy that says 404", Answer::html(404)),
        ("a code in a 200", Answer::code_in_200("SELF_SERVICE_PORT_NOT_FOUND")),
    ] {
        let simulator = simulator();
        simulator.fault(Rule::on("DestroyPort").once().answer(answer));
        let client = with_key(&simulator, "KEY", "PASSWORD");
        // A connection of the pool is one on which a retry would be tempting.
        assert!(read(&client).await.is_ok(), "{what}: the connection works");
        let answer = destroy(&client).await;
        assert!(matches!(answer, ChangeAnswer::Unclear { .. }), "{what}: {answer:?}");
        assert_eq!(simulator.journal().calls("DestroyPort").count(), 1, "{what}");
        assert_eq!(simulator.journal().committed_destroys("port-1"), 1, "{what}");
    }
}

#[tokio::test]
async fn a_list_that_lies_is_no_reading() {
    for lie in [
        ListFault::TotalCount(0),
        ListFault::TotalCount(2),
        ListFault::TotalCount(1000),
        ListFault::Twice,
        ListFault::IgnoreIds,
    ] {
        let simulator = simulator();
        simulator.seed(Port::new("port-77"));
        simulator.fault(Rule::on("DescribePorts").list([lie.clone()]));
        let read = read(&with_key(&simulator, "KEY", "PASSWORD")).await;
        assert!(matches!(read, Err(Unreadable::Unavailable(_))), "{lie:?}: {read:?}");
    }
}

#[tokio::test]
async fn throttling_is_told_with_its_time_and_stops_what_comes_after() {
    let simulator = simulator();
    simulator.fault(Rule::on("DescribePorts").throttle(Some("30")));
    let client = with_key(&simulator, "KEY", "PASSWORD");
    let permit = client.change_permit().await;
    let throttled = read(&client).await.map_err(|why| why.kind());
    assert_eq!(throttled, Err(Some(RefusalKind::Throttled)));
    let late = client.destroy_port(permit, &PortId::new("port-1")).await;
    assert!(matches!(late, ChangeAnswer::NotSent { cause: NotSentCause::Throttled, .. }), "{late:?}");
    assert_eq!(simulator.journal().calls("DestroyPort").count(), 0);
}

#[tokio::test]
async fn a_business_code_is_a_refusal_and_nothing_happens() {
    let simulator = simulator();
    simulator.fault(Rule::on("DestroyPort").apply(Apply::Never).refuse(400, "SOME_PORT_IN_USE"));
    let answer = destroy(&with_key(&simulator, "KEY", "PASSWORD")).await;
    let ChangeAnswer::Refused(refusal) = answer else { panic!("{answer:?}") };
    assert_eq!((refusal.kind, refusal.code.as_str()), (RefusalKind::Other, "SOME_PORT_IN_USE"));
}
