//! A scripted server for the tests of the client: plain threads and sockets, so that it can also misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::net::TcpSocket;

use super::{
    ApiVersion, Client, Credential, Endpoint, InsecureEndpoint, Rate, Settings, Timeouts, Transport,
};

/// What the server does with one request; each comes on a connection of its own.
pub(super) enum Script {
    /// Sends these bytes, and closes the connection.
    Send(Vec<u8>),
    /// Keeps the connection open, and silent, until the server is dropped.
    Hang,
}

/// An answer that says how long it is.
pub(super) fn answer(status: &str, body: &str) -> Script {
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    Script::Send(text.into())
}

/// An answer with this `response`.
pub(super) fn good(response: &Value) -> Script {
    answer("200 OK", &serde_json::json!({ "requestId": "T1", "response": response }).to_string())
}

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) line: String,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the request's body is JSON")
    }
}

pub(super) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    /// Holds the port of a server that does not listen, so that nobody else comes to listen there.
    _held: Option<TcpSocket>,
}

impl Server {
    /// Plays the script, one item per request, and is then gone.
    pub(super) fn play(script: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port of loopback");
        let address = listener.local_addr().expect("the port just bound");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            let mut hanging = Vec::new();
            for item in script {
                let Ok((mut stream, _)) = listener.accept() else { return };
                log.lock().expect("no test panics with the log").push(receive(&stream));
                match item {
                    Script::Send(bytes) => drop(stream.write_all(&bytes)),
                    Script::Hang => hanging.push(stream),
                }
            }
            // A hanging connection ends when its client gives up.
            for mut stream in hanging {
                drop(stream.read(&mut [0]));
            }
        });
        Self { address, requests, _held: None }
    }

    /// A server that nobody is listening at.
    pub(super) fn gone() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port of loopback");
        let address = socket.local_addr().expect("the port just bound");
        Self { address, requests: Arc::default(), _held: Some(socket) }
    }

    pub(super) fn authority(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no test panics with the log").clone()
    }

    pub(super) fn client(&self) -> Client {
        let credential = Credential::access_key("ZLKEYEXAMPLE0001", SECRET).expect("a valid key");
        self.client_with(credential, Timeouts::default())
    }

    pub(super) fn client_with(&self, credential: Credential, timeouts: Timeouts) -> Client {
        let url = format!("http://{}", self.address);
        let settings = Settings {
            endpoint: Endpoint::parse(&url, InsecureEndpoint::Refuse).expect("an endpoint of loopback"),
            proxy: None,
            api_version: ApiVersion::default(),
            requests_per_second: Rate::per_second(1000.0).expect("a valid rate"),
            timeouts,
        };
        Client::new(&Transport::new(settings).expect("a transport"), credential)
    }
}

pub(super) const SECRET: &str = "zl-secret-EXAMPLE-0123456789abcdef";

fn receive(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a request is read");
        line.trim_end().to_owned()
    };
    let first = line();
    let headers: Vec<(String, String)> = std::iter::from_fn(|| {
        line().split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()))
    })
    .collect();
    let mut request = Request { line: first, headers, body: String::new() };
    let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or_default();
    reader.take(length).read_to_string(&mut request.body).expect("a body is read");
    request
}
