//! `zenlayer-simulator`: the simulator as a program.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use jiff::SignedDuration;
use tokio::signal::unix::{SignalKind, signal};
use zenlayer_simulator::{
    Account, CONTROL_API, ChargeType, Config, Credential, CredentialKind, DEFAULT_ACCOUNT, Port, PortStatus,
    RateLimit, Simulator, Times,
};

/// Simulates the Zenlayer API for SDN ports, over plain HTTP.
///
/// Ports move to the recycle bin, are destroyed and disappear as Zenlayer's documentation says. You choose how long each step
/// takes. Under /control/ you can add ports, cause faults, and read the journal of what happened.
#[derive(Parser)]
#[command(version, after_help = CONTROL_API)]
struct Options {
    /// The address to listen on. Port 0 takes a free port.
    #[arg(long, env = "ZENLAYER_SIMULATOR_LISTEN", default_value = "127.0.0.1:8099")]
    listen: SocketAddr,
    /// An access key, as ID:PASSWORD or ID:PASSWORD:ACCOUNT. Can be given several times; in the environment, separated
    /// by `;`.
    #[arg(
        long = "access-key",
        env = "ZENLAYER_SIMULATOR_ACCESS_KEYS",
        hide_env_values = true,
        value_delimiter = ';',
        default_value = "demo:demo-password"
    )]
    access_keys: Vec<String>,
    /// A personal access token, as TOKEN or TOKEN:ACCOUNT. Can be given several times.
    #[arg(long = "token", env = "ZENLAYER_SIMULATOR_TOKENS", hide_env_values = true, value_delimiter = ';')]
    tokens: Vec<String>,
    /// A port, as ID=STATUS[,name=…][,type=…][,dc=…][,charge=PREPAID][,account=…]. Can be given several times.
    // Kubernetes sets ZENLAYER_SIMULATOR_PORT to an address beside a Service of this name.
    #[arg(long = "port", env = "ZENLAYER_SIMULATOR_SEED", value_delimiter = ';', value_parser = port)]
    port: Vec<Port>,
    /// This many more ports, as N or N=STATUS. They are named port-00001 and so on, and are RUNNING if no status is given.
    #[arg(long, env = "ZENLAYER_SIMULATOR_SEED_MANY", value_parser = many_ports)]
    ports: Option<ManyPorts>,
    /// How long a port stays CREATING.
    #[arg(long, env = "ZENLAYER_SIMULATOR_CREATE_TIME", default_value = "5s", value_parser = duration)]
    create_time: Duration,
    /// How long a port stays DELETING, before it is in the recycle bin.
    #[arg(long, env = "ZENLAYER_SIMULATOR_TERMINATE_TIME", default_value = "5s", value_parser = duration)]
    terminate_time: Duration,
    /// How long a port stays RECOVERING.
    #[arg(long, env = "ZENLAYER_SIMULATOR_RENEW_TIME", default_value = "5s", value_parser = duration)]
    renew_time: Duration,
    /// How long a port stays DESTROYING.
    #[arg(long, env = "ZENLAYER_SIMULATOR_DESTROY_TIME", default_value = "60s", value_parser = duration)]
    destroy_time: Duration,
    /// How long a destroyed port stays in the list.
    #[arg(long, env = "ZENLAYER_SIMULATOR_DESTROYED_LISTED_FOR", default_value = "0s", value_parser = duration)]
    destroyed_listed_for: Duration,
    /// The requests per second that each account may make. Without it there is no limit.
    #[arg(long, env = "ZENLAYER_SIMULATOR_RATE_LIMIT", value_parser = rate)]
    rate_limit: Option<f64>,
}

#[derive(Clone)]
struct ManyPorts {
    number: u32,
    status: PortStatus,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    // Listened for before the URL is printed, so that whoever read it can end us well.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let simulator = Simulator::start(config(options)?)?;
    writeln!(std::io::stdout(), "{}", simulator.url())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn config(options: Options) -> anyhow::Result<Config> {
    let accounts = accounts(&options)?;
    let more = options.ports.into_iter().flat_map(|many| {
        (1..=many.number).map(move |n| Port::new(format!("port-{n:05}")).status(many.status.clone()))
    });
    Ok(Config {
        listen: options.listen,
        accounts,
        ports: options.port.into_iter().chain(more).collect(),
        times: Times {
            create: options.create_time,
            terminate: options.terminate_time,
            renew: options.renew_time,
            destroy: options.destroy_time,
            destroyed_listed_for: options.destroyed_listed_for,
        },
    })
}

/// The accounts that the credentials name, each with all of its own.
fn accounts(options: &Options) -> anyhow::Result<Vec<Account>> {
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    let mut add = |account: &str, kind, id: String, secret: &str| {
        let new =
            || Account { rate_limit: options.rate_limit.map(RateLimit::per_second), ..Account::new(account) };
        let credential =
            Credential { kind, id, secret: secret.to_owned(), denied_actions: Vec::new(), only_ports: None };
        accounts.entry(account.to_owned()).or_insert_with(new).credentials.push(credential);
    };
    for text in &options.access_keys {
        let (id, rest) =
            text.split_once(':').context("an access key is ID:PASSWORD or ID:PASSWORD:ACCOUNT")?;
        let (password, account) = rest.split_once(':').unwrap_or((rest, DEFAULT_ACCOUNT));
        add(account, CredentialKind::AccessKey, id.to_owned(), password);
    }
    for (number, text) in (1..).zip(&options.tokens) {
        let (token, account) = text.split_once(':').unwrap_or((text, DEFAULT_ACCOUNT));
        add(account, CredentialKind::Token, format!("token-{number}"), token);
    }
    Ok(accounts.into_values().collect())
}

fn port(text: &str) -> Result<Port, String> {
    let mut parts = text.split(',');
    let (id, status) = parts
        .next()
        .and_then(|first| first.split_once('='))
        .ok_or_else(|| format!("`{text}` does not begin with ID=STATUS"))?;
    let port = Port::new(id).status(PortStatus::from(status.to_owned()));
    parts.try_fold(port, |port, part| match part.split_once('=') {
        Some(("name", name)) => Ok(port.name(name)),
        Some(("type", port_type)) => Ok(port.port_type(port_type)),
        Some(("dc", dc_id)) => Ok(port.data_center(dc_id)),
        Some(("account", account)) => Ok(port.account(account)),
        Some(("charge", "PREPAID")) => Ok(port.charge_type(ChargeType::Prepaid)),
        Some(("charge", "POSTPAID")) => Ok(port.charge_type(ChargeType::Postpaid)),
        _ => Err(format!("`{part}` is none of name=, type=, dc=, account=, charge=PREPAID, charge=POSTPAID")),
    })
}

fn many_ports(text: &str) -> Result<ManyPorts, String> {
    let (number, status) = text.split_once('=').unwrap_or((text, "RUNNING"));
    let number = number.parse().map_err(|_| format!("`{text}` is not N or N=STATUS"))?;
    Ok(ManyPorts { number, status: PortStatus::from(status.to_owned()) })
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration =
        text.parse().map_err(|_| format!("`{text}` is not a duration such as 250ms, 60s or 1h"))?;
    duration.try_into().map_err(|_| format!("`{text}` is negative"))
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 => Ok(rate),
        _ => Err(format!("`{text}` is not a number of requests per second above 0")),
    }
}
