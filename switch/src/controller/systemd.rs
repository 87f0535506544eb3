//! What systemd is told, if it watches: that the loop lives, and in a line what the switch has. Who else is there hears nothing.

use sd_notify::NotifyState;

/// What systemd knows.
#[derive(Debug, Default)]
pub(super) struct Systemd {
    status: String,
}

impl Systemd {
    /// Says that the loop lives, and `status` where that is news: `systemctl status` shows it.
    pub(super) fn tell(&mut self, status: String) {
        let _unwatched = sd_notify::notify(&[NotifyState::Watchdog]);
        if self.status != status {
            let _unwatched = sd_notify::notify(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }
}

/// The line: `3 ports in 2 networks`, with what is not as it should be.
pub(super) fn status(ports: usize, networks: usize, behind: usize) -> String {
    let of = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let waiting = if behind == 0 { String::new() } else { format!(", {behind} waiting for their links") };
    format!("{} in {}{waiting}", of(ports, "port"), of(networks, "network"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_what_there_is_and_what_is_missing() {
        assert_eq!(status(1, 1, 0), "1 port in 1 network");
        assert_eq!(status(12, 2, 3), "12 ports in 2 networks, 3 waiting for their links");
    }
}
