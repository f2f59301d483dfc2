//! Bodies that unfold, made from the schema.

use std::collections::BTreeMap;

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use starling_proto::wire;

/// Every message of the schema by name.
pub(crate) struct Schema(BTreeMap<String, DescriptorProto>);

/// How a body was made, and the body.
type Body = (String, Vec<u8>);

/// Messages that travel as bytes inside other messages, so that the schema does not name them.
const ENCODED: &[(&str, &str, &str)] = &[
    ("Store", "record", "Record"),
    ("Records", "records", "Record"),
    ("Matches", "records", "Record"),
    ("Record", "body", "RecordBody"),
    ("Record", "capability", "Capability"),
    ("Capability", "body", "CapabilityBody"),
    ("Owner", "body", "OwnerOperation"),
    ("HandOver", "device_list", "DeviceList"),
    ("DeviceList", "body", "DeviceListBody"),
    ("DeviceListBody", "anchor", "DeviceList"),
    ("ListedDevice", "cert", "DeviceCert"),
    ("DeviceCert", "body", "DeviceCertBody"),
    ("MailboxGrant", "capability", "Capability"),
    ("DirectoryEntry", "device_certs", "DeviceCert"),
    ("ContactRequest", "body", "ContactRequestBody"),
    ("LocatorSecret", "body", "LocatorBody"),
];

/// The deepest that messages are put into messages: no path of the schema is longer but that of lists in lists, which
/// are refused at the second.
const DEPTH: usize = 6;

impl Schema {
    /// The schema that this crate was built from.
    pub(crate) fn read() -> Self {
        let bytes: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/schema.bin"));
        let files = FileDescriptorSet::decode(bytes).unwrap().file;
        let messages = files.into_iter().flat_map(|file| file.message_type);
        let schema = Self(messages.map(|message| (message.name().to_owned(), message)).collect());
        for (message, field, inner) in ENCODED {
            assert!(schema.has(inner) && schema.0[*message].field.iter().any(|f| f.name() == *field));
        }
        schema
    }

    /// Whether there is a message of this name.
    pub(crate) fn has(&self, message: &str) -> bool {
        self.0.contains_key(message)
    }

    /// Bodies of `message` that are `len` bytes long and each full of one thing.
    pub(crate) fn bodies(&self, message: &str, len: usize) -> Vec<Body> {
        self.nested(message, len, DEPTH)
    }

    fn nested(&self, message: &str, len: usize, depth: usize) -> Vec<Body> {
        let mut start = opening(message);
        if start.len() + 8 > len {
            start.clear();
        }
        let mut bodies = vec![(message.to_owned(), filled(start.clone(), &[], len))];
        for field in &self.0[message].field {
            let way = |what: &str| format!("{message}.{} {what}", field.name());
            for item in self.items(message, field, 2) {
                bodies.push((way(&format!("of {item:02x?}")), filled(start.clone(), &item, len)));
            }
            // One item that takes all the room: a long text, many packed numbers, or a message filled in turn.
            let room = len - start.len();
            let Some(inner) = room.checked_sub(2 + varint_len(room)).filter(|_| is_delimited(field)) else {
                continue;
            };
            let whole = |inside: &[u8]| filled([&*start, &delimited(field, inside)].concat(), &[], len);
            bodies.push((way("of one long item"), whole(&vec![b'a'; inner])));
            bodies.push((way("of one-byte items"), whole(&vec![1; inner])));
            if let Some(name) = inner_message(message, field).filter(|_| depth > 0) {
                let nested = self.nested(&name, inner, depth - 1);
                bodies.extend(
                    nested.into_iter().map(|(how, inside)| (way(&format!("> {how}")), whole(&inside))),
                );
            }
        }
        bodies
    }

    /// Short encodings of one item of a field: empty, of one byte, and with something small in each field of its own.
    fn items(&self, message: &str, field: &FieldDescriptorProto, depth: usize) -> Vec<Vec<u8>> {
        if !is_delimited(field) {
            return vec![key(field, WireType::Varint, &[1])];
        }
        let mut items = vec![delimited(field, &[]), delimited(field, b"a")];
        if is_packed(field) {
            items.push(key(field, WireType::Varint, &[1]));
        }
        if let Some(name) = inner_message(message, field).filter(|_| depth > 0) {
            let fields = self.0[&name].field.iter();
            let insides: Vec<_> = fields.map(|field| self.items(&name, field, depth - 1)).collect();
            // Each field alone, and all together, each at its shortest and at its longest.
            items.extend(insides.iter().flatten().map(|inside| delimited(field, inside)));
            let together = |pick: fn(&Vec<Vec<u8>>) -> Option<&Vec<u8>>| {
                insides.iter().filter_map(pick).flatten().copied().collect::<Vec<u8>>()
            };
            items.push(delimited(field, &together(|inside| inside.first())));
            items.push(delimited(field, &together(|inside| inside.last())));
        }
        items
    }
}

/// The message that an item of a field holds.
fn inner_message(message: &str, field: &FieldDescriptorProto) -> Option<String> {
    let encoded = ENCODED.iter().find(|row| row.0 == message && row.1 == field.name());
    let named = field.type_name().rsplit('.').next().filter(|name| !name.is_empty());
    encoded.map(|row| row.2).or(named).map(str::to_owned)
}

fn is_packed(field: &FieldDescriptorProto) -> bool {
    field.label() == Label::Repeated && !matches!(field.r#type(), Type::Message | Type::Bytes | Type::String)
}

fn is_delimited(field: &FieldDescriptorProto) -> bool {
    is_packed(field) || matches!(field.r#type(), Type::Message | Type::Bytes | Type::String)
}

/// What must be right before a message's other fields are read at all. A field that comes again replaces this one.
fn opening(message: &str) -> Vec<u8> {
    let (key, signature) = (vec![7; 32], vec![8; 64]);
    match message {
        "Record" => wire::Record { signature, ..Default::default() }.encode_to_vec(),
        "RecordBody" => wire::RecordBody { key, kind: 5, ..Default::default() }.encode_to_vec(),
        "Owner" => wire::Owner { signature, ..Default::default() }.encode_to_vec(),
        "OwnerOperation" => wire::OwnerOperation { operation: 2, ..Default::default() }.encode_to_vec(),
        "Capability" => wire::Capability { signature, ..Default::default() }.encode_to_vec(),
        "ContactRequest" => wire::ContactRequest { signature, ..Default::default() }.encode_to_vec(),
        "LocatorSecret" => wire::LocatorSecret { signature, ..Default::default() }.encode_to_vec(),
        "DeviceListBody" => wire::DeviceListBody { account: key, ..Default::default() }.encode_to_vec(),
        "Content" => wire::Content { message_id: vec![9; 16], ..Default::default() }.encode_to_vec(),
        "HandOver" => wire::HandOver { name: "n".into(), ..Default::default() }.encode_to_vec(),
        "Peer" => wire::Peer { node_key: key, ..Default::default() }.encode_to_vec(),
        "DirectoryEntry" => {
            wire::DirectoryEntry { account: key, name: "n".into(), ..Default::default() }.encode_to_vec()
        }
        _ => Vec::new(),
    }
}

/// `start`, then `item` as often as it fits, then an unknown field, so that the whole is `len` bytes long.
fn filled(mut start: Vec<u8>, item: &[u8], len: usize) -> Vec<u8> {
    let room = len - start.len();
    let mut count = room.checked_div(item.len()).unwrap_or(0);
    while count > 0 && (1..6).contains(&(room - count * item.len())) {
        count -= 1;
    }
    start.extend(item.repeat(count));
    match len - start.len() {
        0 => {}
        // Too short for a field, where nothing could be taken away: an end that is cut off.
        rest @ 1..6 => start.extend(vec![0xff; rest]),
        rest => {
            encode_key(200, WireType::LengthDelimited, &mut start);
            let content = rest - 2 - varint_len(rest);
            // The length is spelled as wide as that of the whole rest, so that every rest can be reached.
            let wide = rest - 2 - content;
            for at in 0..wide {
                let more = if at + 1 < wide { 0x80 } else { 0 };
                start.push((content >> (7 * at)) as u8 & 0x7f | more);
            }
            start.extend(vec![0; content]);
        }
    }
    start
}

fn varint_len(number: usize) -> usize {
    let mut bytes = Vec::new();
    encode_varint(number as u64, &mut bytes);
    bytes.len()
}

fn key(field: &FieldDescriptorProto, wire_type: WireType, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(field.number().cast_unsigned(), wire_type, &mut bytes);
    bytes.extend_from_slice(value);
    bytes
}

fn delimited(field: &FieldDescriptorProto, inside: &[u8]) -> Vec<u8> {
    let mut bytes = key(field, WireType::LengthDelimited, &[]);
    encode_varint(inside.len() as u64, &mut bytes);
    bytes.extend_from_slice(inside);
    bytes
}
