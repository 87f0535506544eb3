//! Every request arrives at the loop as it left the caller, and every reply comes back.

use super::super::client::Client;
use super::super::error::ErrorCode;
use super::super::socket::ControlSocket;
use super::super::types::{Request, samples};
use super::super::wire::encode;
use super::Fixture;

#[tokio::test]
async fn every_request_and_its_reply_survive_the_way() {
    let fixture = Fixture::new().await;
    let client = Client::new(&fixture.socket);
    for request in samples::requests() {
        let reply = client.call(request.clone()).await.unwrap_or_else(|e| panic!("{request:?}: {e}"));
        let arrived = fixture.asked().pop().expect("a request arrived");
        assert_eq!(json(&arrived), json(&request));
        assert_eq!(json(&reply), json(&samples::reply_to(&request)));
    }
}

#[test]
fn a_request_is_a_get_exactly_when_it_only_reads() {
    for request in samples::requests() {
        let call = encode(&request).expect("a route");
        assert_eq!(call.method == "GET", request.is_read_only(), "{request:?}");
    }
}

#[tokio::test]
async fn without_a_controller_the_client_says_how_to_start_one() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let socket = folder.path().join("none.sock");
    let error = Client::new(&socket).call(Request::Status).await.expect_err("nobody listens");
    assert_eq!(error.code, ErrorCode::NotRunning);
    assert!(error.message.contains("vswitch run") && error.message.contains("none.sock"), "{error}");
}

#[tokio::test]
async fn a_controller_that_dies_before_it_answers_is_not_taken_for_none() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let socket = folder.path().join("vswitch.sock");
    let listener = tokio::net::UnixListener::bind(&socket).expect("a free place");
    let client = Client::new(&socket);
    let die = async { drop(listener.accept().await.expect("the client connects")) };
    let (answer, ()) = tokio::join!(client.call(Request::Teardown), die);
    assert_eq!(answer.expect_err("no answer").code, ErrorCode::ConnectionLost);
}

#[tokio::test]
async fn a_controller_whose_queue_is_full_is_not_taken_for_none() {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let path = folder.path().join("vswitch.sock");
    let listener = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).expect("a socket");
    let address = UnixAddr::new(&path).expect("a short path");
    bind(std::os::fd::AsRawFd::as_raw_fd(&listener), &address).expect("a free place");
    listen(&listener, Backlog::new(0).expect("a valid backlog")).expect("a listener");
    let _waiting = tokio::net::UnixStream::connect(&path).await.expect("the queue's one place");
    let error = Client::new(&path).call(Request::Teardown).await.expect_err("no place left");
    assert_eq!(error.code, ErrorCode::LimitReached);
    let error = ControlSocket::bind(&path).await.expect_err("somebody listens");
    assert_eq!(error.code, ErrorCode::AlreadyRunning);
}

#[tokio::test]
async fn a_controller_that_stops_answers_what_is_under_way_and_leaves_no_socket() {
    let fixture = Fixture::new().await;
    let client = Client::new(&fixture.socket);
    let mut events = client.events().await.expect("a stream");
    fixture.stop.send(true).expect("the server listens");
    assert!(events.next().await.expect("an orderly end").is_none());
    fixture.server.await.expect("the server does not panic");
    assert!(!fixture.socket.exists());
    assert_eq!(client.call(Request::Status).await.expect_err("gone").code, ErrorCode::NotRunning);
}

fn json<T: serde::Serialize>(value: &T) -> serde_json::Value {
    serde_json::to_value(value).expect("JSON")
}
