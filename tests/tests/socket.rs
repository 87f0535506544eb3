//! Bad input to the control socket itself, past the CLI: an error body, nothing changed, and the next request served.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use vswitch_tests::prelude::*;

/// Sends octets as they are and returns all that comes back until the controller closes.
///
/// `hang_up` ends the sending side first, which to an HTTP server is a client that has gone.
fn say(switch: &Switch, octets: &[u8], hang_up: bool) -> String {
    let mut stream = UnixStream::connect(switch.socket()).expect("the controller listens");
    stream.set_read_timeout(Some(SOON)).expect("the timeout is not zero");
    // It may hang up on nonsense before it has read all of it.
    let _ = stream.write_all(octets);
    if hang_up {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// One HTTP request; its status and the error code in its body.
#[track_caller]
fn request(switch: &Switch, method: &str, path: &str, body: &str) -> (u16, String) {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: vswitch\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = say(switch, (head + body).as_bytes(), false);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let json = body.find('{').and_then(|start| serde_json::from_str(&body[start..=body.rfind('}')?]).ok());
    let json: serde_json::Value = json.unwrap_or_default();
    let code = json["error"]["code"].as_str().unwrap_or_default().to_owned();
    (status.unwrap_or_else(|| panic!("{method} {path}: no HTTP answer: {answer:?}")), code)
}

/// A lab with one port, which must be there unchanged at the end.
fn one_port() -> Option<Lab> {
    let mut lab = Hooks::Tc.vswitch_lab("socket")?;
    let a = lab.host_with("a", HostOptions::bare());
    lab.connect(&a, PortOptions::default());
    Some(lab)
}

#[track_caller]
fn assert_untouched(switch: &Switch) {
    let ports = switch.ports();
    assert!(ports.len() == 1 && ports[0].state == PortState::Forwarding, "{ports:?}");
}

#[test]
fn bad_requests_get_an_error_body() {
    let Some(lab) = one_port() else { return };
    let switch = lab.switch();
    let too_long = format!("{{\"link\":\"{}\"}}", "x".repeat(8 << 20));
    for (method, path, body, status, code) in [
        ("POST", "/v1/ports", "", 400, "bad-request"),
        ("POST", "/v1/ports", "{", 400, "bad-request"),
        ("POST", "/v1/ports", "[]", 400, "bad-request"),
        ("POST", "/v1/ports", r#"{"link":7}"#, 400, "bad-request"),
        ("POST", "/v1/ports", r#"{"link":"x0","nonsense":true}"#, 400, "bad-request"),
        ("POST", "/v1/ports", r#"{"link":"x0","mac":"zz"}"#, 400, "bad-request"),
        ("POST", "/v1/ports", r#"{"link":"x0"}"#, 404, "no-such-link"),
        ("POST", "/v1/ports", &too_long, 413, "body-too-large"),
        ("POST", "/v1/fdb", r#"{"mac":"02:00:00:00:00:01"}"#, 400, "bad-request"),
        ("POST", "/v1/networks", r#"{"name":"n","ageing":-1}"#, 400, "bad-request"),
        ("GET", "/v1/fdb?vlan=9999", "", 400, "bad-request"),
        ("GET", "/v1/fdb?nonsense=1", "", 400, "bad-request"),
        ("GET", "/v1/ports/%ff%fe", "", 400, "bad-request"),
        ("DELETE", "/v1/fdb/not-a-mac", "", 400, "invalid-mac"),
        ("GET", "/v1/nonsense", "", 404, "unknown-route"),
        ("GET", "/", "", 404, "unknown-route"),
        ("GET", "/v2/ports", "", 404, "unknown-route"),
        ("PUT", "/v1/ports", "{}", 405, "wrong-method"),
        ("DELETE", "/v1/ports/nosuch0", "", 404, "no-such-port"),
    ] {
        let (got, got_code) = request(switch, method, path, body);
        let shown: String = body.chars().take(60).collect();
        assert_eq!((got, got_code.as_str()), (status, code), "{method} {path} {shown}");
        assert_untouched(switch);
    }
}

#[test]
fn what_is_not_http_does_not_disturb_the_controller() {
    let Some(lab) = one_port() else { return };
    let switch = lab.switch();
    let endless_head = [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 4 << 20]].concat();
    for octets in [&b""[..], b"\x16\x03\x01\x02\x00", b"hello\r\n\r\n", &[0; 4096], &endless_head] {
        let answer = say(switch, octets, true);
        assert!(!answer.contains(" 200 "), "{answer}");
        assert_untouched(switch);
    }
    // Requests that stop half-way, left open while others are served.
    let half = b"POST /v1/ports HTTP/1.1\r\nHost: v\r\nContent-Length: 100\r\n\r\n{\"link\"";
    let open: Vec<UnixStream> = (0..20)
        .map(|_| {
            let mut stream = UnixStream::connect(switch.socket()).expect("the controller listens");
            stream.write_all(half).expect("it reads");
            stream
        })
        .collect();
    assert_untouched(switch);
    drop(open);
    assert_untouched(switch);
}
