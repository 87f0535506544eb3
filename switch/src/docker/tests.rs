//! The plugin's server before a loop that only notes what it is asked.

use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::*;
use crate::api::socket::Access;
use crate::api::types::docker::Purpose;

/// A server and the calls that reached the loop.
struct Fixture {
    socket: PathBuf,
    calls: mpsc::UnboundedReceiver<Call>,
    _stop: watch::Sender<bool>,
    _folder: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let socket = folder.path().join("plugins/vswitch.sock");
        let control = ControlSocket::bind_for(&socket, Access::Owner).await.expect("a free place");
        let (handle, mut asked) = Handle::new();
        let (stop, stopped) = watch::channel(false);
        let (note, calls) = mpsc::unbounded_channel();
        tokio::spawn(serve(control, handle, folder.path().join("none"), stopped));
        tokio::spawn(async move {
            while let Some(call) = asked.recv().await {
                let answer = match call.request {
                    Request::Docker(call) => {
                        let answer = match *call {
                            Call::DeleteNetwork { .. } => {
                                Err(ApiError::new(ErrorCode::NetworkInUse, "it is in use"))
                            }
                            _ => Ok(Reply::Docker(Box::new(Answer::Done))),
                        };
                        let _test_ended = note.send(*call);
                        answer
                    }
                    other => panic!("{other:?} from a Docker engine"),
                };
                let _gone = call.reply.send(answer);
            }
        });
        Self { socket, calls, _stop: stop, _folder: folder }
    }

    async fn ask(&self, line: &str, body: &str) -> (u16, Value) {
        let mut stream = UnixStream::connect(&self.socket).await.expect("the server listens");
        let length = body.len();
        let text = format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(text.as_bytes()).await.expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the server answers and closes");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        (status, serde_json::from_str(body).expect("JSON"))
    }

    async fn post(&self, method: &str, body: Value) -> (u16, Value) {
        self.ask(&format!("POST /{method}"), &body.to_string()).await
    }
}

#[tokio::test]
async fn the_handshake_says_what_the_plugin_is() {
    let fixture = Fixture::new().await;
    let (status, answer) = fixture.ask("POST /Plugin.Activate", "").await;
    assert_eq!((status, answer), (200, json!({ "Implements": ["NetworkDriver", "IpamDriver"] })));
    let (_, answer) = fixture.ask("POST /NetworkDriver.GetCapabilities", "").await;
    assert_eq!(answer, json!({ "Scope": "local", "ConnectivityScope": "local" }));
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&fixture.socket).expect("the socket's file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_by_status_and_what_fails_by_err() {
    let fixture = Fixture::new().await;
    for (line, body, expected) in [
        ("POST /NetworkDriver.Nonsense", "{}", 404),
        ("POST /v1/status", "{}", 404),
        ("GET /Plugin.Activate", "", 405),
        ("POST /NetworkDriver.CreateNetwork", "", 400),
        ("POST /NetworkDriver.CreateNetwork", "{", 400),
        ("POST /NetworkDriver.CreateNetwork", "[]", 400),
        ("POST /NetworkDriver.CreateNetwork", r#"{"NetworkID":""}"#, 400),
        ("POST /NetworkDriver.CreateNetwork", r#"{"NetworkID":"../x"}"#, 400),
        ("POST /NetworkDriver.CreateNetwork", r#"{"NetworkID":"a","IPv4Data":[{"Pool":"x"}]}"#, 400),
        ("POST /NetworkDriver.Join", r#"{"NetworkID":"a"}"#, 400),
        ("POST /NetworkDriver.GetCapabilities", "nonsense", 400),
        ("POST /IpamDriver.ReleaseAddress", r#"{"PoolID":"a","Address":"b"}"#, 400),
    ] {
        let (status, answer) = fixture.ask(line, body).await;
        assert_eq!(status, expected, "{line} {body}: {answer}");
        assert!(answer["Err"].is_string(), "{answer}");
    }
    let (status, answer) = fixture.post("NetworkDriver.DeleteNetwork", json!({ "NetworkID": "a" })).await;
    assert_eq!(
        (status, &answer["Err"], &answer["Error"]),
        (200, &json!("it is in use"), &json!("it is in use"))
    );
}

#[tokio::test]
async fn calls_arrive_as_docker_meant_them() {
    let mut fixture = Fixture::new().await;
    let network = json!({
        "NetworkID": "abc",
        "Options": {
            "com.docker.network.enable_ipv6": true,
            "com.docker.network.internal": true,
            "com.docker.network.generic": { "com.docker.network.driver.mtu": "1400", "vswitch.network": "web" },
        },
        "IPv4Data": [{
            "AddressSpace": "LocalDefault", "Pool": "10.1.0.0/24", "Gateway": "10.1.0.1/24",
            "AuxAddresses": { "router": "10.1.0.9/24" }, "Later": 1,
        }],
        "IPv6Data": null,
    });
    assert_eq!(fixture.post("NetworkDriver.CreateNetwork", network).await, (200, json!({})));
    let Some(Call::CreateNetwork(wish)) = fixture.calls.recv().await else { panic!("a network") };
    assert!(wish.internal && wish.options.mtu == Some(1400) && wish.options.name.as_deref() == Some("web"));
    assert_eq!(wish.pools[0].gateway, Some(IpAddr::from([10, 1, 0, 1])));
    assert_eq!(wish.pools[0].auxiliary, [IpAddr::from([10, 1, 0, 9])]);

    let endpoint = json!({
        "NetworkID": "abc", "EndpointID": "def",
        "Interface": { "Address": "10.1.0.2/24", "AddressIPv6": "", "MacAddress": "" },
        "Options": { "com.docker.network.portmap": [
            { "Proto": 6, "IP": "", "Port": 80, "HostIP": "", "HostPort": 8080, "HostPortEnd": 8080 },
        ] },
    });
    fixture.post("NetworkDriver.CreateEndpoint", endpoint).await;
    let Some(Call::CreateEndpoint(wish)) = fixture.calls.recv().await else { panic!("an endpoint") };
    assert_eq!((wish.ips, wish.mac), (vec![IpAddr::from([10, 1, 0, 2])], None));
    assert_eq!((wish.bindings[0].port, wish.bindings[0].host_ports), (80, (8080, 8080)));

    let request = json!({ "PoolID": "p", "Address": "", "Options": { "RequestAddressType": "com.docker.network.gateway" } });
    fixture.post("IpamDriver.RequestAddress", request).await;
    let Some(Call::RequestAddress(request)) = fixture.calls.recv().await else { panic!("an address") };
    assert_eq!((request.ip, request.purpose), (None, Purpose::Gateway));
}

#[tokio::test]
async fn an_option_that_nobody_honours_is_refused() {
    let fixture = Fixture::new().await;
    let options = json!({ "com.docker.network.generic": { "com.docker.network.bridge.name": "br7" } });
    let network = json!({ "NetworkID": "abc", "Options": options, "IPv4Data": [] });
    let (status, answer) = fixture.post("NetworkDriver.CreateNetwork", network).await;
    let message = answer["Err"].as_str().unwrap_or_default();
    assert!(
        status == 200 && message.contains("bridge.name") && message.contains("vswitch.network"),
        "{answer}"
    );
}
