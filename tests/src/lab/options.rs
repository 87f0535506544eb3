//! How a link becomes a port: the options of `vswitch port add`, as far as tests vary them.

use vswitch::api::types::Hook;

/// The VLANs of a port, as the arguments of `port add` say them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The VLAN of an access port.
    pub access: Option<u16>,
    /// The tagged VLANs of a trunk, `10,20,100-200` or `all`.
    pub trunk: Option<String>,
    /// The untagged VLAN of a trunk.
    pub native: Option<u16>,
}

/// Options of one port; the default is a port of network `default` without VLANs.
#[derive(Debug, Clone, Default)]
pub struct PortOptions {
    /// Network to join.
    pub network: Option<String>,
    /// Hook to use; where none is named, the lab's [`crate::hooks::Hooks`] decide.
    pub hook: Option<Hook>,
    /// Reaches only ports that are not isolated.
    pub isolated: bool,
    /// A frame may leave by the port it came in by.
    pub hairpin: bool,
    /// Sources are not learned.
    pub no_learning: bool,
    /// Floods do not leave here.
    pub no_flood: bool,
    /// Further arguments, as they are.
    pub extra: Vec<String>,
}

impl PortOptions {
    /// A port of a named network.
    #[must_use]
    pub fn network(name: &str) -> Self {
        Self { network: Some(name.to_owned()), ..Self::default() }
    }

    /// Untagged member of one VLAN.
    #[must_use]
    pub fn access(vid: u16) -> Self {
        Self::default().with(&["--access", &vid.to_string()])
    }

    /// Tagged member of several VLANs.
    #[must_use]
    pub fn trunk(vids: &str) -> Self {
        Self::default().with(&["--trunk", vids])
    }

    /// The same with a hook of choice.
    #[must_use]
    pub fn hook(mut self, hook: Hook) -> Self {
        self.hook = Some(hook);
        self
    }

    /// The same with further arguments.
    #[must_use]
    pub fn with(mut self, extra: &[&str]) -> Self {
        self.extra.extend(extra.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// The VLANs among the further arguments, and the arguments that are left: for switches that are not vswitch.
    ///
    /// # Panics
    /// When a VLAN ID is no number.
    #[must_use]
    pub fn membership(&self) -> (Membership, Vec<&str>) {
        let (mut vlans, mut left) = (Membership::default(), Vec::new());
        let mut arguments = self.extra.iter().map(String::as_str);
        let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).expect("a VLAN ID");
        while let Some(argument) = arguments.next() {
            match argument {
                "--access" => vlans.access = Some(number(arguments.next())),
                "--native" => vlans.native = Some(number(arguments.next())),
                "--trunk" => vlans.trunk = arguments.next().map(str::to_owned),
                other => left.push(other),
            }
        }
        (vlans, left)
    }

    /// As `vswitch port add LINK` takes them.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if let Some(network) = &self.network {
            arguments.extend(["--network".to_owned(), network.clone()]);
        }
        match self.hook {
            Some(Hook::Xdp) => arguments.extend(["--hook".to_owned(), "xdp".to_owned()]),
            Some(Hook::Tc) => arguments.extend(["--hook".to_owned(), "tc".to_owned()]),
            None => {}
        }
        let flags = [
            (self.isolated, "--isolated"),
            (self.hairpin, "--hairpin"),
            (self.no_learning, "--no-learning"),
            (self.no_flood, "--no-flood"),
        ];
        arguments.extend(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| (*flag).to_owned()));
        arguments.extend(self.extra.iter().cloned());
        arguments
    }
}
