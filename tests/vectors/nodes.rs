//! What nodes say to each other, in the words of `spec/vectors/README.md`.

use std::collections::BTreeMap;

use udpair::node::{Control, Hello, Kind, Name, Role, Time};

use super::format::{bytes, hex};

const ROLES: [(&str, Role); 4] =
    [("plain", Role::Plain), ("hub", Role::Hub), ("host", Role::Host), ("client", Role::Client)];
const KINDS: [(&str, Kind); 2] = [("latest", Kind::Latest), ("queued", Kind::Queued)];

fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: &T) -> &'static str {
    names.iter().find(|(_, other)| other == value).expect("a name").0
}

fn named<T: Copy>(names: &[(&str, T)], name: &str) -> T {
    names.iter().find(|(other, _)| *other == name).expect("something of that name").1
}

/// What a message on the control channel says.
pub(crate) fn control(control: &Control) -> String {
    match control {
        Control::Hello(Hello { role, instance, name }) => {
            let name = hex(name.as_deref().unwrap_or_default().as_bytes());
            format!("HELLO role={} instance={instance} name={name}", name_of(&ROLES, role))
        }
        Control::Name { number, kind, name } => {
            format!("NAME number={number} delivery={} name={}", name_of(&KINDS, kind), hex(name.as_bytes()))
        }
    }
}

/// What a message on the time channel says.
pub(crate) fn time(time: &Time) -> String {
    match time {
        Time::Ask { time } => format!("ASK time={time}"),
        Time::Answer { asked, time } => format!("ANSWER asked={asked} time={time}"),
    }
}

/// The bytes of what `line` says.
pub(crate) fn write(line: &str) -> Vec<u8> {
    let (word, fields) = line.split_once(' ').expect("a word and fields");
    let fields: BTreeMap<&str, &str> =
        fields.split(' ').map(|field| field.split_once('=').expect("a field and its value")).collect();
    let name = || {
        let text = String::from_utf8(bytes(fields["name"])).expect("text");
        (!text.is_empty()).then(|| Name::new(&text).expect("a name"))
    };
    let number = |field: &str| fields[field].parse().expect("a number");
    match word {
        "HELLO" => {
            let role = named(&ROLES, fields["role"]);
            Control::Hello(Hello { role, instance: number("instance"), name: name() }).encode()
        }
        "NAME" => {
            let kind = named(&KINDS, fields["delivery"]);
            let number = fields["number"].parse().expect("a number");
            Control::Name { number, kind, name: name().expect("a name") }.encode()
        }
        "ASK" => Time::Ask { time: number("time") }.encode(),
        "ANSWER" => Time::Answer { asked: number("asked"), time: number("time") }.encode(),
        _ => panic!("no message of nodes: {line}"),
    }
}
