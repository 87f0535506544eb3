//! Files that are changed in every way that people and programs change resolv.conf.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// A file that is followed, and its folder.
struct Followed {
    folder: TempDir,
    resolv: Arc<Resolv>,
    _task: tokio::task::JoinSet<()>,
}

impl Followed {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let resolv = Arc::new(Resolv::new(folder.path().join("etc/resolv.conf")));
        let mut task = tokio::task::JoinSet::new();
        task.spawn(follow(Arc::clone(&resolv)));
        Self { folder, resolv, _task: task }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn make(&self, folder: &str) {
        fs::create_dir_all(self.path(folder)).expect("made");
    }

    fn write(&self, name: &str, ip: &str) {
        fs::write(self.path(name), format!("nameserver {ip}\n")).expect("written");
    }

    /// The follower is told, by nobody but the kernel, that this is the server now.
    async fn becomes(&self, ip: &str) {
        self.resolv.set_followed(true);
        for _ in 0..500 {
            let servers = self.resolv.servers();
            if servers.first().is_some_and(|server| server.ip().to_string() == ip) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("not {ip} but {:?}", self.resolv.servers());
    }
}

#[tokio::test]
async fn a_file_is_followed_however_it_is_changed() {
    let all = Followed::start();
    // A folder that comes later, and the file after it.
    all.make("etc");
    all.write("etc/resolv.conf", "192.0.2.1");
    all.becomes("192.0.2.1").await;
    all.write("etc/resolv.conf", "192.0.2.2");
    all.becomes("192.0.2.2").await;
    all.write("etc/new", "192.0.2.3");
    fs::rename(all.path("etc/new"), all.path("etc/resolv.conf")).expect("replaced");
    all.becomes("192.0.2.3").await;
    all.write("etc/resolv.conf", "192.0.2.4");
    all.becomes("192.0.2.4").await;
    fs::remove_file(all.path("etc/resolv.conf")).expect("removed");
    all.write("etc/resolv.conf", "192.0.2.5");
    all.becomes("192.0.2.5").await;
}

#[tokio::test]
async fn links_are_followed_into_folders_that_come_and_go() {
    let all = Followed::start();
    all.make("etc");
    all.make("run/resolve");
    all.write("run/resolve/stub", "192.0.2.1");
    // A link to a folder, and one through it.
    symlink("run", all.path("var")).expect("linked");
    symlink("../var/resolve/stub", all.path("etc/resolv.conf")).expect("linked");
    all.becomes("192.0.2.1").await;
    all.write("run/resolve/stub", "192.0.2.2");
    all.becomes("192.0.2.2").await;
    all.write("run/resolve/new", "192.0.2.3");
    fs::rename(all.path("run/resolve/new"), all.path("run/resolve/stub")).expect("replaced");
    all.becomes("192.0.2.3").await;
    // The service that owns the folder ends, and starts again.
    fs::remove_dir_all(all.path("run")).expect("removed");
    sleep(QUIET * 5).await;
    all.becomes("192.0.2.3").await;
    all.make("run/resolve");
    all.write("run/resolve/stub", "192.0.2.4");
    all.becomes("192.0.2.4").await;
    // The link on the way points elsewhere.
    all.make("other/resolve");
    all.write("other/resolve/stub", "192.0.2.5");
    symlink(all.path("other"), all.path("new")).expect("linked");
    fs::rename(all.path("new"), all.path("var")).expect("replaced");
    all.becomes("192.0.2.5").await;
    all.write("other/resolve/stub", "192.0.2.6");
    all.becomes("192.0.2.6").await;
}

#[tokio::test]
async fn a_folder_that_is_moved_away_and_replaced_is_followed() {
    let all = Followed::start();
    all.make("etc");
    all.write("etc/resolv.conf", "192.0.2.1");
    all.becomes("192.0.2.1").await;
    all.make("etc.new");
    all.write("etc.new/resolv.conf", "192.0.2.2");
    fs::rename(all.path("etc"), all.path("etc.old")).expect("moved");
    fs::rename(all.path("etc.new"), all.path("etc")).expect("moved");
    all.becomes("192.0.2.2").await;
    all.write("etc.old/resolv.conf", "192.0.2.9");
    all.write("etc/resolv.conf", "192.0.2.3");
    all.becomes("192.0.2.3").await;
}

#[test]
fn a_way_has_every_folder_and_ends_where_a_step_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = fs::canonicalize(folder.path()).expect("it is there");
    fs::create_dir(root.join("etc")).expect("made");
    symlink("../run/stub", root.join("etc/resolv.conf")).expect("linked");
    let last = |way: &Way| way.steps.last().cloned().expect("a step");
    let way = Way::walk(&root.join("etc/resolv.conf"));
    assert_eq!((last(&way), way.end), ((root.clone(), "run".into()), None));
    fs::create_dir(root.join("run")).expect("made");
    fs::write(root.join("run/stub"), "").expect("written");
    let way = Way::walk(&root.join("etc/resolv.conf"));
    assert!(way.steps.contains(&(root.join("etc"), "resolv.conf".into())), "{way:?}");
    assert_eq!((last(&way), way.end), ((root.join("run"), "stub".into()), Some(root.join("run/stub"))));
    // A link to itself ends as well.
    symlink("loop", root.join("loop")).expect("linked");
    assert_eq!(Way::walk(&root.join("loop")).end, None);
}
