//! What verbs print when a controller answers, as text and as JSON.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::super::execute;
use super::{Done, vswitch};
use crate::api::tests::Fixture;
use crate::api::types::{Event, EventKind};

/// One command line against the controller, off the async threads because a command has a runtime of its own.
async fn ask(fixture: &Fixture, line: &str) -> Done {
    let line = format!("--socket {} {line}", fixture.socket.display());
    tokio::task::spawn_blocking(move || vswitch(&line)).await.expect("no panic")
}

#[tokio::test]
async fn each_verb_prints_what_ip_and_docker_users_expect() {
    let fixture = Fixture::new().await;
    let mac = "02:42:ac:11:00:02";
    for (line, first_line, json) in [
        ("status", "version      0.1.0 (ABI 1)", "/version"),
        ("show", "NETWORK  PORT   STATE       HOOK  HOST  MAC", "/0/ports/0/name"),
        ("stats", "PORT   RX    RX-BYTES", "/0/drops/storm"),
        ("port show", "NAME   NETWORK  STATE", "/0/name"),
        ("port show veth0", "name            veth0", "/0/hook_reason"),
        ("port add veth0", "", "/name"),
        ("port set veth0 --flood", "", "/name"),
        ("port del veth0", "", "/changed"),
        ("trace veth0 ff", "veth0 at tc", "/verdict"),
        ("fdb show", "MAC                PORT   NETWORK", "/0/kind"),
        (&format!("fdb add {mac} veth0"), "", "/changed"),
        (&format!("fdb del {mac}"), "", "/changed"),
        ("fdb flush", "", "/changed"),
        ("network ls", "NETWORK ID  NAME     DRIVER", "/0/Name"),
        ("network create n", "1", "/Name"),
        ("network set n --mtu 9000", "", "/Name"),
        ("network rm n", "n", "/changed"),
        ("network inspect n", "[", "/0/Name"),
        ("teardown --yes", "", "/changed"),
    ] {
        let done = ask(&fixture, line).await;
        assert_eq!((done.exit, done.err.as_str()), (ExitCode::SUCCESS, ""), "{line}");
        assert!(done.out.lines().next().unwrap_or_default().starts_with(first_line), "{line}: {}", done.out);
        assert_eq!(done.out.is_empty(), first_line.is_empty(), "{line}: {}", done.out);
        let done = ask(&fixture, &format!("{line} --json")).await;
        let value: Value =
            serde_json::from_str(&done.out).unwrap_or_else(|e| panic!("{line}: {e}: {}", done.out));
        assert!(value.pointer(json).is_some_and(|value| !value.is_null()), "{line}: no {json} in {value}");
    }
}

#[tokio::test]
async fn inspect_prints_an_array_even_without_json() {
    let fixture = Fixture::new().await;
    let done = ask(&fixture, "network inspect default").await;
    let value: Value = serde_json::from_str(&done.out).expect("JSON");
    assert_eq!(value[0]["Name"], "default");
}

/// Takes a number of lines, then is closed as `head` closes a pipe.
struct Head {
    lines_left: usize,
    taken: Vec<u8>,
}

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.lines_left == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.lines_left -= 1;
        self.taken.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn monitor_prints_an_object_a_line_and_ends_quietly_when_its_reader_leaves() {
    let fixture = Fixture::new().await;
    let arguments = ["vswitch", "--socket", &fixture.socket.to_string_lossy(), "monitor", "--json"]
        .map(Into::into)
        .to_vec();
    let monitor = tokio::task::spawn_blocking(move || {
        let (mut head, mut err) = (Head { lines_left: 2, taken: Vec::new() }, Vec::new());
        let exit = execute(arguments, &mut head, &mut err);
        (exit, head.taken, err)
    });
    // The monitor sees events from the time it is subscribed, which nobody else can see.
    while !monitor.is_finished() {
        fixture.handle.publish(Event { time_ms: 1, what: EventKind::PortUp { port: "veth0".to_string() } });
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (exit, taken, err) = monitor.await.expect("no panic");
    assert_eq!((exit, err.len()), (ExitCode::SUCCESS, 0));
    let line = "{\"time_ms\":1,\"event\":\"port_up\",\"port\":\"veth0\"}\n";
    assert_eq!(String::from_utf8(taken).expect("UTF-8"), line.repeat(2));
}
