//! Other names are asked of the servers that the host's resolv.conf names now, however somebody changes it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use vswitch_tests::prelude::*;

use crate::names::dig;
use vswitch_tests::world::{gateways, guest, network, world};

/// Name servers outside, each of which says of `which.test` its own last octet.
const SERVERS: [u8; 3] = [11, 12, 13];

/// A world whose switch sees an `/etc` of the test's own, which is given.
fn world_with_etc(title: &str) -> (Lab, Host, PathBuf) {
    let (mut lab, outside) = world(title);
    let etc = lab.scratch().path("etc");
    fs::create_dir(&etc).expect("the lab's folder is writable");
    for file in ["passwd", "group", "nsswitch.conf", "iproute2", "iptables", "alternatives"] {
        let from = Path::new("/etc").join(file);
        if from.exists() {
            symlink(&from, etc.join(file)).expect("the lab's folder is writable");
        }
    }
    write(&etc.join("resolv.conf"), SERVERS[0]);
    let script = format!("mount --bind {} /etc && exec \"$@\"", etc.display());
    lab.switch_mut().stop();
    let launcher = ["unshare", "--mount", "sh", "-c", &script, "launcher"].map(str::to_owned);
    lab.switch_mut().options_mut().launcher = launcher.into();
    lab.switch_mut().start_again();
    for number in SERVERS {
        serve(&mut lab, &outside, number);
    }
    (lab, outside, etc)
}

/// A name server at 192.0.2.N.
fn serve(lab: &mut Lab, outside: &Host, number: u8) {
    outside.namespace().ip(&[format!("addr add 192.0.2.{number}/24 dev eth0")]);
    let pid = lab.scratch().path(&format!("dnsmasq-{number}.pid"));
    let listen = format!("--listen-address=192.0.2.{number}");
    let says = format!("--address=/which.test/198.51.100.{number}");
    let pid = format!("--pid-file={}", pid.display());
    let fixed = ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root"];
    lab.daemon(outside, "dnsmasq", &[&fixed[..], &["--bind-interfaces", &listen, &says, &pid]].concat());
    let at = [192, 0, 2, number].into();
    until("a name server outside to answer", SOON, || {
        (dig(outside, at, &["which.test"]) == [format!("198.51.100.{number}")]).then_some(())
    });
}

fn write(path: &Path, number: u8) {
    fs::write(path, format!("nameserver 192.0.2.{number}\n")).expect("the lab's folder is writable");
}

fn replace(path: &Path, number: u8) {
    let new = path.with_extension("new");
    write(&new, number);
    fs::rename(new, path).expect("the lab's folder is writable");
}

#[test]
fn the_next_question_goes_to_the_server_that_resolv_conf_names_now() {
    let (mut lab, _outside, etc) = world_with_etc("upstreams");
    network(&lab, "blue", 0, &[]);
    let a = guest(&mut lab, "ann", "blue", 0);
    let [gateway, _] = gateways(0);
    let asked = || dig(&a, gateway, &["which.test"]);
    // The servers are told apart by their answers. The kernel says at once what changed; the file must then be quiet for 20 ms.
    let becomes = |how: &str, number: u8| {
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(asked(), [format!("198.51.100.{number}")], "{how}");
    };
    let file = etc.join("resolv.conf");
    becomes("as it was at the start", 11);
    write(&file, 12);
    becomes("written in place", 12);
    replace(&file, 13);
    becomes("replaced by a rename", 13);
    // As systemd-resolved has it: a link into a folder that comes and goes with the service.
    let run = lab.scratch().path("resolve");
    fs::create_dir(&run).expect("the lab's folder is writable");
    write(&run.join("stub"), 11);
    symlink(run.join("stub"), etc.join("link")).expect("the lab's folder is writable");
    fs::rename(etc.join("link"), &file).expect("the lab's folder is writable");
    becomes("a link in its place", 11);
    write(&run.join("stub"), 12);
    becomes("written in place behind a link", 12);
    replace(&run.join("stub"), 13);
    becomes("replaced behind a link", 13);
    // What names no server leaves the last one.
    write_text(&run.join("stub"), "");
    becomes("emptied", 13);
    write_text(&run.join("stub"), "nameser\0\0 192.0.2.11\n");
    becomes("garbled", 13);
    fs::remove_dir_all(&run).expect("it was there");
    becomes("gone, with its folder", 13);
    fs::create_dir(&run).expect("the lab's folder is writable");
    write(&run.join("stub"), 12);
    becomes("back, with its folder", 12);
    assert!(is_told_by_the_kernel(lab.switch().pid().expect("it runs")), "{}", lab.switch().log());
}

/// Whether a process has an inotify that watches something.
fn is_told_by_the_kernel(pid: u32) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("it runs").flatten();
    let mut texts = files.filter_map(|file| fs::read_to_string(file.path()).ok());
    texts.any(|text| text.contains("inotify wd:"))
}

fn write_text(path: &Path, text: &str) {
    fs::write(path, text).expect("the lab's folder is writable");
}
