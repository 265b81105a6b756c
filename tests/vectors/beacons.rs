//! Beacons and what they say, in the words of `spec/vectors/README.md`.

use std::collections::BTreeMap;

use udpair::pairing::{Beacon, Carrier, InviteId, Nameplate, Offer, Say, SeekId};

use super::format::{bytes, hex};

const CARRIERS: [(&str, Carrier); 2] = [("udp", Carrier::Udp), ("tcp", Carrier::Tcp)];

/// What a beacon says.
pub(crate) fn meaning(beacon: &Beacon) -> String {
    let nameplate = beacon.nameplate.number();
    match beacon.say {
        Say::Seek(seek) => format!("SEEK nameplate={nameplate} seek={}", hex(&seek.0)),
        Say::Offer(offer, echo) => {
            let (carrier, _) = CARRIERS.iter().find(|(_, carrier)| *carrier == offer.carrier).expect("a name");
            let echo = echo.map_or("none".to_owned(), |seek| hex(&seek.0));
            let invite = hex(&offer.invite.0);
            format!("OFFER nameplate={nameplate} carrier={carrier} invite={invite} seek={echo} port={}", offer.port)
        }
        Say::Ask(invite) => format!("ASK nameplate={nameplate} invite={}", hex(&invite.0)),
        Say::Taken { invite, asked } => {
            format!("TAKEN nameplate={nameplate} invite={} asked={}", hex(&invite.0), hex(&asked.0))
        }
    }
}

/// The bytes of what `line` says.
pub(crate) fn write(line: &str) -> Vec<u8> {
    let (word, fields) = line.split_once(' ').expect("a word and fields");
    let fields: BTreeMap<&str, &str> =
        fields.split(' ').map(|field| field.split_once('=').expect("a field and its value")).collect();
    let id = |name: &str| -> [u8; 8] { bytes(fields[name]).try_into().expect("8 bytes") };
    let say = match word {
        "SEEK" => Say::Seek(SeekId(id("seek"))),
        "OFFER" => {
            let carrier = CARRIERS.iter().find(|(name, _)| *name == fields["carrier"]).expect("a carrier").1;
            let port = fields["port"].parse().expect("a port");
            let echo = (fields["seek"] != "none").then(|| SeekId(id("seek")));
            Say::Offer(Offer { invite: InviteId(id("invite")), carrier, port }, echo)
        }
        "ASK" => Say::Ask(InviteId(id("invite"))),
        "TAKEN" => Say::Taken { invite: InviteId(id("invite")), asked: InviteId(id("asked")) },
        _ => panic!("no beacon: {line}"),
    };
    let number = fields["nameplate"].parse().expect("a number");
    let nameplate = Nameplate::new(number).unwrap_or_else(|| Nameplate::of_device(InviteId([number - 100; 8])));
    assert_eq!(nameplate.number(), number);
    Beacon { nameplate, say }.encode().to_vec()
}
