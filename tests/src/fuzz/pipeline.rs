//! The pure decisions over any values that maps and frames can hold.

use vswitch_common::abi::Bucket;
use vswitch_common::domain::DomainId;
use vswitch_common::fdb::{self, FdbEntry, FdbKey, Learn, entry_flag};
use vswitch_common::mac::MacAddr;
use vswitch_common::policy;
use vswitch_common::port::{PortConfig, PortId, flag};
use vswitch_common::storm::{self, StormKind, StormLimit};
use vswitch_common::trace::Copied;
use vswitch_common::verdict::{DropReason, Packed, Verdict};
use vswitch_common::vlan::{self, Form, Tag, VIDS, VlanId, VlanSet};

use super::outcome;

/// Octets of an input, taken one after the other; zeros when they are used up.
struct Octets<'a>(&'a [u8]);

impl Octets<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        for place in &mut taken {
            if let Some((first, rest)) = self.0.split_first() {
                (*place, self.0) = (*first, rest);
            }
        }
        taken
    }

    fn half(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn port(&mut self) -> (PortId, PortConfig) {
        let config = PortConfig {
            flags: u32::from(self.half()),
            epoch: u32::from(self.take::<1>()[0] % 3),
            mtu: u32::from(self.half()),
            network: u16::from(self.take::<1>()[0] % 3),
            domain: self.half(),
            pvid: self.half() % VIDS,
            ageing_ns: self.word() >> 20,
            ..PortConfig::FREE
        };
        (PortId(u16::from(self.take::<1>()[0] % 4)), config)
    }
}

pub(super) fn check(input: &[u8]) -> u64 {
    let mut octets = Octets(input);
    let (from, to) = (octets.port(), octets.port());
    let now_ns = octets.word() >> 8;
    let entry = FdbEntry {
        port: octets.half() % 4,
        flags: octets.half() & 7,
        epoch: u32::from(octets.take::<1>()[0] % 3),
        seen_ns: octets.word() >> 8,
    };
    let mac = MacAddr::from_bits(octets.word());
    let said = (
        learning(&entry, (from.0, &from.1), now_ns),
        leaving((from.0, &from.1), (to.0, &to.1), u32::from(octets.half())),
        vlans(&from.1, &mut octets),
        words(octets.word(), octets.word(), octets.half()),
        (StormKind::of(mac), mac.is_valid_source(), mac.is_link_constrained()),
    );
    let domain = DomainId(octets.half());
    let key = FdbKey::new(domain, mac);
    assert!(key.domain() == domain && key.mac() == mac, "a key reads back");
    assert!(!(mac.is_valid_source() && (mac.is_group() || mac.is_link_constrained())));
    outcome(&said)
}

fn learning(entry: &FdbEntry, (id, config): (PortId, &PortConfig), now_ns: u64) -> (Learn, bool) {
    let learn = fdb::learn(entry, id, config, now_ns);
    let is_current = fdb::is_current(entry, config, now_ns);
    match learn {
        Learn::Move => {
            assert!(entry.is_some() && !entry.is_pinned(), "a sticky or local entry moved");
            assert!(config.has(flag::LEARNING));
        }
        Learn::Insert => assert!(!entry.is_some(), "an entry was inserted over another"),
        Learn::Refresh => assert_eq!(entry.port, id.0, "a station was heard where it is not"),
        Learn::Keep | Learn::Stay | Learn::Refuse => {}
    }
    if entry.is_permanent() && entry.is_some() {
        assert!(is_current, "a configured entry aged");
    }
    let again = FdbEntry { flags: entry.flags, ..FdbEntry::dynamic(id, config, now_ns) };
    if matches!(learn, Learn::Move | Learn::Insert) && id.0 != 0 && entry.flags & entry_flag::LOCAL == 0 {
        assert_eq!(fdb::learn(&again, id, config, now_ns), Learn::Keep, "what was learned is learned again");
    }
    (learn, is_current)
}

fn leaving(
    from: (PortId, &PortConfig),
    to: (PortId, &PortConfig),
    bytes: u32,
) -> (Result<(), DropReason>, bool) {
    let may = policy::may_leave(from, to);
    if may.is_ok() {
        assert_eq!(from.1.network, to.1.network, "a frame left its network");
        assert!(from.0 != to.0 || to.1.has(flag::HAIRPIN), "a frame came back");
        assert!(to.1.has(flag::FORWARDING));
        assert!(!(from.1.has(flag::ISOLATED) && to.1.has(flag::ISOLATED)), "isolated ports met");
    }
    (may, policy::fits(to.1, bytes))
}

fn vlans(port: &PortConfig, octets: &mut Octets<'_>) -> (Result<(), DropReason>, bool) {
    let mut allowed = VlanSet::EMPTY;
    for _ in 0..4 {
        VlanId::new(octets.half() % VIDS).into_iter().for_each(|vid| allowed.insert(vid));
    }
    let tag = Tag { tpid: [0, 0x8100, 0x88a8][usize::from(octets.take::<1>()[0] % 3)], tci: octets.half() };
    let classified = vlan::classify(port, tag, &allowed);
    match classified {
        Ok(0) => assert!(!port.has(flag::VLAN_AWARE), "VLAN 0 on a VLAN-aware port"),
        Ok(vid) => {
            assert!(VlanId::new(vid).is_some(), "{vid} is no VLAN");
            let form = vlan::leave(port, vid, &allowed).expect("who may come in may leave");
            assert!(form == Form::UNTAGGED || form.vid() == vid);
            assert!(tag.vid() == 0 || !tag.is_some() || vid == tag.vid(), "a tag was not believed");
        }
        Err(reason) => assert!(matches!(reason, DropReason::InvalidVlan | DropReason::VlanNotAllowed)),
    }
    (classified.map(drop), tag.form().differs_from(Form::UNTAGGED))
}

/// Any word is a verdict, a state of a bucket, an outcome of a trace.
fn words(word: u64, other: u64, half: u16) -> (u8, bool, bool) {
    let verdict = Packed::from_word(word).unpack();
    assert!(verdict.pack().unpack() == verdict, "a verdict reads back");
    assert!(verdict.pack().is_decided());
    let kind = match verdict {
        Verdict::Forward(..) => 0,
        Verdict::Flood(_) => 1,
        Verdict::Answer(_) => 2,
        Verdict::Punt(_) => 3,
        Verdict::Local => 4,
        Verdict::Drop(_) => 5,
        Verdict::Group(..) => 6,
    };
    let (due, now) = (word >> 8, other >> 8);
    let limit = StormLimit { interval_ns: u32::from(half) * 1000 + 1, burst: u32::from(half % 16) };
    let next = storm::take(due, now, limit);
    assert!(next.is_none_or(|next| next > due && next > now), "a frame cost nothing");
    let bucket = Bucket { second: due / 1_000_000_000, spent: u64::from(half) };
    let after = bucket.take(now, 256);
    assert!(after.is_none_or(|after| after.spent >= 1 && after.second == now / 1_000_000_000));
    let _any = Copied(word).of((word >> 32) as u32);
    (kind, next.is_some(), after.is_some())
}
