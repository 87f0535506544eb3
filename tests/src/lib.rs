//! The lab the switch is tested in.
