//! Which hook the ports of a test get, and the macro that runs one test over all of them.

use std::io::Write as _;

use vswitch::api::types::Hook;

use crate::lab::Lab;
use crate::switch::Rival;

/// Where the ports of a lab have their program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hooks {
    /// The switch chooses.
    Auto,
    /// All at XDP.
    Xdp,
    /// All at tc.
    Tc,
    /// The first at XDP, the second at tc, and so on in turn.
    Mixed,
}

impl Hooks {
    /// The hook of the lab's port number `number`, from 0; `None` leaves it to the switch.
    #[must_use]
    pub fn of_port(self, number: usize) -> Option<Hook> {
        match self {
            Self::Auto => None,
            Self::Xdp => Some(Hook::Xdp),
            Self::Tc => Some(Hook::Tc),
            Self::Mixed => Some(if number.is_multiple_of(2) { Hook::Xdp } else { Hook::Tc }),
        }
    }

    /// A lab for one run of a test that any switch must pass.
    ///
    /// `None`, said aloud, where the run would add nothing: a rival has no hooks, so it runs each test once.
    #[must_use]
    pub fn lab(self, title: &str) -> Option<Lab> {
        let rival = Rival::from_environment();
        if rival != Rival::Vswitch && self != Self::Tc {
            skip(title, "only vswitch has hooks; the run called tc stands for all");
            return None;
        }
        Some(Lab::with(title, rival, self))
    }

    /// A lab for one run of a test of what only vswitch has; `None`, said aloud, around a rival.
    #[must_use]
    pub fn vswitch_lab(self, title: &str) -> Option<Lab> {
        if Rival::from_environment() != Rival::Vswitch {
            skip(title, "it tests what only vswitch has");
            return None;
        }
        Some(Lab::with(title, Rival::Vswitch, self))
    }
}

/// Says on the real stderr, which libtest does not capture, that a test proves nothing here, and why.
pub fn skip(title: &str, reason: &str) {
    // In one write: other tests say things meanwhile.
    let _ = std::io::stderr().write_all(format!("SKIPPED {title}: {reason}\n").as_bytes());
}

/// One test, run with all ports at XDP, all at tc, and mixed: `NAME::xdp`, `NAME::tc`, `NAME::mixed`.
///
/// `each_hook!(name, |lab| { … })` for what any switch does; `each_hook!(vswitch name, |lab| { … })` for what only
/// vswitch does. `lab` is a `Lab` to be used up.
#[macro_export]
macro_rules! each_hook {
    (vswitch $name:ident, |$lab:ident| $body:block) => {
        $crate::each_hook!(@with vswitch_lab, $name, $lab, $body);
    };
    ($name:ident, |$lab:ident| $body:block) => {
        $crate::each_hook!(@with lab, $name, $lab, $body);
    };
    (@with $make:ident, $name:ident, $lab:ident, $body:block) => {
        mod $name {
            #[allow(unused_imports, reason = "a body needs what it needs")]
            use super::*;

            #[allow(unused_mut, reason = "a body may only look")]
            fn run(mut $lab: $crate::lab::Lab) $body

            fn with(hooks: $crate::hooks::Hooks) {
                if let Some(lab) = hooks.$make(module_path!()) {
                    run(lab);
                }
            }

            #[test]
            fn xdp() {
                with($crate::hooks::Hooks::Xdp);
            }

            #[test]
            fn tc() {
                with($crate::hooks::Hooks::Tc);
            }

            #[test]
            fn mixed() {
                with($crate::hooks::Hooks::Mixed);
            }
        }
    };
}
