//! docker0 and vswitch side by side: the same containers, engine, rules and moments, by turns with and without a takeover.
//!
//! Prints a table of medians. One short round unless `VSWITCH_ROUNDS` says more; on a busy machine only the ratios mean
//! something, and those not much.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use vswitch_tests::prelude::*;
use vswitch_tests::process::Process;

use crate::docker::{HOST, Machine};

/// Port of the iperf3 in a container, published under the same number.
const PORT: &str = "5201";

/// What is measured: title, unit, and the figure.
type Measurement<'a> = (&'static str, &'static str, Box<dyn Fn() -> f64 + 'a>);

/// Rounds of measuring, and seconds of each transfer.
fn effort() -> (usize, &'static str) {
    match std::env::var("VSWITCH_ROUNDS").map(|text| text.parse()) {
        // In whole seconds: iperf3 takes half a one for none, and goes on for ever.
        Err(_) => (1, "1"),
        Ok(rounds) => (rounds.expect("VSWITCH_ROUNDS is a number"), "2"),
    }
}

/// The sum that an iperf3 client reports under a name.
fn iperf(from: &Host, to: Ipv4Addr, options: &[&str], sum: &str) -> serde_json::Value {
    let (to, (_, seconds)) = (to.to_string(), effort());
    // A server that is still busy with the last client says so.
    until("an iperf3 server to take a client", SOON * 3, || {
        let mut command = from.command("iperf3");
        command.args(["-J", "-p", PORT, "-c", &to, "-t", seconds]).args(options);
        let output = command.output().expect("iperf3 is installed");
        let mut report: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        Some(report["end"][sum].take()).filter(serde_json::Value::is_object)
    })
}

fn tcp(from: &Host, to: Ipv4Addr) -> f64 {
    iperf(from, to, &[], "sum_received")["bits_per_second"].as_f64().unwrap_or_default() / 1e9
}

/// Small datagrams that arrive, in thousands a second.
fn udp(from: &Host, to: Ipv4Addr) -> f64 {
    let sum = iperf(from, to, &["-u", "-b", "0", "-l", "64"], "sum");
    let number = |what| sum[what].as_f64().unwrap_or_default();
    (number("packets") - number("lost_packets")) / number("seconds").max(0.1) / 1e3
}

/// Requests of one octet and their answers over one connection, in thousands a second.
fn requests(from: &Host, to: &Host) -> f64 {
    let listener =
        to.run(|| TcpListener::bind(SocketAddr::from((to.ipv4(), 0)))).expect("the address is there");
    let there = listener.local_addr().expect("a bound socket has an address");
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody connects");
        stream.set_nodelay(true).expect("TCP");
        let mut octet = [0];
        while stream.read_exact(&mut octet).is_ok() && stream.write_all(&octet).is_ok() {}
    });
    let mut stream = from.run(|| TcpStream::connect(there)).expect("somebody listens");
    stream.set_nodelay(true).expect("TCP");
    let (start, mut count, (_, seconds)) = (Instant::now(), 0_u32, effort());
    let until = Duration::from_secs_f64(seconds.parse().expect("a number"));
    while start.elapsed() < until {
        stream.write_all(&[1]).and_then(|()| stream.read_exact(&mut [0])).expect("the connection holds");
        count += 1;
    }
    let took = start.elapsed();
    drop(stream);
    echo.join().expect("no panic");
    f64::from(count) / took.as_secs_f64() / 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn docker0_and_vswitch_carry_the_same_traffic_by_turns() {
    let mut machine = Machine::new("measured");
    machine.engine.run("c1", &[]);
    machine.engine.run("c2", &["-p", "5201:5201"]);
    let [a, b] = ["c1", "c2"].map(|name| machine.engine.host(name, "bridge"));
    let serve = ["-s", "-p", PORT];
    let _at_b = Process::start(b.command("iperf3").args(serve), &machine.lab.log_path("iperf3-b"));
    let outside = machine.outside.clone();
    machine.lab.daemon(&outside, "iperf3", &serve);
    let measurements: [Measurement; 5] = [
        ("container to container, TCP", "Gb/s", Box::new(|| tcp(&a, b.ipv4()))),
        ("container to container, UDP 64 B", "kpps", Box::new(|| udp(&a, b.ipv4()))),
        ("container to container, TCP requests", "k/s", Box::new(|| requests(&a, &b))),
        ("outside to published port, TCP", "Gb/s", Box::new(|| tcp(&outside, HOST))),
        ("container to outside, TCP", "Gb/s", Box::new(|| tcp(&a, outside.ipv4()))),
    ];
    let mut found = [(); 2].map(|()| vec![Vec::new(); measurements.len()]);
    for _ in 0..effort().0 {
        for (turn, figures) in found.iter_mut().enumerate() {
            if turn == 1 {
                machine.switch().ok(&["takeover", "docker0"]);
            }
            for ((.., measure), figures) in measurements.iter().zip(figures) {
                figures.push(measure());
            }
        }
        machine.switch().ok(&["release", "docker0"]);
    }
    println!(
        "| {:<38} | docker0 | vswitch | ratio |\n|---|---|---|---|",
        format!("medians of {}", effort().0)
    );
    let [docker0, vswitch] = found.map(|figures| figures.into_iter().map(median).collect::<Vec<_>>());
    for ((what, unit, _), (docker0, vswitch)) in measurements.iter().zip(docker0.iter().zip(&vswitch)) {
        println!(
            "| {:<38} | {docker0:7.1} | {vswitch:7.1} | {:5.2} |",
            format!("{what}, {unit}"),
            vswitch / docker0
        );
        assert!(*docker0 > 0.0 && *vswitch > 0.0, "{what}: nothing came through");
    }
}
