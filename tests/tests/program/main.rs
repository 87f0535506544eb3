//! The programs of the data path over built frames, one `BPF_PROG_TEST_RUN` at a time: what becomes of the frame, what is
//! counted, learned and reported. Not to be had this way: frames shorter than an Ethernet header, which the kernel
//! refuses to run a program over; and where a redirect ends up, which such a run only decides.

mod both;

mod agreement;

mod arp;
mod discovery;
mod flaps;
mod frames;
mod groups;
mod guards;
mod learning;
mod limits;
mod ports;
mod recent;
mod storms;
mod verdicts;
mod vlans;
