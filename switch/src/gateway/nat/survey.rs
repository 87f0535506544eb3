//! Whose rules stop what our gateways forward and answer.
//!
//! A drop in any table is final, and dockerd, ufw and firewalld leave such behind. vswitch writes to its own table only and
//! goes around nobody's firewall, so it looks for what would cut its networks off and says what to do. A chain counts if it
//! drops what none of its rules accepts, and no rule of its table accepts what comes from our link.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::NatError;

/// The older iptables of each family: where the kernel lists its tables, the program that prints one, the family.
const LEGACY: [(&str, &str, &str); 2] = [
    ("/proc/self/net/ip_tables_names", "iptables-legacy-save", "ip"),
    ("/proc/self/net/ip6_tables_names", "ip6tables-legacy-save", "ip6"),
];

/// Which of a network's traffic a chain sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// What is routed.
    Forward,
    /// What is meant for the host: questions for names.
    Input,
}

/// Who keeps a table, as far as one can tell by its names: that decides what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// dockerd, which has a chain for rules of others.
    Docker,
    /// ufw.
    Ufw,
    /// firewalld.
    Firewalld,
    /// Somebody who uses iptables.
    Iptables,
    /// The same with the iptables that nftables knows nothing of.
    IptablesLegacy,
    /// Somebody who uses nft.
    Nft,
}

/// A chain that drops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What it sees.
    pub passage: Passage,
    /// Whose it is.
    pub keeper: Keeper,
    /// Family: `ip`, `ip6`, `inet`.
    pub family: String,
    /// Table.
    pub table: String,
    /// Chain.
    pub chain: String,
    /// Links whose traffic a rule accepts; those that end in `*` stand for all that begin so.
    accepted: Vec<String>,
}

/// Chains that drop in the controller's network namespace; `table` is ours, which counts as none.
///
/// # Errors
/// [`NatError`] when nft does not say.
pub async fn survey(table: &str) -> Result<Vec<Obstacle>, NatError> {
    let chains = list(&["list", "chains"]).await?;
    let mut found = Vec::new();
    let suspects = chains.iter().filter(|chain| chain["table"] != table && passage(chain).is_some());
    let mut tables: Vec<(&str, &str)> =
        suspects.filter_map(|chain| Some((text(chain, "family")?, text(chain, "table")?))).collect();
    tables.dedup();
    for (family, table) in tables.into_iter().filter(|(family, _)| ["ip", "ip6", "inet"].contains(family)) {
        // One that has gone meanwhile stops nobody.
        if let Ok(objects) = list(&["list", "table", family, table]).await {
            found.extend(obstacles(&objects));
        }
    }
    for (tables, program, family) in LEGACY {
        let saved = saved_by_legacy(tables, program).await;
        found.extend(saved.iter().flat_map(|saved| legacy_obstacles(saved, family)));
    }
    Ok(found)
}

/// The filter rules of the older iptables, if there are any.
async fn saved_by_legacy(tables: &str, program: &str) -> Option<String> {
    // Asked about a table that is not there, the program would make it.
    let tables = std::fs::read_to_string(tables).ok()?;
    if !tables.lines().any(|table| table == "filter") {
        return None;
    }
    let saved = Command::new(program).args(["-t", "filter"]).stdin(Stdio::null()).output().await.ok()?;
    Some(String::from_utf8_lossy(&saved.stdout).into_owned())
}

impl Obstacle {
    /// Whether it drops what comes from this link.
    #[must_use]
    pub fn stops(&self, link: &str, has_ipv4: bool, has_ipv6: bool) -> bool {
        let is_family = match self.family.as_str() {
            "ip" => has_ipv4,
            "ip6" => has_ipv6,
            _ => true,
        };
        let is_accepted = |name: &String| match name.strip_suffix(['*', '+']) {
            Some(start) => link.starts_with(start),
            None => name == link,
        };
        is_family && !self.accepted.iter().any(is_accepted)
    }

    /// One line: what is stopped, by whom, and what to do about it.
    #[must_use]
    pub fn message(&self, network: &str, link: &str, way_out: &str) -> String {
        let Self { passage, family, table, chain, .. } = self;
        let what = match passage {
            Passage::Forward => "drops what it forwards",
            Passage::Input => "drops questions for names to its gateway",
        };
        let remedy = self.remedy(link, way_out);
        format!(
            "network {network}: chain {chain} of table {family} {table} {what}, and vswitch writes to its own table only: `{remedy}`"
        )
    }

    fn remedy(&self, link: &str, way_out: &str) -> String {
        let Self { family, table, chain, .. } = self;
        let by_iptables = |program: &str, chain: &str| {
            let program =
                if family == "ip6" { program.replace("iptables", "ip6tables") } else { program.to_owned() };
            match self.passage {
                Passage::Forward => format!(
                    "{program} -I {chain} -i {link} -o {way_out} -j ACCEPT; {program} -I {chain} -o {link} -j ACCEPT"
                ),
                Passage::Input => ["udp", "tcp"]
                    .map(|protocol| {
                        format!("{program} -I {chain} -i {link} -p {protocol} --dport 53 -j ACCEPT")
                    })
                    .join("; "),
            }
        };
        match (self.keeper, self.passage) {
            (Keeper::Docker, Passage::Forward) => by_iptables("iptables", "DOCKER-USER"),
            (Keeper::Docker | Keeper::Iptables, _) => by_iptables("iptables", chain),
            (Keeper::IptablesLegacy, _) => by_iptables("iptables-legacy", chain),
            (Keeper::Ufw, Passage::Forward) => {
                format!("ufw route allow in on {link} out on {way_out}; ufw route allow out on {link}")
            }
            (Keeper::Ufw, Passage::Input) => format!("ufw allow in on {link} to any port 53"),
            (Keeper::Firewalld, _) => format!("firewall-cmd --zone=trusted --add-interface={link}"),
            (Keeper::Nft, Passage::Forward) => {
                let insert = format!("nft insert rule {family} {table} {chain}");
                format!("{insert} iifname {link} oifname {way_out} accept; {insert} oifname {link} accept")
            }
            (Keeper::Nft, Passage::Input) => format!(
                "nft insert rule {family} {table} {chain} iifname {link} meta l4proto {{ tcp, udp }} th dport 53 accept"
            ),
        }
    }
}

/// Whether a rule drops what comes from a link and leaves by it: how engines keep the containers of a bridge apart.
///
/// # Errors
/// [`NatError`] when nft does not say.
pub async fn keeps_apart(link: &str) -> Result<bool, NatError> {
    let objects = list(&["list", "ruleset"]).await?;
    let legacy = saved_by_legacy(LEGACY[0].0, LEGACY[0].1).await.unwrap_or_default();
    let is_legacy = |line: &str| line.contains(&format!("-i {link} -o {link} -j DROP"));
    Ok(objects.iter().any(|rule| drops_from_to(rule, link)) || legacy.lines().any(is_legacy))
}

fn drops_from_to(rule: &Value, link: &str) -> bool {
    let steps = rule["expr"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_of = |key: &str| {
        steps.iter().any(|step| {
            let found = &step["match"];
            found["left"]["meta"]["key"] == key && found["op"] == "==" && found["right"] == link
        })
    };
    steps.iter().any(|step| step.get("drop").is_some()) && is_of("iifname") && is_of("oifname")
}

/// What nft lists: each object without the name of its kind.
async fn list(arguments: &[&str]) -> Result<Vec<Value>, NatError> {
    let text = super::run(&[&["-j"], arguments].concat(), None).await?;
    let mut document: Value = serde_json::from_slice(&text).map_err(|error| NatError::Run(error.into()))?;
    let Value::Array(objects) = document["nftables"].take() else { return Ok(Vec::new()) };
    let inner = |object: Value| match object {
        Value::Object(fields) => fields.into_iter().next().map(|(_, value)| value),
        _ => None,
    };
    Ok(objects.into_iter().filter_map(inner).collect())
}

/// The dropping chains of one table.
fn obstacles(objects: &[Value]) -> Vec<Obstacle> {
    let rules = || objects.iter().filter(|object| object["expr"].is_array());
    let is_accepting = |chain: &str| {
        rules().rfind(|rule| rule["chain"] == chain).is_some_and(|rule| always(rule, &["accept"]))
    };
    let accepted: Vec<String> = rules().flat_map(|rule| accepted_from(rule, is_accepting)).collect();
    let chains = objects.iter().filter(|object| !object["expr"].is_array());
    let obstacle = |chain: &Value| {
        let passage = passage(chain)?;
        let (family, table, name) = (text(chain, "family")?, text(chain, "table")?, text(chain, "name")?);
        let last = rules().rfind(|rule| rule["chain"] == name);
        if chain["policy"] != "drop" && !last.is_some_and(|rule| always(rule, &["drop", "reject"])) {
            return None;
        }
        let has_chain =
            |start: &str| objects.iter().any(|o| text(o, "name").is_some_and(|n| n.starts_with(start)));
        let keeper = match (family, table) {
            (_, "firewalld") => Keeper::Firewalld,
            ("ip" | "ip6", "filter") if passage == Passage::Forward && has_chain("DOCKER-USER") => {
                Keeper::Docker
            }
            ("ip" | "ip6", "filter") if has_chain("ufw") => Keeper::Ufw,
            ("ip" | "ip6", "filter") if name == "FORWARD" || name == "INPUT" => Keeper::Iptables,
            _ => Keeper::Nft,
        };
        let [family, table, chain] = [family, table, name].map(str::to_owned);
        Some(Obstacle { passage, keeper, family, table, chain, accepted: accepted.clone() })
    };
    chains.filter_map(obstacle).collect()
}

/// Names of links from which a rule accepts, by itself or by sending to a chain that does in the end, as firewalld's zones.
fn accepted_from(rule: &Value, is_accepting: impl Fn(&str) -> bool) -> Vec<String> {
    let steps = rule["expr"].as_array().map(Vec::as_slice).unwrap_or_default();
    let accepts = |step: &Value| {
        let to = [&step["goto"], &step["jump"]].into_iter().find_map(|to| to["target"].as_str());
        step.get("accept").is_some() || to.is_some_and(&is_accepting)
    };
    if !steps.iter().any(accepts) {
        return Vec::new();
    }
    let is_ingress =
        |step: &&Value| step["match"]["left"]["meta"]["key"] == "iifname" && step["match"]["op"] == "==";
    let names = |step: &Value| match &step["match"]["right"] {
        Value::String(name) => vec![name.clone()],
        right => right["set"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
    };
    steps.iter().filter(is_ingress).flat_map(names).collect()
}

/// Whether whatever comes to the rule meets one of these verdicts.
fn always(rule: &Value, verdicts: &[&str]) -> bool {
    let steps = rule["expr"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_condition =
        |step: &Value| ["match", "xt", "limit"].iter().any(|condition| step.get(condition).is_some());
    let is_verdict = |step: &Value| verdicts.iter().any(|verdict| step.get(verdict).is_some());
    steps.iter().any(is_verdict) && !steps.iter().any(is_condition)
}

/// What a base chain sees, if it is one that may drop.
fn passage(chain: &Value) -> Option<Passage> {
    match (text(chain, "type")?, text(chain, "hook")?) {
        ("filter", "forward") => Some(Passage::Forward),
        ("filter", "input") => Some(Passage::Input),
        _ => None,
    }
}

/// The dropping chains among those of the older iptables, as its save command prints them.
fn legacy_obstacles(saved: &str, family: &str) -> Vec<Obstacle> {
    let accepting = saved.lines().filter(|line| line.ends_with("-j ACCEPT"));
    let accepted: Vec<String> = accepting
        .filter_map(|line| line.split_once(" -i ")?.1.split_whitespace().next().map(str::to_owned))
        .collect();
    let chains = [(Passage::Forward, "FORWARD"), (Passage::Input, "INPUT")].into_iter();
    let dropping =
        chains.filter(|(_, chain)| saved.lines().any(|line| line.starts_with(&format!(":{chain} DROP"))));
    dropping
        .map(|(passage, chain)| Obstacle {
            passage,
            keeper: Keeper::IptablesLegacy,
            family: family.to_owned(),
            table: "filter".to_owned(),
            chain: chain.to_owned(),
            accepted: accepted.clone(),
        })
        .collect()
}

fn text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object[key].as_str()
}

#[cfg(test)]
#[path = "survey/tests.rs"]
mod tests;
