use proptest::prelude::*;

use super::*;

fn names() -> Names {
    let web: Vec<IpAddr> = vec![[10, 1, 0, 2].into(), "fd00:1::2".parse().expect("an address")];
    Names {
        network: "blue".to_owned(),
        subnets: vec!["10.1.0.0/24".parse().expect("a subnet"), "fd00:1::/64".parse().expect("a subnet")],
        addresses: [("web".to_owned(), web.clone()), ("db.prod".to_owned(), vec![[10, 1, 0, 3].into()])]
            .into(),
        hosts: web.into_iter().map(|ip| (ip, "web".to_owned())).collect(),
    }
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
    message
}

fn decided(message: &Message) -> Decision {
    decide(&message.to_vec().expect("octets"), &names())
}

/// The answer to a query that is ours.
#[track_caller]
fn answer(name: &str, kind: RecordType) -> Message {
    match decided(&query(name, kind)) {
        Decision::Answer(message) => *message,
        other => panic!("{name} {kind}: {other:?}"),
    }
}

#[test]
fn hosts_are_known_by_name_with_and_without_the_network() {
    for name in ["web.", "WEB.", "web.blue.", "Web.Blue."] {
        let message = answer(name, RecordType::A);
        assert_eq!(message.answers.len(), 1, "{name}");
        assert_eq!((message.answers[0].ttl, message.metadata.id), (0, 7));
        assert_eq!(message.answers[0].data, RData::A(A([10, 1, 0, 2].into())));
        assert!(message.metadata.recursion_desired && message.metadata.recursion_available);
    }
    assert_eq!(answer("web.", RecordType::AAAA).answers.len(), 1);
    assert_eq!(answer("db.prod.", RecordType::A).answers.len(), 1);
}

#[test]
fn a_known_name_without_the_type_has_no_records_and_is_not_asked_for_elsewhere() {
    for kind in [RecordType::MX, RecordType::TXT, RecordType::HTTPS] {
        let message = answer("web.", kind);
        assert_eq!((message.answers.len(), message.metadata.response_code), (0, ResponseCode::NoError));
    }
    assert_eq!(answer("db.prod.blue.", RecordType::AAAA).answers.len(), 0);
}

#[test]
fn addresses_lead_back_to_names_of_this_network_only() {
    let message = answer("2.0.1.10.in-addr.arpa.", RecordType::PTR);
    let RData::PTR(PTR(target)) = &message.answers[0].data else { panic!("{message:?}") };
    assert_eq!(target.to_ascii(), "web.blue.");
    let zeros = "0.".repeat(18);
    let v6 = format!("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.{}1.0.0.0.0.0.d.f.ip6.arpa.", &zeros[..16]);
    assert_eq!(answer(&v6, RecordType::PTR).answers.len(), 1, "{v6}");
    let gone = answer("9.0.1.10.in-addr.arpa.", RecordType::PTR);
    assert_eq!(gone.metadata.response_code, ResponseCode::NXDomain);
    assert!(matches!(decided(&query("1.2.0.192.in-addr.arpa.", RecordType::PTR)), Decision::Forward));
}

#[test]
fn other_names_are_somebody_elses() {
    for name in ["example.org.", "nobody.", "web.red.", "blue.", ".", "xweb.", "web.xblue."] {
        assert!(matches!(decided(&query(name, RecordType::A)), Decision::Forward), "{name}");
    }
}

#[test]
fn odd_queries_are_refused_with_their_number() {
    let code = |message: &Message| match decided(message) {
        Decision::Answer(answer) => (answer.metadata.id, answer.metadata.response_code),
        other => panic!("{other:?}"),
    };
    let mut two = query("web.", RecordType::A);
    two.add_query(Query::query(Name::root(), RecordType::A));
    assert_eq!(code(&two), (7, ResponseCode::FormErr));
    let mut update = query("web.", RecordType::A);
    update.metadata.op_code = OpCode::Update;
    assert_eq!(code(&update), (7, ResponseCode::NotImp));
    let mut answer = query("web.", RecordType::A);
    answer.metadata.message_type = MessageType::Response;
    assert!(matches!(decided(&answer), Decision::Ignore));
    assert!(matches!(decide(&[0; 5], &names()), Decision::Ignore));
    let Decision::Answer(formerr) = decide(&[0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 200], &names()) else {
        panic!("no answer to half a query")
    };
    assert_eq!((formerr.metadata.id, formerr.metadata.response_code), (9, ResponseCode::FormErr));
}

#[test]
fn a_long_answer_is_cut_to_what_the_client_takes() {
    let mut crowded = names();
    crowded.addresses.insert("many".to_owned(), (0..60).map(|n| [10, 1, 1, n].into()).collect());
    let plain = query("many.", RecordType::A);
    let mut extended = plain.clone();
    extended.set_edns(Edns::new().set_max_payload(4096).clone());
    for (query, is_whole) in [(plain, false), (extended, true)] {
        let bytes = query.to_vec().expect("octets");
        let Decision::Answer(message) = decide(&bytes, &crowded) else { panic!("ours") };
        let sent = Message::from_vec(&for_udp(&message, &bytes).expect("octets")).expect("a message");
        assert_eq!(
            (sent.metadata.truncation, sent.answers.len()),
            if is_whole { (false, 60) } else { (true, 0) }
        );
        assert_eq!(sent.edns.is_some(), is_whole);
    }
}

proptest! {
    #[test]
    fn no_octets_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Decision::Answer(message) = decide(&bytes, &names()) {
            let _sent = for_udp(&message, &bytes);
        }
        let _failed = failure(&bytes);
    }

    #[test]
    fn no_damage_to_a_query_brings_it_down(at in 0usize..64, byte in any::<u8>(), cut in 0usize..64) {
        let mut bytes = query("web.blue.", RecordType::A).to_vec().expect("octets");
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(length - cut % length);
        if let Decision::Answer(message) = decide(&bytes, &names()) {
            prop_assert!(for_udp(&message, &bytes).is_some());
        }
    }
}
