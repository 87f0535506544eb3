//! The DNS server on the gateway, asked by dig as a container's programs would.

use std::net::{IpAddr, UdpSocket};

use vswitch_tests::prelude::*;

use vswitch_tests::world::{HOST, OUTSIDE, gateways, guest, network, world};

/// What `dig` prints in short form: one line a record.
pub(crate) fn dig(from: &Host, server: IpAddr, arguments: &[&str]) -> Vec<String> {
    let server = format!("@{server}");
    let output = from
        .command("dig")
        .args(["+short", "+tries=2", "+time=4", &server])
        .args(arguments)
        .output()
        .expect("bind9-dnsutils is installed");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// All that `dig` prints.
fn dig_in_full(from: &Host, server: IpAddr, arguments: &[&str]) -> String {
    let server = format!("@{server}");
    let output = from.command("dig").args(["+tries=1", "+time=2", &server]).args(arguments).output();
    String::from_utf8_lossy(&output.expect("bind9-dnsutils is installed").stdout).into_owned()
}

/// A world where the host's resolv.conf, for the controller alone, names a server outside.
fn world_with_upstream(title: &str) -> (Lab, Host) {
    let (mut lab, outside) = world(title);
    let resolv = lab.scratch().path("resolv.conf");
    std::fs::write(&resolv, format!("nameserver {OUTSIDE}\n")).expect("the lab's folder is writable");
    let script = format!("mount --bind {} /etc/resolv.conf && exec \"$@\"", resolv.display());
    lab.switch_mut().stop();
    let launcher = ["unshare", "--mount", "sh", "-c", &script, "launcher"].map(str::to_owned);
    lab.switch_mut().options_mut().launcher = launcher.into();
    lab.switch_mut().start_again();
    serve_outside(&mut lab, &outside, "dnsmasq", &[]);
    (lab, outside)
}

/// A name server outside that knows `example.test`, and a name with an answer too long for UDP.
pub(crate) fn serve_outside(lab: &mut Lab, outside: &Host, name: &str, extra: &[&str]) {
    let long: Vec<String> = (0..200).map(|n| format!("--host-record=long.test,198.51.100.{n}")).collect();
    let pid = format!("--pid-file={}", lab.scratch().path(&format!("{name}.pid")).display());
    let mut arguments = vec![
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--log-facility=-",
        "--user=root",
        "--address=/example.test/198.51.100.7",
        &pid,
    ];
    arguments.extend(long.iter().map(String::as_str));
    arguments.extend(extra);
    lab.daemon(outside, "dnsmasq", &arguments);
    until("the name server outside to answer", SOON, || {
        (dig(outside, OUTSIDE, &["example.test"]) == ["198.51.100.7"]).then_some(())
    });
}

#[test]
fn hosts_of_the_network_are_found_by_name_and_address() {
    let (mut lab, _outside) = world_with_upstream("names");
    network(&lab, "blue", 0, &[]);
    network(&lab, "red", 1, &[]);
    let (a, b) = (guest(&mut lab, "ann", "blue", 0), guest(&mut lab, "bob", "blue", 0));
    let c = guest(&mut lab, "cleo", "red", 1);
    for gateway in gateways(0) {
        for transport in ["+notcp", "+tcp"] {
            assert_eq!(dig(&a, gateway, &[transport, "bob"]), [b.ipv4().to_string()]);
            assert_eq!(dig(&a, gateway, &[transport, "Bob.Blue"]), [b.ipv4().to_string()]);
            assert_eq!(dig(&a, gateway, &[transport, "bob", "AAAA"]), [b.ipv6().to_string()]);
            assert_eq!(dig(&a, gateway, &[transport, "-x", &b.ipv4().to_string()]), ["bob.blue."]);
            assert_eq!(dig(&a, gateway, &[transport, "-x", &b.ipv6().to_string()]), ["bob.blue."]);
        }
    }
    let [gateway, _] = gateways(0);
    assert_eq!(dig(&a, gateway, &["gateway"]), [gateway.to_string()]);
    // Nobody's TTL outlives a container.
    let full = dig_in_full(&a, gateway, &["bob"]);
    assert!(full.contains("bob.\t\t\t0\tIN\tA\t") && full.contains("EDNS: version: 0"), "{full}");
    let old = dig_in_full(&a, gateway, &["+noedns", "bob"]);
    assert!(!old.contains("EDNS") && old.contains("status: NOERROR"), "{old}");
    let wrong = dig_in_full(&a, gateway, &["+edns=1", "+noednsneg", "bob"]);
    assert!(wrong.contains("status: BADVERS"), "{wrong}");
    // Another network's names are not here, and nobody else is told this one's.
    assert!(dig(&a, gateway, &["cleo"]).is_empty());
    assert!(dig_in_full(&a, gateway, &["-x", "10.77.0.77"]).contains("status: NXDOMAIN"));
    assert!(dig_in_full(&c, gateway, &["bob"]).contains("no servers could be reached"));
    assert_eq!(dig(&c, gateways(1)[0], &["cleo"]), [c.ipv4().to_string()]);
    // What changes is known at once.
    lab.switch().ok(&["port", "set", "bob0", "--name", "bee"]);
    assert_eq!(dig(&a, gateway, &["bee"]), [b.ipv4().to_string()]);
    assert!(dig(&a, gateway, &["bob"]).is_empty());
    lab.switch().ok(&["port", "del", "bob0"]);
    assert!(dig(&a, gateway, &["bee"]).is_empty());
    lab.switch_mut().restart();
    assert_eq!(dig(&a, gateway, &["ann"]), [a.ipv4().to_string()]);
}

#[test]
fn other_names_are_asked_of_the_hosts_servers_also_from_within() {
    let (mut lab, outside) = world_with_upstream("names");
    network(&lab, "dark", 0, &["--internal"]);
    let a = guest(&mut lab, "ann", "dark", 0);
    let [gateway, gateway6] = gateways(0);
    for server in [gateway, gateway6] {
        assert_eq!(dig(&a, server, &["example.test"]), ["198.51.100.7"]);
        assert_eq!(dig(&a, server, &["+tcp", "example.test"]), ["198.51.100.7"]);
    }
    // Too long for UDP: cut there, and whole by TCP, which dig turns to by itself.
    assert_eq!(dig(&a, gateway, &["long.test"]).len(), 200);
    // The first is not there, the second is.
    outside.namespace().ip(&["addr add 192.0.2.3/24 dev eth0"]);
    name_servers(&lab, &["192.0.2.222", "192.0.2.3"]);
    assert_eq!(dig(&a, gateway, &["example.test"]), ["198.51.100.7"]);
    name_servers(&lab, &["192.0.2.222"]);
    assert!(dig_in_full(&a, gateway, &["+time=5", "example.test"]).contains("status: SERVFAIL"));
}

/// Writes the lab's resolv.conf in place, and waits until the switch has noticed.
fn name_servers(lab: &Lab, ips: &[&str]) {
    let text: String = ips.iter().map(|ip| format!("nameserver {ip}\n")).collect();
    std::fs::write(lab.scratch().path("resolv.conf"), text).expect("writable");
    let last = format!("{}:53]", ips.last().expect("a server"));
    let is_it = |line: &&str| line.contains("other names are asked of these");
    until("the switch to notice", SOON, || {
        lab.switch().log().lines().rfind(is_it).is_some_and(|line| line.contains(&last)).then_some(())
    });
}

#[test]
fn hostile_queries_do_not_keep_others_from_their_answers() {
    let (mut lab, _outside) = world_with_upstream("names");
    network(&lab, "blue", 0, &[]);
    let (a, b) = (guest(&mut lab, "ann", "blue", 0), guest(&mut lab, "bob", "blue", 0));
    let [gateway, _] = gateways(0);
    // A server that never answers.
    name_servers(&lab, &["192.0.2.222"]);
    let _open: Vec<_> = a.run(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        let query = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, b'n', b'o', b'n', b'e', 0, 0, 1, 0, 1];
        for turn in 0..2_000_usize {
            let _full = socket.send_to(&query[..turn % (query.len() + 1)], (gateway, 53));
            let _full = socket.send_to(&query, (gateway, 53));
        }
        let open = || std::net::TcpStream::connect_timeout(&(gateway, 53).into(), Duration::from_secs(2));
        (0..80).map_while(|_| open().ok()).collect()
    });
    assert_eq!(dig(&b, gateway, &["ann"]), [a.ipv4().to_string()]);
    let resident_kb = || {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", lab.switch().pid().expect("it runs")));
        let status = status.expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a size");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).expect("a number")
    };
    assert!(resident_kb() < 300_000, "{} KiB", resident_kb());
    assert!(!lab.switch().log().contains("panicked"));
}

#[test]
fn a_taken_port_53_costs_names_and_nothing_else_until_it_is_free() {
    let (mut lab, _outside) = world_with_upstream("names");
    let ns = lab.switch_ns().clone();
    let taken = ns.run(|| UdpSocket::bind(("0.0.0.0", 53)).expect("a free port"));
    network(&lab, "blue", 0, &[]);
    let a = guest(&mut lab, "ann", "blue", 0);
    let [gateway, _] = gateways(0);
    traffic::ping_address(&a, gateway, 56, 1);
    traffic::ping_address(&a, HOST, 56, 1);
    assert!(lab.switch().log().contains("port 53"), "it is said");
    drop(taken);
    until("names to be served", SOON, || {
        (dig(&a, gateway, &["ann"]) == [a.ipv4().to_string()]).then_some(())
    });
}

/// An mDNS response (RFC 6762) that says that `name.local` has an address.
fn announcement(name: &str, address: std::net::Ipv4Addr) -> Vec<u8> {
    let label = [&[name.len() as u8][..], name.as_bytes()].concat();
    let record =
        [&label[..], b"\x05local\x00\x00\x01\x80\x01\x00\x00\x00\x78\x00\x04", &address.octets()].concat();
    [&b"\x00\x00\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00"[..], &record].concat()
}

/// A question for an address of `name`.
fn question(number: u16, name: &str) -> Vec<u8> {
    let label = [&[name.len() as u8][..], name.as_bytes()].concat();
    [
        &number.to_be_bytes()[..],
        b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00",
        &label,
        b"\x04test\x00\x00\x01\x00\x01",
    ]
    .concat()
}

#[test]
fn a_host_neither_names_itself_nor_keeps_others_from_the_name_server() {
    let (mut lab, _outside) = world_with_upstream("names of hosts' own choice");
    network(&lab, "blue", 0, &[]);
    let (ann, eve) = (guest(&mut lab, "ann", "blue", 0), guest(&mut lab, "eve", "blue", 0));
    let [gateway, _] = gateways(0);
    // By DHCP's option 12, as clients do, and by mDNS.
    for name in ["ann", "evil"] {
        let option = format!("hostname:{name}");
        let arguments = [
            "udhcpc",
            "-i",
            "eth0",
            "-f",
            "-n",
            "-q",
            "-t",
            "1",
            "-T",
            "1",
            "-x",
            &option,
            "-s",
            "/bin/true",
        ];
        let _no_server =
            eve.command("busybox").args(arguments).output().expect("busybox-static is installed");
        eve.run(|| {
            let socket = UdpSocket::bind((eve.ipv4(), 5353)).expect("a free port");
            socket.send_to(&announcement(name, eve.ipv4()), ("224.0.0.251", 5353)).expect("a route");
        });
    }
    assert_eq!(dig(&ann, gateway, &["ann"]), [ann.ipv4().to_string()]);
    assert!(dig(&ann, gateway, &["evil"]).is_empty());
    assert_eq!(dig(&ann, gateway, &["-x", &eve.ipv4().to_string()]), ["eve.blue."]);
    // More questions for names elsewhere than may wait for other servers.
    eve.run(|| {
        let socket = UdpSocket::bind((eve.ipv4(), 0)).expect("a free port");
        for number in 0..20_000_u32 {
            let text = question(number as u16, &format!("x{number}"));
            let _full = socket.send_to(&text, (gateway, 53));
        }
    });
    assert_eq!(dig(&ann, gateway, &["eve"]), [eve.ipv4().to_string()], "ann's question was not answered");
}
