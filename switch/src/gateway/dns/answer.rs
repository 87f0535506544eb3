//! What a query gets from the network's own names. Pure: octets and names in, octets out.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::Names;

/// Largest answer by UDP that is offered and given: no path fragments it (DNS flag day 2020).
pub(super) const UDP_BYTES_MOST: u16 = 1_232;

/// Octets of a header, and where in it are the flags.
const HEADER_BYTES: usize = 12;

/// A container's address may be another's in a moment.
const TTL_S: u32 = 0;

/// What to do with a query.
#[derive(Debug)]
pub(super) enum Decision {
    /// Say this.
    Answer(Box<Message>),
    /// Ask somebody else.
    Forward,
    /// Say nothing: it is no query at all.
    Ignore,
}

/// Decides about one message.
pub(super) fn decide(bytes: &[u8], names: &Names) -> Decision {
    let Ok(message) = Message::from_vec(bytes) else { return malformed(bytes) };
    if message.metadata.message_type != MessageType::Query {
        return Decision::Ignore;
    }
    if message.metadata.op_code != OpCode::Query {
        return refuse(&message, ResponseCode::NotImp);
    }
    if message.version() > 0 {
        return refuse(&message, ResponseCode::BADVERS);
    }
    let [query] = message.queries.as_slice() else { return refuse(&message, ResponseCode::FormErr) };
    if query.query_class() != DNSClass::IN {
        return Decision::Forward;
    }
    match records(query, names) {
        Found::Records(records) => {
            let mut response = response(&message, ResponseCode::NoError);
            response.add_answers(records);
            Decision::Answer(Box::new(response))
        }
        Found::NoSuchName => refuse(&message, ResponseCode::NXDomain),
        Found::NotOurs => Decision::Forward,
    }
}

/// What a query by UDP gets.
#[derive(Debug)]
pub enum Reply {
    /// These octets.
    Octets(Vec<u8>),
    /// What another server says.
    Forward,
    /// Nothing.
    Nothing,
}

/// The reply of a network's server to octets that came by UDP.
#[must_use]
pub fn reply(query: &[u8], names: &Names) -> Reply {
    match decide(query, names) {
        Decision::Answer(message) => for_udp(&message, query).map_or(Reply::Nothing, Reply::Octets),
        Decision::Forward => Reply::Forward,
        Decision::Ignore => Reply::Nothing,
    }
}

/// The answer when nobody else can be asked.
pub(super) fn failure(bytes: &[u8]) -> Option<Message> {
    let message = Message::from_vec(bytes).ok()?;
    Some(response(&message, ResponseCode::ServFail))
}

/// As octets for UDP: cut, and marked as cut, to what the client takes.
pub(super) fn for_udp(message: &Message, query: &[u8]) -> Option<Vec<u8>> {
    let most = Message::from_vec(query).map_or(512, |query| query.max_payload()).min(UDP_BYTES_MOST);
    let bytes = message.to_vec().ok()?;
    if bytes.len() <= usize::from(most) { Some(bytes) } else { message.truncate().to_vec().ok() }
}

enum Found {
    /// The name is ours; of this type it may have no records.
    Records(Vec<Record>),
    /// The name would be ours.
    NoSuchName,
    /// Somebody else's.
    NotOurs,
}

fn records(query: &Query, names: &Names) -> Found {
    let name = query.name();
    if let Some(ip) = reverse(name) {
        return match names.hosts.get(&ip) {
            Some(host) => Found::Records(pointer(query, host, names).into_iter().collect()),
            None if names.subnets.iter().any(|subnet| subnet.contains(&ip)) => Found::NoSuchName,
            None => Found::NotOurs,
        };
    }
    let Some(addresses) = lookup(name, names) else { return Found::NotOurs };
    let record = |ip: &IpAddr| match (ip, query.query_type()) {
        (IpAddr::V4(ip), RecordType::A | RecordType::ANY) => Some(RData::A(A(*ip))),
        (IpAddr::V6(ip), RecordType::AAAA | RecordType::ANY) => Some(RData::AAAA(AAAA(*ip))),
        _ => None,
    };
    let records = addresses.iter().filter_map(record);
    Found::Records(records.map(|data| Record::from_rdata(name.clone(), TTL_S, data)).collect())
}

/// By the host's name, or with the network's behind it.
fn lookup<'a>(name: &Name, names: &'a Names) -> Option<&'a Vec<IpAddr>> {
    let text = name.to_ascii().to_ascii_lowercase();
    let text = text.trim_end_matches('.');
    let within = || text.strip_suffix(&names.network.to_ascii_lowercase())?.strip_suffix('.');
    names.addresses.get(text).or_else(|| names.addresses.get(within()?))
}

/// The address that a name below `in-addr.arpa` or `ip6.arpa` is of; none for those of whole subnets.
fn reverse(name: &Name) -> Option<IpAddr> {
    let net = name.parse_arpa_name().ok()?;
    (net.prefix_len() == net.max_prefix_len()).then_some(net.addr())
}

fn pointer(query: &Query, host: &str, names: &Names) -> Option<Record> {
    if !matches!(query.query_type(), RecordType::PTR | RecordType::ANY) {
        return None;
    }
    let target = Name::from_ascii(format!("{host}.{}.", names.network)).ok()?;
    Some(Record::from_rdata(query.name().clone(), TTL_S, RData::PTR(PTR(target))))
}

fn response(query: &Message, code: ResponseCode) -> Message {
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    response.metadata.response_code = code;
    response.metadata.recursion_desired = query.metadata.recursion_desired;
    response.metadata.recursion_available = true;
    response.metadata.authoritative = matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
    response.add_queries(query.queries.iter().take(1).cloned());
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_BYTES_MOST);
        response.set_edns(edns);
    }
    response
}

fn refuse(query: &Message, code: ResponseCode) -> Decision {
    Decision::Answer(Box::new(response(query, code)))
}

/// Whoever sent a header gets its number back; whoever sent an answer or less gets nothing.
fn malformed(bytes: &[u8]) -> Decision {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Decision::Ignore };
    let is_answer = header[2] & 0x80 != 0;
    if is_answer {
        return Decision::Ignore;
    }
    let id = u16::from_be_bytes([header[0], header[1]]);
    Decision::Answer(Box::new(Message::error_msg(id, OpCode::Query, ResponseCode::FormErr)))
}

#[cfg(test)]
#[path = "answer/tests.rs"]
mod tests;
