//! The same faults at a Docker engine with its own bridges, for the table's last column: only where rows are being made, as
//! each starts an engine.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Instant;

use vswitch_tests::docker::{Driver, Engine, MACHINE, OUTSIDE, World};
use vswitch_tests::prelude::*;
use vswitch_tests::traffic::Probe;
use vswitch_tests::world::{Mirror, seen_by_tcp};

use crate::churn::{request, size};
use crate::load::p99_of;
use crate::row::{FILE, Random};

const NETWORK: &str = "net";
const RATE: u32 = 500;
/// How long somebody who lost something to a firewall's reload may wait before he looks.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `measure` finds, where rows are being made.
fn where_asked(measure: impl FnOnce() -> String) -> String {
    if std::env::var_os(FILE).is_some() { measure() } else { "–".to_owned() }
}

/// An engine, a network of its bridge driver, a web server published at port 8080, and a client.
fn world(title: &str, extra: &[&str]) -> World {
    let world = World::new(title, Driver::Bridge, extra);
    world.network(NETWORK, &["--subnet", "10.77.3.0/24"]);
    let options = ["--network", NETWORK, "--restart", "always", "--ip"];
    let web = ["httpd", "-f", "-p", "80", "-h", "/www"];
    world.engine.ok(&Engine::run_arguments(
        "web",
        &[&options[..], &["10.77.3.2", "-p", "8080:80"]].concat(),
        &web,
    ));
    world.engine.run("client", &[&options[..], &["10.77.3.3"]].concat());
    until("the web server", SOON, || answers(&world.outside).then_some(()));
    world
}

/// Whether the web server answers somebody outside.
fn answers(outside: &Host) -> bool {
    outside.run(|| {
        let there = SocketAddr::new(MACHINE, 8080);
        let Ok(mut stream) = TcpStream::connect_timeout(&there, SOON / 20) else { return false };
        let _set = stream.set_read_timeout(Some(SOON / 20));
        let _sent = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
        let mut head = [0; 4];
        stream.read_exact(&mut head).is_ok() && &head == b"HTTP"
    })
}

fn hosts(world: &World) -> [Host; 2] {
    ["client", "web"].map(|name| world.engine.host(name, NETWORK))
}

/// For how long at most nobody outside is answered while `work` is done, and until somebody is.
fn longest_silence(outside: &Host, work: impl FnOnce()) -> Duration {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            loop {
                let stopped = stop.load(Ordering::Relaxed);
                if answers(outside) {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                    if stopped {
                        return longest;
                    }
                }
                sleep(Duration::from_millis(5));
            }
        });
        work();
        stop.store(true, Ordering::Relaxed);
        watch.join().expect("it does not panic")
    })
}

/// What it costs that dockerd ends by `end` and is started again, as it comes and with `--live-restore`.
fn cycle(title: &str, end: fn(&mut Engine)) -> String {
    let mut plain = world(title, &[]);
    let outside = plain.outside.clone();
    let silence = longest_silence(&outside, || {
        end(&mut plain.engine);
        plain.engine.start_again();
    });
    drop(plain);
    let mut restored = world(title, &["--live-restore"]);
    let [client, web] = hosts(&restored);
    let probe = Probe::start(&client, &web, RATE);
    let outside = restored.outside.clone();
    let quiet = longest_silence(&outside, || {
        end(&mut restored.engine);
        restored.engine.start_again();
        probe.cover(u64::from(RATE));
    });
    let report = probe.finish();
    format!(
        "docker0: containers are stopped and started, a published port is silent for {:.1} s; with \
         `--live-restore` {} of {} probes lost, silent for {:.1} s",
        silence.as_secs_f32(),
        report.lost.len(),
        report.sent,
        quiet.as_secs_f32()
    )
}

/// dockerd killed, and started again.
pub(crate) fn death() -> String {
    where_asked(|| cycle("dockerd killed", Engine::kill9))
}

/// dockerd restarted, as an upgrade does.
pub(crate) fn upgrade() -> String {
    where_asked(|| cycle("dockerd restarted", Engine::stop))
}

/// The whole ruleset flushed.
pub(crate) fn flushed() -> String {
    where_asked(|| {
        let mut world = world("docker's rules flushed", &[]);
        let inside = world.inside("client");
        let _mirror = Mirror::start(world.outside.namespace(), 9000);
        let reaches_out = || seen_by_tcp(&inside, OUTSIDE, 9000).is_ok();
        assert!(reaches_out(), "there was no masquerade before");
        world.lab.switch_ns().output("nft", &["flush ruleset"]);
        sleep(PATIENCE);
        let said = |works| if works { "works" } else { "is dead" };
        let (out, within) = (said(reaches_out()), said(answers(&world.outside)));
        let within = if within == "works" { "works by docker-proxy" } else { within };
        world.engine.kill9();
        world.engine.start_again();
        until("the web server after a start", SOON * 3, || answers(&world.outside).then_some(()));
        assert!(seen_by_tcp(&world.inside("client"), OUTSIDE, 9000).is_ok(), "masquerade is not back");
        format!(
            "docker0: after {} s masquerade {out}, a published port {within}; back only when dockerd is \
             started anew",
            PATIENCE.as_secs()
        )
    })
}

/// The file of networks cut.
pub(crate) fn state_cut() -> String {
    where_asked(|| {
        let mut world = world("docker's networks cut", &[]);
        world.engine.stop();
        let file = world.engine.data().join("network/files/local-kv.db");
        let whole = std::fs::read(&file).expect("docker keeps its networks there");
        let cuts = [0, 1, whole.len() / 3, whole.len() / 2, whole.len() - 2];
        let (mut refused, mut forgotten) = (0, 0);
        for cut in cuts {
            std::fs::write(&file, &whole[..cut]).expect("cut");
            match world.engine.try_start_again() {
                Err(_) => refused += 1,
                Ok(()) => {
                    let networks = world.engine.ok(&["network", "ls", "--format", "{{.Name}}"]);
                    forgotten += u32::from(!networks.lines().any(|name| name == NETWORK));
                    world.engine.kill9();
                }
            }
        }
        format!(
            "docker0: of {} starts {refused} were refused, {forgotten} began without the networks",
            cuts.len()
        )
    })
}

/// Looks at the networks while `load` runs, as `load::Loaded` does at ports.
fn under(world: &World, threads: usize, load: impl Fn(usize, &AtomicBool) + Sync) -> String {
    let (socket, pid) = (world.engine.socket(), world.engine.daemon_pid());
    let quiet = p99_of(&socket, "/networks", 500);
    let (before, stop) = (size(pid).0, AtomicBool::new(false));
    let loaded = std::thread::scope(|scope| {
        for number in 0..threads {
            let (load, stop) = (&load, &stop);
            scope.spawn(move || load(number, stop));
        }
        let loaded = p99_of(&socket, "/networks", 2_500);
        stop.store(true, Ordering::Relaxed);
        loaded
    });
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    format!(
        "dockerd: `network ls` p99 {:.1} ms (quiet {:.1} ms); memory {before} to {} KiB",
        ms(loaded),
        ms(quiet),
        size(pid).0
    )
}

/// Half-open connections to dockerd's socket.
pub(crate) fn half_open() -> String {
    where_asked(|| {
        let world = world("dockerd, half-open", &[]);
        let socket = world.engine.socket();
        under(&world, 2, |_, stop| {
            let mut open = std::collections::VecDeque::new();
            while !stop.load(Ordering::Relaxed) {
                let mut stream = UnixStream::connect(&socket).expect("dockerd listens");
                let _sent = stream
                    .write_all(b"POST /networks/create HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{");
                open.push_back(stream);
                if open.len() > 150 {
                    open.pop_front();
                }
                sleep(Duration::from_millis(5));
            }
        })
    })
}

/// Requests as fast as three clients can, one with bodies of 10 MB; each on a connection of its own.
pub(crate) fn floods() -> String {
    where_asked(|| {
        let world = world("dockerd, requests", &[]);
        let (socket, asked) = (world.engine.socket(), AtomicU64::new(0));
        let huge = format!(r#"{{"Name":"{}","Driver":"none"}}"#, "x".repeat(10 << 20));
        let begun = Instant::now();
        let said = under(&world, 3, |number, stop| {
            while !stop.load(Ordering::Relaxed) {
                let _refused = match number {
                    0 => request(&socket, "POST", "/networks/create", &huge),
                    _ => request(&socket, "GET", "/networks", ""),
                };
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        format!(
            "{said}; {:.0} requests a second of three clients, which connect for each",
            asked.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
        )
    })
}

/// Eight clients that make and remove networks.
pub(crate) fn clients() -> String {
    const CLIENTS: u64 = 8;
    const ROUNDS: u64 = 6;
    where_asked(|| {
        let world = world("dockerd, eight clients", &[]);
        let [client, web] = hosts(&world);
        let (socket, pid) = (world.engine.socket(), world.engine.daemon_pid());
        let probe = Probe::start(&client, &web, RATE);
        let (begun, before) = (Instant::now(), size(pid).0);
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let socket = &socket;
                scope.spawn(move || {
                    for _ in 0..ROUNDS {
                        let subnet = format!("10.78.{number}.0/24");
                        let config = format!(r#"{{"Config":[{{"Subnet":"{subnet}"}}]}}"#);
                        let body = format!(r#"{{"Name":"n{number}","IPAM":{config}}}"#);
                        let made = request(socket, "POST", "/networks/create", &body);
                        let removed = request(socket, "DELETE", &format!("/networks/n{number}"), "");
                        assert_eq!((made.ok(), removed.ok()), (Some(201), Some(204)));
                    }
                });
            }
        });
        let rate = (CLIENTS * ROUNDS * 2) as f64 / begun.elapsed().as_secs_f64();
        let report = probe.finish();
        format!(
            "docker0: {} of {} probes in {} operations on networks ({rate:.0} a second); {before} KiB to {} \
             KiB",
            report.lost.len(),
            report.sent,
            CLIENTS * ROUNDS * 2,
            size(pid).0
        )
    })
}

/// dockerd killed at random moments of making and removing networks.
pub(crate) fn killed_anywhere() -> String {
    const KILLS: u64 = 12;
    where_asked(|| {
        let mut world = world("dockerd killed anywhere", &["--live-restore"]);
        let (before, mut random) = (world.left(), Random::of_number(1));
        for _ in 0..KILLS {
            let name = format!("n{}", random.below(2));
            let is_there = world.engine.docker(&["network", "inspect", &name]).status.success();
            let verb: &[&str] = if is_there { &["network", "rm"] } else { &["network", "create"] };
            let mut client =
                world.engine.command(&[verb, &[&name]].concat()).spawn().expect("docker is installed");
            sleep(Duration::from_millis(random.below(200)));
            world.engine.kill9();
            client.wait().expect("a child");
            world.engine.start_again();
        }
        for name in ["n0", "n1"] {
            let _none = world.engine.docker(&["network", "rm", name]);
        }
        let left = world.left();
        let more = |now: &[String], then: &[String]| now.iter().filter(|one| !then.contains(one)).count();
        format!(
            "docker0: {KILLS} kills of dockerd, and every network removed: {} links and {} rules were left",
            more(&left.links, &before.links),
            more(&left.rules, &before.rules)
        )
    })
}

/// How much dockerd may do.
pub(crate) fn power() -> String {
    where_asked(|| {
        let world = world("dockerd's power", &[]);
        let status = std::fs::read_to_string(format!("/proc/{}/status", world.engine.daemon_pid()));
        let status = status.expect("dockerd runs");
        let of = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.unwrap_or_default().trim().to_owned()
        };
        let capabilities = u64::from_str_radix(&of("CapEff"), 16).expect("hexadecimal").count_ones();
        let filter = if of("Seccomp") == "0" { "no system call refused" } else { "a filter of system calls" };
        let gain = if of("NoNewPrivs") == "0" { "new privileges allowed" } else { "no new privileges" };
        format!("dockerd: {capabilities} of 41 capabilities, {gain}, {filter}")
    })
}
