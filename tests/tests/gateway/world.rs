//! What the tests of gateways stand in: a switch whose namespace has a way out, and a host out there that knows nothing of
//! the networks behind it; and servers that say who they think their client is.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use vswitch_tests::namespace::Namespace;
use vswitch_tests::prelude::*;

/// The switch's namespace as the outside sees it.
pub(crate) const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub(crate) const HOST6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
/// The host outside.
pub(crate) const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
pub(crate) const OUTSIDE6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));

/// How long a connection may take that should succeed.
const PATIENCE: Duration = Duration::from_secs(5);
/// And how long one is tried that should not.
const SHORT: Duration = Duration::from_millis(700);

/// A lab with a way out.
pub(crate) fn world(title: &str) -> (Lab, Host) {
    let mut lab = Lab::with(title, Rival::Vswitch, Hooks::Auto);
    let outside = lab.host_with("out", HostOptions::unconfigured().number(99));
    lab.wire(&outside);
    lab.switch_ns().ip(&[
        "addr add 192.0.2.1/24 dev out0",
        "addr add 2001:db8::1/64 dev out0 nodad",
        "link set dev out0 up",
        "route add default via 192.0.2.2",
        "route add default via 2001:db8::2",
    ]);
    outside.namespace().ip(&["addr add 192.0.2.2/24 dev eth0", "addr add 2001:db8::2/64 dev eth0 nodad"]);
    // As most hosts are before a container engine comes.
    lab.switch_ns().sysctl("ipv4/ip_forward", "0");
    (lab, outside)
}

/// A network with 10.77.N.0/24 and fd77:N::/64, whose gateways are .254 and ::fe.
pub(crate) fn network(lab: &Lab, name: &str, subnet: u8, extra: &[&str]) {
    let (v4, v6) = (format!("10.77.{subnet}."), format!("fd77:{subnet}::"));
    let v6 = if subnet == 0 { "fd77::".to_owned() } else { v6 };
    let arguments = [
        "network",
        "create",
        name,
        "--subnet",
        &format!("{v4}0/24"),
        "--gateway",
        &format!("{v4}254"),
        "--subnet",
        &format!("{v6}/64"),
        "--gateway",
        &format!("{v6}fe"),
    ]
    .map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(extra.iter().copied()).collect();
    lab.switch().ok(&arguments);
}

/// The gateway's addresses of such a network.
pub(crate) fn gateways(subnet: u8) -> [IpAddr; 2] {
    [
        Ipv4Addr::new(10, 77, subnet, 254).into(),
        Ipv6Addr::new(0xfd77, subnet.into(), 0, 0, 0, 0, 0, 0xfe).into(),
    ]
}

/// A host of such a network, known to the switch by name and addresses, with its default routes.
pub(crate) fn guest(lab: &mut Lab, name: &str, network: &str, subnet: u8) -> Host {
    let host = lab.host_with(name, HostOptions::default().subnet(subnet));
    let (v4, v6, mac) = (host.ipv4().to_string(), host.ipv6().to_string(), host.mac().to_string());
    let options =
        PortOptions::network(network).with(&["--name", name, "--ip", &v4, "--ip", &v6, "--mac", &mac]);
    lab.connect(&host, options);
    host.wait_for_ipv6();
    let [gateway, gateway6] = gateways(subnet);
    host.namespace()
        .ip(&[format!("route add default via {gateway}"), format!("route add default via {gateway6}")]);
    host
}

/// The code and message of a refusal.
#[track_caller]
pub(crate) fn refusal(lab: &Lab, arguments: &[&str]) -> (String, String) {
    let output = lab.switch().cli(&[arguments, &["--json"]].concat());
    assert!(!output.status.success(), "{arguments:?} was done");
    let error: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an error in JSON");
    let text = |key: &str| error["error"][key].as_str().expect("a string").to_owned();
    (text("code"), text("message"))
}

/// Tells every client, by TCP and UDP, the address that it comes from.
pub(crate) struct Mirror {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Mirror {
    /// At a port of a host, over IPv4 and IPv6.
    #[track_caller]
    pub(crate) fn start(at: &Arc<Namespace>, port: u16) -> Self {
        let (listener, socket) = at.run(|| {
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).expect("a free TCP port");
            (listener, UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).expect("a free UDP port"))
        });
        listener.set_nonblocking(true).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
        let stop = Arc::new(AtomicBool::new(false));
        let (stop_tcp, stop_udp) = (stop.clone(), stop.clone());
        let tcp = std::thread::spawn(move || {
            while !stop_tcp.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((mut client, from)) => {
                        let _gone = client.write_all(from.ip().to_canonical().to_string().as_bytes());
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(10)),
                }
            }
        });
        let udp = std::thread::spawn(move || {
            while !stop_udp.load(Ordering::Relaxed) {
                if let Ok((_, from)) = socket.recv_from(&mut [0; 64]) {
                    let _gone = socket.send_to(from.ip().to_canonical().to_string().as_bytes(), from);
                }
            }
        });
        Self { stop, threads: vec![tcp, udp] }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ended = thread.join();
        }
    }
}

/// As whom a mirror sees a TCP client.
pub(crate) fn seen_by_tcp(from: &Namespace, to: IpAddr, port: u16) -> io::Result<IpAddr> {
    try_tcp(from, to, port, PATIENCE)
}

/// As whom a mirror sees a UDP client.
pub(crate) fn seen_by_udp(from: &Namespace, to: IpAddr, port: u16) -> io::Result<IpAddr> {
    try_udp(from, to, port, PATIENCE)
}

/// Checks that neither TCP nor UDP gets an answer.
#[track_caller]
pub(crate) fn assert_unreachable(from: &Namespace, to: IpAddr, port: u16) {
    for answer in [try_tcp(from, to, port, SHORT), try_udp(from, to, port, SHORT)] {
        assert!(answer.is_err(), "{to} port {port} answered {} as {answer:?}", from.name());
    }
}

/// Checks that TCP and UDP are answered, and as whom the client was seen.
#[track_caller]
pub(crate) fn assert_seen(from: &Namespace, to: IpAddr, port: u16, client: IpAddr) {
    for (what, answer) in [("TCP", seen_by_tcp(from, to, port)), ("UDP", seen_by_udp(from, to, port))] {
        match answer {
            Ok(seen) => assert_eq!(seen, client, "{what} from {} to {to} port {port}", from.name()),
            Err(error) => panic!("{what} from {} to {to} port {port}: {error}", from.name()),
        }
    }
}

fn try_tcp(from: &Namespace, to: IpAddr, port: u16, within: Duration) -> io::Result<IpAddr> {
    from.run(|| {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::new(to, port), within)?;
        stream.set_read_timeout(Some(within))?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        text.parse().map_err(|_| io::Error::other(text))
    })
}

fn try_udp(from: &Namespace, to: IpAddr, port: u16, within: Duration) -> io::Result<IpAddr> {
    from.run(|| {
        let any: IpAddr =
            if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_read_timeout(Some(within))?;
        socket.connect((to, port))?;
        socket.send(b"?")?;
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer)?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        text.parse().map_err(|_| io::Error::other(text))
    })
}
