use super::*;

use crate::controller::state::{NetworkState, PortOptions, PortState};

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("an empty folder");
    (folder, store)
}

fn port(link: &str) -> PortState {
    PortState::new(link.to_owned(), "default".to_owned(), 0, PortOptions::default())
}

/// The journals in the folder, each with its length.
fn journals(folder: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry"));
    let named =
        entries.map(|e| (e.file_name().into_string().expect("a name"), e.metadata().expect("a file").len()));
    named.filter(|(name, _)| name.starts_with(JOURNAL)).collect()
}

#[test]
fn nothing_saved_is_no_state() {
    assert!(store().1.load().expect("no file").is_none());
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let (folder, mut store) = store();
    store.save(&mut State::default()).expect("saved");
    let path = folder.path().join(FILE);
    let whole = fs::read(&path).expect("the file");
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).expect("cut");
        assert!(matches!(store.load(), Err(StoreError::Damaged { .. })), "cut at {length}");
    }
    fs::write(&path, &whole).expect("whole");
    assert_eq!(store.load().expect("whole"), Some(State::default()));
}

#[test]
fn a_file_from_the_future_is_refused() {
    let (folder, store) = store();
    fs::write(folder.path().join(FILE), r#"{"version":4,"unknown":[]}"#).expect("written");
    assert!(matches!(store.load(), Err(StoreError::Later { found: 4, .. })));
}

#[test]
fn a_folder_is_one_controllers_at_a_time() {
    let (folder, _store) = store();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::InUse { .. })));
}

#[test]
fn ports_that_come_change_and_go_are_journalled_and_read_back() {
    let (folder, mut store) = store();
    let mut state = State::default();
    store.save(&mut state).expect("saved");
    let document = fs::read(folder.path().join(FILE)).expect("the file");
    for slot in 1..=20 {
        state.ports.insert(slot, port(&format!("veth{slot}")));
        store.save(&mut state).expect("saved");
        state.ports.get_mut(&slot).expect("it was just added").ifindex = 7;
        store.save(&mut state).expect("saved");
    }
    state.ports.remove(&3);
    store.save(&mut state).expect("saved");
    assert_eq!(store.load().expect("good files"), Some(state.clone()));
    assert_eq!(
        fs::read(folder.path().join(FILE)).expect("the file"),
        document,
        "the document was left alone"
    );
    // What is neither a port nor a network goes into a new document, with a new journal behind it.
    state.has_rules = true;
    store.save(&mut state).expect("saved");
    assert_eq!(store.load().expect("good files"), Some(state));
    assert_eq!(journals(folder.path()), [(format!("{JOURNAL}1"), 0)]);
}

fn network(id: u16) -> NetworkState {
    NetworkState { id, domain: id, ..NetworkState::default() }
}

#[test]
fn networks_that_come_change_and_go_are_journalled_and_read_back() {
    let (folder, mut store) = store();
    let mut state = State::default();
    store.save(&mut state).expect("saved");
    let document = fs::read(folder.path().join(FILE)).expect("the file");
    for id in 2..=20 {
        state.networks.insert(format!("n{id}"), network(id));
        store.save(&mut state).expect("saved");
        state.networks.get_mut(&format!("n{id}")).expect("it was just added").mtu = Some(1_400);
        store.save(&mut state).expect("saved");
    }
    state.networks.remove("n3");
    store.save(&mut state).expect("saved");
    assert_eq!(store.load().expect("good files"), Some(state));
    let now = fs::read(folder.path().join(FILE)).expect("the file");
    assert_eq!(now, document, "the document was left alone");
}

#[test]
fn whatever_of_a_save_reached_the_journal_no_port_is_at_a_network_that_is_not_there() {
    let (folder, mut store) = store();
    let mut state = State::default();
    store.save(&mut state).expect("saved");
    let at_red = |link: &str| PortState::new(link.to_owned(), "red".to_owned(), 0, PortOptions::default());
    state.networks.insert("red".to_owned(), network(2));
    for (slot, link) in [(1, "veth1"), (2, "veth2")] {
        state.ports.insert(slot, at_red(link));
    }
    store.save(&mut state).expect("saved");
    state.networks.remove("red");
    for slot in [1, 2] {
        state.ports.remove(&slot);
    }
    store.save(&mut state).expect("saved");
    let path = folder.path().join(format!("{JOURNAL}0"));
    let whole = fs::read(&path).expect("the journal");
    assert_eq!(whole.iter().filter(|byte| **byte == b'\n').count(), 6);
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).expect("cut");
        let found = store.load().expect("a cut end is fine").expect("a state");
        let has_its_network = |port: &PortState| found.networks.contains_key(&port.network);
        assert!(found.ports.values().all(has_its_network), "cut at {length}: {found:?}");
    }
}

#[test]
fn a_state_of_an_older_vswitch_is_read_and_written_as_our_own() {
    let (folder, mut store) = store();
    store.save(&mut State::default()).expect("saved");
    let path = folder.path().join(FILE);
    let text = fs::read_to_string(&path).expect("the file");
    let older = text.replacen(&format!("\"version\": {STATE_VERSION}"), "\"version\": 2", 1);
    assert_ne!(older, text);
    fs::write(&path, older).expect("written");
    fs::write(folder.path().join(format!("{JOURNAL}0")), "{\"slot\":1,\"port\":null}\n").expect("written");
    let mut state = store.load().expect("good files").expect("a state");
    assert_eq!(state.version, STATE_VERSION, "an older vswitch must not read networks from a journal");
    store.durable = None;
    store.save(&mut state).expect("saved");
    assert_eq!(store.load().expect("good files"), Some(state));
}

#[test]
fn of_a_journal_cut_at_any_byte_whole_lines_count() {
    let (folder, mut store) = store();
    let mut state = State::default();
    store.save(&mut state).expect("saved");
    let mut states = vec![state.clone()];
    for slot in 1..=3 {
        state.ports.insert(slot, port(&format!("veth{slot}")));
        store.save(&mut state).expect("saved");
        states.push(state.clone());
    }
    let path = folder.path().join(format!("{JOURNAL}0"));
    let whole = fs::read(&path).expect("the journal");
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).expect("cut");
        let lines = whole[..length].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(store.load().expect("a cut end is fine").as_ref(), states.get(lines), "cut at {length}");
    }
    fs::write(&path, [b"nonsense\n", whole.as_slice()].concat()).expect("written");
    assert!(matches!(store.load(), Err(StoreError::Damaged { .. })), "not at the end, it is damage");
}

#[test]
fn a_long_journal_is_folded_into_the_document() {
    let (folder, mut store) = store();
    let mut state = State::default();
    state.ports.insert(1, port("veth1"));
    for turn in 0..4_000 {
        state.ports.get_mut(&1).expect("it is there").ifindex = turn;
        store.save(&mut state).expect("saved");
    }
    let found = journals(folder.path());
    assert!(
        found.len() == 1 && found[0].1 < 2 * JOURNAL_LEAST && found[0].0 != format!("{JOURNAL}0"),
        "{found:?}"
    );
    assert_eq!(store.load().expect("good files"), Some(state));
}

#[test]
fn a_journal_that_a_crash_left_behind_is_not_read() {
    let (folder, mut store) = store();
    let mut state = State::default();
    store.save(&mut state).expect("saved");
    fs::write(folder.path().join(format!("{JOURNAL}7")), "{\"slot\":1,\"port\":null}\n").expect("written");
    state.ports.insert(1, port("veth1"));
    store.save(&mut state).expect("saved");
    assert_eq!(store.load().expect("good files"), Some(state.clone()));
    state.has_rules = true;
    store.save(&mut state).expect("saved");
    assert_eq!(journals(folder.path()).len(), 1);
}

#[test]
fn a_document_whose_journal_has_gone_is_refused() {
    let (folder, mut store) = store();
    store.save(&mut State::default()).expect("saved");
    let [(journal, _)] = &journals(folder.path())[..] else { panic!("one journal") };
    fs::remove_file(folder.path().join(journal)).expect("removed");
    let error = store.load().expect_err("half of the state");
    assert!(matches!(error, StoreError::Lost { .. }) && error.to_string().contains(journal), "{error}");
}

#[test]
fn names_and_addresses_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("state");
    let mut store = Store::open(&folder).expect("a new folder");
    store.save(&mut State::default()).expect("saved");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let [(journal, _)] = &journals(&folder)[..] else { panic!("one journal") };
    for name in [FILE, journal] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
}
