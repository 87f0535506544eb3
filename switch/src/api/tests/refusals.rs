//! What the server refuses, and that it says so in the contract's shape, naming the place.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::error::ErrorCode;
use super::super::extract::BODY_LIMIT;
use super::super::peer::Peer;
use super::super::server::{Bounds, Caller};
use super::{Fixture, STUCK_LINK};

/// Asserts the status and code of a refusal and that its message holds `place`; nothing may have reached the loop.
async fn refused(fixture: &Fixture, request: (&str, &str, &str), status: u16, code: &str, place: &str) {
    let (method, target, body) = request;
    let (got, answer) = fixture.ask(method, target, body).await;
    assert_eq!(
        (got, &answer["error"]["code"]),
        (status, &code.into()),
        "{method} {target} {body:.80}: {answer}"
    );
    let message = answer["error"]["message"].as_str().expect("a message");
    assert!(message.contains(place), "{message:?} does not name {place:?}");
    assert!(fixture.asked().is_empty(), "{method} {target} reached the loop");
}

#[tokio::test]
async fn a_malformed_body_is_refused_by_its_place() {
    let fixture = Fixture::new().await;
    for (body, place) in [
        ("", "line 1 column 0"),
        ("{", "line 1 column 1"),
        ("[]", "link"),
        (r#"{"link":"veth0"} x"#, "trailing characters at line 1 column 18"),
        (r#"{"link":"veth0","colour":"red"}"#, "colour"),
        (r#"{"link":"veth0","mac_limit":"many"}"#, "mac_limit"),
        (r#"{"link":"veth0","mac":"02:42"}"#, "mac"),
        (r#"{"link":"veth0","vlan":{"mode":"access","pvid":4095}}"#, "vlan.pvid"),
        (r#"{"link":"veth0","vlan":{"mode":"access","pvid":1,"tag":2}}"#, "vlan.tag"),
        (r#"{"link":"veth0","storm":{"unicast":1}}"#, "storm"),
        ("{}", "link"),
        ("7", "invalid type: integer"),
    ] {
        refused(&fixture, ("POST", "/v1/ports", body), 400, "bad-request", place).await;
    }
}

#[tokio::test]
async fn a_body_for_another_subject_than_the_path_is_refused() {
    let fixture = Fixture::new().await;
    let body = r#"{"link":"veth1"}"#;
    refused(&fixture, ("PATCH", "/v1/ports/veth0", body), 400, "bad-request", "veth1").await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_read() {
    let fixture = Fixture::new().await;
    let body = r#"{"link":"veth0"}"#;
    let padded = |bytes: usize| body.to_string() + &" ".repeat(bytes - body.len());
    let over = padded(BODY_LIMIT + 1);
    refused(&fixture, ("POST", "/v1/ports", &over), 413, "body-too-large", "body").await;
    let (status, _) = fixture.ask("POST", "/v1/ports", &padded(BODY_LIMIT)).await;
    assert_eq!(status, 201);
}

#[tokio::test]
async fn unknown_routes_methods_and_queries_are_refused() {
    let fixture = Fixture::new().await;
    for target in ["/", "/v1", "/v1/", "/v1/ports/", "/v2/ports", "/v1/ports/veth0/fdb", "/v1/status/"] {
        refused(&fixture, ("GET", target, ""), 404, "unknown-route", target).await;
    }
    refused(&fixture, ("PUT", "/v1/ports", "{}"), 405, "wrong-method", "PUT").await;
    refused(&fixture, ("DELETE", "/v1/status", ""), 405, "wrong-method", "/v1/status").await;
    refused(&fixture, ("GET", "/v1/ports?colour=red", ""), 400, "bad-request", "colour").await;
    refused(&fixture, ("GET", "/v1/status?verbose=1", ""), 400, "bad-request", "verbose").await;
    refused(&fixture, ("GET", "/v1/fdb?vlan=0", ""), 400, "bad-request", "VLAN").await;
    refused(&fixture, ("DELETE", "/v1/fdb/02:42", ""), 400, "invalid-mac", "02:42").await;
}

#[test]
fn a_foreign_user_may_not_change_the_switch() {
    let peer = Peer { pid: None, uid: 1000, gid: 1000, groups: vec![4] };
    let refusal =
        Caller { peer: peer.clone(), socket_gid: 990 }.check_write("POST /v1/ports").expect_err("foreign");
    assert_eq!((refusal.code, refusal.code.status().as_u16()), (ErrorCode::PermissionDenied, 403));
    assert!(refusal.message.contains("POST /v1/ports") && refusal.message.contains("1000"), "{refusal}");
    assert!(Caller { peer, socket_gid: 4 }.check_write("POST /v1/ports").is_ok());
}

#[tokio::test]
async fn a_half_open_connection_is_ended_and_holds_nobody_up() {
    let bounds = Bounds { head: Duration::from_millis(200), ..Bounds::default() };
    let fixture = Fixture::with(bounds).await;
    let mut half_open = fixture.connect().await;
    half_open.write_all(b"GET /v1/status HTTP/1.1\r\nhost:").await.expect("the server reads");
    let mut silent = fixture.connect().await;
    assert_eq!(fixture.ask("GET", "/v1/status", "").await.0, 200);
    for stream in [&mut half_open, &mut silent] {
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "the server keeps a half-open connection");
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_refused() {
    let bounds = Bounds { body: Duration::from_millis(100), ..Bounds::default() };
    let fixture = Fixture::with(bounds).await;
    let mut stream = fixture.connect().await;
    let head = b"POST /v1/ports HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head).await.expect("the server reads");
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(5), reading)
        .await
        .expect("an answer in time")
        .expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("did not arrive"), "{answer}");
}

#[tokio::test]
async fn whoever_says_nothing_gives_up_his_place_to_one_who_does() {
    let bounds = Bounds { connections: 3, ..Bounds::default() };
    let fixture = Fixture::with(bounds).await;
    let mut reader = fixture.connect().await;
    reader.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("the server reads");
    let mut head = [0; 12];
    reader.read_exact(&mut head).await.expect("an answer");
    let mut silent = fixture.connect().await;
    let mut half_open = fixture.connect().await;
    half_open
        .write_all(b"POST /v1/ports HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
        .await
        .expect("read");
    for _ in 0..3 {
        let asked = tokio::time::Instant::now();
        assert_eq!(fixture.ask("GET", "/v1/status", "").await.0, 200);
        assert!(asked.elapsed() < Duration::from_secs(5), "waited for a silent one");
    }
    let ended = tokio::time::timeout(Duration::from_secs(5), silent.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "the one that was silent for longest keeps its place");
    // A reader of events is not idle: he waits.
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), async {
        while reader.read(&mut byte).await.is_ok_and(|count| count != 0) {}
    });
    assert!(early.await.is_err(), "the reader of events was closed");
}

#[tokio::test]
async fn a_loop_that_does_not_answer_is_a_timeout() {
    let bounds = Bounds { request: Duration::from_millis(100), ..Bounds::default() };
    let fixture = Fixture::with(bounds).await;
    let (status, body) = fixture.ask("GET", &format!("/v1/stats?link={STUCK_LINK}"), "").await;
    assert_eq!((status, &body["error"]["code"]), (504, &"timeout".into()));
    assert_eq!(fixture.ask("GET", "/v1/status", "").await.0, 200, "others are answered");
}
