//! `switch/SECURITY.md` promises with a test each: here is checked that there is such a test.

use std::path::Path;

/// The page.
pub(super) const PAGE: &str = "switch/SECURITY.md";

/// Complaints about rows whose last cell names no test, or one that `files` (path and text) have not.
pub(super) fn missing_tests(page: &str, files: &[(&Path, &str)]) -> Vec<String> {
    let is_rule = |row: &str| row.chars().all(|character| "|- ".contains(character));
    let rows = page.lines().enumerate().filter(|(_, line)| line.starts_with('|') && !is_rule(line));
    let mut complaints = Vec::new();
    for (index, row) in rows {
        let cell = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default().trim();
        // The head of a table, and what is admitted rather than promised.
        if matches!(cell, "test" | "–") {
            continue;
        }
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            complaints.push(format!("{PAGE}:{}: names no test", index + 1));
        }
        let unknown = names.into_iter().filter(|name| !is_there(name, files));
        complaints.extend(unknown.map(|name| format!("{PAGE}:{}: there is no test {name}", index + 1)));
    }
    complaints
}

/// Whether there is a test of a name like `FILE`, `FILE::MODULE`, `FILE::MODULE::FUNCTION`, or `vswitch::MODULE`; `…` at the
/// end of a function stands for the rest of it.
fn is_there(name: &str, files: &[(&Path, &str)]) -> bool {
    let parts: Vec<&str> = name.split("::").collect();
    let (base, parts) = match parts.as_slice() {
        ["vswitch", rest @ ..] => ("switch/src", rest),
        all => ("tests/tests", all),
    };
    let of_module = |module: &[&str]| {
        let path = Path::new(base).join(module.join("/"));
        let is_of = move |file: &Path| file.with_extension("") == path || file.starts_with(&path);
        files.iter().filter(move |(file, text)| is_of(file) && has_tests(text)).map(|(_, text)| *text)
    };
    let Some((function, module)) = parts.split_last() else { return false };
    of_module(parts).next().is_some() || of_module(module).any(|text| has_function(text, function))
}

fn has_tests(text: &str) -> bool {
    ["#[test]", "#[tokio::test", "each_hook!(", "proptest!"].iter().any(|mark| text.contains(mark))
}

fn has_function(text: &str, function: &str) -> bool {
    let (name, end) = match function.strip_suffix('…') {
        Some(beginning) => (beginning, ""),
        None => (function, "("),
    };
    let named =
        [format!("fn {name}{end}"), format!("each_hook!({name}"), format!("each_hook!(vswitch {name}")];
    named.iter().any(|text_of_it| text.contains(text_of_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(cell: &str) -> Vec<String> {
        let page = format!("| it | | test |\n|---|---|---|\n| cannot | fly | {cell} |\n");
        let files = [
            ("tests/tests/storm.rs", "each_hook!(vswitch floods, |lab| {})"),
            ("tests/tests/endurance/load.rs", "#[test]\nfn an_arp_storm_is_dropped() {}"),
            ("tests/tests/endurance/rival.rs", "fn bridge() {}"),
            ("switch/src/api/peer.rs", "#[test]\nfn f() {}"),
            ("switch/src/controller/store/tests.rs", "#[test]\nfn g() {}"),
        ];
        missing_tests(&page, &files.map(|(path, text)| (Path::new(path), text)))
    }

    #[test]
    fn files_modules_and_functions_are_found() {
        for name in [
            "`storm`",
            "`storm::floods`",
            "`endurance`",
            "`endurance::load`, `storm`",
            "`endurance::load::an_arp_storm…`",
            "`endurance::load::an_arp_storm_is_dropped`",
            "`vswitch::api::peer`",
            "`vswitch::controller::store`",
            "–",
        ] {
            assert_eq!(complaints(name), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn what_is_no_test_is_complained_of() {
        for name in ["`rain`", "`endurance::rival`", "`endurance::load::an_arp`", "`vswitch::api::server`"] {
            assert_eq!(complaints(name).len(), 1, "{name}");
        }
        assert_eq!(complaints("somewhere"), ["switch/SECURITY.md:3: names no test"]);
    }
}
