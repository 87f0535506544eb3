//! How a link becomes a port: the options of `vswitch port add`, as far as tests vary them.

use vswitch::api::types::Hook;

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
