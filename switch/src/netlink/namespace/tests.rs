use super::*;
use crate::netlink::scratch::{Scratch, index};

#[test]
fn work_runs_in_the_namespace_and_nowhere_else() {
    let (Some(here), Some(there)) = (Scratch::new(), Scratch::new()) else {
        return;
    };
    there.ip("link add only-there type bridge");
    here.block_on(async |netlink| {
        let read = || nix::net::if_::if_nametoindex("only-there").is_ok();
        let foreign = Namespace::open(&there.path()).unwrap();
        assert!(foreign.run(read).await.unwrap());
        assert!(!netlink.namespace().run(read).await.unwrap());
        assert!(!read(), "the calling thread has not moved");
        assert_eq!(Namespace::current().unwrap().inode(), here.inode());
    });
}

#[test]
fn work_that_panics_is_an_error_and_frees_its_place() {
    let Some(ns) = Scratch::new() else { return };
    let inode = ns.inode();
    ns.block_on(async |netlink| {
        for _ in 0..=THREAD_LIMIT {
            let error = netlink.namespace().run(|| -> () { panic!("on purpose") }).await.unwrap_err();
            assert!(matches!(error, NetlinkError::NamespaceWork { inode: i } if i == inode), "{error}");
        }
        assert_eq!(netlink.namespace().run(|| 7).await.unwrap(), 7);
    });
}

#[test]
fn a_namespace_without_a_file_names_the_file() {
    let error = Namespace::open(Path::new("/run/netns/vsn-none")).unwrap_err();
    assert!(error.to_string().contains("vsn-none"), "{error}");
}

#[test]
fn a_namespace_is_found_by_its_mount() {
    let (Some(here), Some(there)) = (Scratch::new(), Scratch::new()) else {
        return;
    };
    here.ip(&format!("link add ha type veth peer name hb netns {}", there.name));
    here.block_on(async |netlink| {
        let nsid = netlink.by_name("ha").await.unwrap().peer.and_then(|peer| peer.nsid).unwrap();
        let found = netlink.namespace_by_nsid(nsid, None).await.unwrap();
        assert_eq!(found.inode(), there.inode());
        let again = netlink.namespace_by_nsid(nsid, Some(there.inode())).await.unwrap();
        assert_eq!(again.inode(), there.inode());
    });
}

#[test]
fn a_namespace_is_found_by_a_process_in_it() {
    let Some(here) = Scratch::new() else { return };
    let process = here.process("unshare -n sleep 60");
    let file = format!("/proc/{}/ns/net", process.id());
    wait_until(|| inode_of(&file) != Some(here.inode()) && inode_of(&file) != inode_of(OWN));
    here.ip(&format!("link add ha type veth peer name hb netns {}", process.id()));
    here.block_on(async |netlink| {
        let nsid = netlink.by_name("ha").await.unwrap().peer.and_then(|peer| peer.nsid).unwrap();
        let found = netlink.namespace_by_nsid(nsid, None).await.unwrap();
        assert_eq!(Some(found.inode()), inode_of(&file));
    });
}

#[test]
fn a_namespace_is_found_by_a_thread_in_it() {
    let Some(here) = Scratch::new() else { return };
    let (ready, is_ready) = std::sync::mpsc::channel();
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        nix::sched::unshare(CloneFlags::CLONE_NEWNET).unwrap();
        ready.send((nix::unistd::gettid(), Namespace::current().unwrap().inode())).unwrap();
        let _ = is_done.recv();
    });
    let (tid, inode) = is_ready.recv().unwrap();
    here.ip(&format!("link add ha type veth peer name hb netns {tid}"));
    here.block_on(async |netlink| {
        let nsid = netlink.by_name("ha").await.unwrap().peer.and_then(|peer| peer.nsid).unwrap();
        assert_eq!(netlink.namespace_by_nsid(nsid, None).await.unwrap().inode(), inode);
    });
    drop(done);
    thread.join().unwrap();
}

#[test]
fn an_id_that_no_namespace_has_is_named() {
    let Some(ns) = Scratch::new() else { return };
    ns.ip("link add ha type veth peer name hb");
    ns.block_on(async |netlink| {
        let error = netlink.namespace_by_nsid(4711, None).await.unwrap_err();
        assert!(matches!(error, NetlinkError::NoSuchNamespace { nsid: 4711 }), "{error}");
        assert!(
            netlink
                .by_index_elsewhere(index(&netlink, "ha").await, 4711)
                .await
                .unwrap_err()
                .is_no_such_link()
        );
    });
}

fn inode_of(path: &str) -> Option<u64> {
    std::fs::metadata(path).ok().map(|file| file.ino())
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("it did not come about in five seconds");
}
