//! The result of one run as JSON: `spec/bench.md`, section "Results". Its keys are a contract.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::args::{Delivery, Transport, Workload};
use super::error::Error;
use super::subject::{Security, Subject};

/// One run. A key that does not apply, or that cannot be known, is null.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    pub(crate) transport: Transport,
    pub(crate) security: Option<Security>,
    pub(crate) workload: Workload,
    pub(crate) delivery: Option<Delivery>,
    /// Bytes of a message.
    pub(crate) size: u64,
    /// Messages that fell due, handed over or not.
    pub(crate) sent: u64,
    /// Messages that were answered, or with `bulk` that the server took.
    pub(crate) received: u64,
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) p999_us: Option<f64>,
    pub(crate) max_us: Option<f64>,
    /// Bytes of the messages received.
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    pub(crate) goodput_bps: Option<f64>,
    pub(crate) cpu_s_client: f64,
    pub(crate) cpu_s_server: f64,
    pub(crate) controller: Option<String>,
    pub(crate) retransmits: Option<u64>,
    pub(crate) path_mtu: Option<u64>,
}

impl Record {
    /// What was measured.
    pub(crate) const fn subject(&self) -> Subject {
        Subject { transport: self.transport, security: self.security }
    }
}

/// Whether `--json` was given as `-`: standard output belongs to the value.
pub(crate) fn takes_stdout(to: Option<&Path>) -> bool {
    to == Some(Path::new("-"))
}

/// Writes `value` and a line's end to the file `to`, or to standard output where that is `-`.
pub(crate) fn write(to: &Path, value: &impl Serialize) -> Result<(), Error> {
    let failed = |source| Error::File { path: to.to_owned(), source };
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| failed(e.into()))?;
    text.push(b'\n');
    if takes_stdout(Some(to)) {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&text).and_then(|()| stdout.flush()).map_err(failed)
    } else {
        File::create(to).and_then(|mut file| file.write_all(&text)).map_err(failed)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::Value;

    use super::*;

    pub(in crate::cli::bench) fn example(Subject { transport, security }: Subject, workload: Workload) -> Record {
        Record {
            transport,
            security,
            workload,
            delivery: None,
            size: 64,
            sent: 10,
            received: 9,
            p50_us: Some(63.25),
            p99_us: Some(80.0),
            p999_us: Some(90.0),
            max_us: Some(95.5),
            bytes: 576,
            seconds: 0.5,
            goodput_bps: None,
            cpu_s_client: 0.1,
            cpu_s_server: 0.2,
            controller: None,
            retransmits: None,
            path_mtu: None,
        }
    }

    #[test]
    fn the_keys_are_exactly_those_of_the_contract_in_their_order() {
        let text = serde_json::to_string(&example(Subject::plain(Transport::RawUdp), Workload::Echo)).unwrap();
        let keys = [
            "transport",
            "security",
            "workload",
            "delivery",
            "size",
            "sent",
            "received",
            "p50_us",
            "p99_us",
            "p999_us",
            "max_us",
            "bytes",
            "seconds",
            "goodput_bps",
            "cpu_s_client",
            "cpu_s_server",
            "controller",
            "retransmits",
            "path_mtu",
        ];
        let Value::Object(object) = serde_json::from_str(&text).unwrap() else { panic!("no object: {text}") };
        assert_eq!(object.len(), keys.len(), "{text}");
        let places: Vec<usize> = keys.iter().map(|key| text.find(&format!("\"{key}\":")).expect(key)).collect();
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn words_are_those_of_the_command_line_and_what_does_not_apply_is_null() {
        let value = serde_json::to_value(example(Subject::plain(Transport::RawUdp), Workload::Bulk)).unwrap();
        assert_eq!(value["transport"], "raw-udp");
        assert_eq!(value["workload"], "bulk");
        assert_eq!(value["delivery"], Value::Null);
        assert_eq!(value["security"], Value::Null);
        assert_eq!(serde_json::to_value(Security::Sealed).unwrap(), "sealed");
        assert_eq!(value["retransmits"], Value::Null);
        assert_eq!(value["p50_us"], 63.25);
    }
}
