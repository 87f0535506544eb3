//! The stream of events: order, slow readers, readers that leave, too many readers.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::super::client::Client;
use super::super::error::ErrorCode;
use super::super::handle::EVENT_QUEUE;
use super::super::server::Bounds;
use super::super::types::{Event, EventKind};
use super::Fixture;

fn port_up(number: usize) -> Event {
    Event { time_ms: 1, what: EventKind::PortUp { port: format!("veth{number}") } }
}

async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("in time")
}

#[tokio::test]
async fn events_arrive_in_order_as_they_happen() {
    let fixture = Fixture::new().await;
    let mut events =
        patiently(Client::new(&fixture.socket).events()).await.expect("a stream before any event");
    for number in 0..3 {
        fixture.handle.publish(port_up(number));
        let event = patiently(events.next()).await.expect("a line").expect("no end");
        assert_eq!(event.what, port_up(number).what);
    }
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_told_how_much_it_lost() {
    const PUBLISHED: usize = 10 * EVENT_QUEUE;
    let fixture = Fixture::new().await;
    let mut stream = open_stream(&fixture).await;
    // More than ring, socket buffer and hyper's buffer hold together; the yields let the server write what it can.
    for number in 0..PUBLISHED {
        fixture.handle.publish(port_up(number));
        if number % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    fixture.handle.publish(Event { time_ms: 1, what: EventKind::PortDown { port: "last".to_string() } });
    let (mut seen, mut lost) = (0, 0);
    loop {
        let line = patiently(stream.next_line()).await.expect("a line").expect("no end");
        // Lines between events are those of the chunked encoding.
        let Ok(event) = serde_json::from_str::<Event>(&line) else {
            continue;
        };
        match event.what {
            EventKind::Lost { count } => lost += count,
            EventKind::PortUp { .. } => seen += 1,
            _ => break,
        }
    }
    assert!(lost > 0, "all {seen} events fitted: publish more");
    assert_eq!(seen + lost, PUBLISHED as u64);
}

#[tokio::test]
async fn readers_that_leave_give_their_place_back() {
    let bounds = Bounds { event_streams: 1, ..Bounds::default() };
    let fixture = Fixture::with(bounds).await;
    let client = Client::new(&fixture.socket);
    let first = client.events().await.expect("a place");
    let refusal = client.events().await.expect_err("no second place");
    assert_eq!(refusal.code, ErrorCode::LimitReached);
    drop(first);
    // Nothing is published: the server must notice by the connection's end alone.
    patiently(async {
        while client.events().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Opens the stream and reads the head, so that the server has subscribed.
async fn open_stream(fixture: &Fixture) -> tokio::io::Lines<BufReader<UnixStream>> {
    let mut stream = fixture.connect().await;
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("the server reads");
    let mut lines = BufReader::new(stream).lines();
    while !patiently(lines.next_line()).await.expect("a line").expect("a head").is_empty() {}
    lines
}
