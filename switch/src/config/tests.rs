//! Which source wins, and what a wrong file says.

use tempfile::TempDir;

use super::*;

/// Loads with a file of that text and nothing else said.
fn load(text: &str) -> Result<Config, ConfigError> {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("vswitch.toml");
    fs::write(&path, text).expect("a file");
    Config::load(Overrides { file: Some(path), ..Overrides::default() })
}

#[test]
fn an_empty_file_leaves_the_defaults() {
    assert_eq!(load("").expect("a configuration"), Config::default());
}

#[test]
fn the_file_overrides_the_defaults() {
    let text = "socket = '/a/s'\nstate_dir = '/b'\nbpffs = '/c'\nlog = 'debug'\ntc_attach = 'clsact'\n\
                docker_plugin = '/d'\ndocker_engine = '/e'\ndocker_user = 'leave'\n[limits]\nfdb_entries = 1000\nports = 10\nnetworks = 2\nstation_moves = 5\n";
    let expected = Config {
        paths: Paths { socket: "/a/s".into(), state_dir: "/b".into(), bpffs: "/c".into() },
        log: LogLevel::Debug,
        tc_attach: TcAttach::Clsact,
        docker_plugin: Some("/d".into()),
        docker_engine: "/e".into(),
        docker_user: DockerUser::Leave,
        limits: Limits { fdb_entries: 1000, ports: 10, networks: 2, station_moves: 5 },
    };
    assert_eq!(load(text).expect("a configuration"), expected);
}

#[test]
fn the_file_can_do_without_the_docker_plugin() {
    assert_eq!(load("docker_plugin = 'none'").expect("a configuration").docker_plugin, None);
}

#[test]
fn the_command_line_overrides_the_file() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("vswitch.toml");
    fs::write(&path, "socket = '/a/s'\nbpffs = '/c'\nlog = 'debug'\ndocker_plugin = '/d'").expect("a file");
    let said = Overrides {
        file: Some(path),
        socket: Some("/x".into()),
        docker_plugin: Some(None),
        log: Some(LogLevel::Warn),
        ..Overrides::default()
    };
    let config = Config::load(said).expect("a configuration");
    assert_eq!(config.paths.socket, Path::new("/x"));
    assert_eq!(config.paths.bpffs, Path::new("/c"));
    assert_eq!((config.docker_plugin, config.log), (None, LogLevel::Warn));
}

#[test]
fn a_named_file_must_be_there() {
    let said = Overrides { file: Some("/nowhere/vswitch.toml".into()), ..Overrides::default() };
    let error = ApiError::from(Config::load(said).expect_err("no such file"));
    assert_eq!(error.code, ErrorCode::InvalidConfig);
    assert!(error.message.contains("/nowhere/vswitch.toml") && error.message.contains("--config"), "{error}");
}

#[test]
fn what_is_not_known_or_out_of_range_is_refused_by_its_place() {
    for (text, place) in [
        ("\ncolour = 'red'\n", "line 2: unknown field `colour`"),
        ("[limits]\nport = 3\n", "line 2: unknown field `port`"),
        ("socket = ", "line 1"),
        ("log = 'loud'", "line 1"),
        ("\ndocker_user = 'go'", "line 2: unknown variant `go`, expected `jump` or `leave`"),
        ("\n\n[limits]\nports = -1", "line 4"),
        ("[limits]\nports = 65536", "limits.ports is 65536: give 1 to 8191"),
        ("[limits]\nfdb_entries = 0", "limits.fdb_entries is 0"),
        ("[limits]\nnetworks = 0", "limits.networks is 0"),
    ] {
        let error = ApiError::from(load(text).expect_err("wrong")).message;
        assert!(error.contains(place), "{text:?}: {error:?} lacks {place:?}");
    }
}

#[test]
fn relative_paths_are_made_absolute() {
    let said = Overrides { bpffs: Some("pins".into()), ..Overrides::default() };
    assert!(Config::load(said).expect("a configuration").paths.bpffs.is_absolute());
}
