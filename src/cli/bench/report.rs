//! Results for people: tables, ratios, and who was faster where that can be told.

use std::io::Write;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use super::client::Ran;
use super::error::Error;
use crate::cli::exit::OneLine;

/// Writes `text` to `out`.
pub(crate) fn print(text: &str, out: &mut impl Write) -> Result<(), Error> {
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Error::io("print the result"))
}

/// One run, `sealed` in so many words, a line for each figure.
pub(crate) fn one_run(ran: &Ran) -> String {
    let record = &ran.record;
    let mut table = table();
    let mut line = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    line("transport", record.subject().to_string());
    let delivery = record.delivery.map_or(String::new(), |delivery| format!(", {delivery}"));
    line("workload", format!("{} of {} bytes{delivery}", record.workload, record.size));
    line("sent", record.sent.to_string());
    line("received", format!("{}{}", record.received, missing(record.sent, record.received)));
    for (name, us) in
        [("p50", record.p50_us), ("p99", record.p99_us), ("p99.9", record.p999_us), ("max", record.max_us)]
    {
        if let Some(us) = us {
            line(name, format!("{} µs", number(us)));
        }
    }
    line("seconds", format!("{:.3}", record.seconds));
    if let Some(bps) = record.goodput_bps {
        line("goodput", format!("{} Gbit/s", number(bps / 1e9)));
    }
    line("CPU seconds", format!("{:.3} here, {:.3} at the server", record.cpu_s_client, record.cpu_s_server));
    if let Some(here) = &record.controller {
        let there = ran.server.controller.as_deref().unwrap_or("unknown");
        line("congestion controller", format!("{here} here, {} at the server", OneLine(there)));
    }
    if let Some(retransmits) = record.retransmits {
        line("retransmits", retransmits.to_string());
    }
    if let Some(mtu) = record.path_mtu {
        line("path MTU", format!("{mtu} bytes of UDP payload"));
    }
    line("sockets", ran.sockets.to_string());
    if let Some(buffer) = ran.server.receive_buffer {
        line("server's receive buffer", format!("{} KiB", buffer >> 10));
    }
    table.to_string()
}

fn missing(sent: u64, received: u64) -> String {
    if received >= sent {
        return String::new();
    }
    #[expect(clippy::cast_precision_loss, reason = "a share to two digits")]
    let share = (sent - received) as f64 / sent as f64;
    format!(" ({} % missing)", number(share * 100.0))
}

/// An empty one, in the style of all.
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table
}

/// Three digits or so.
pub(crate) fn number(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::{Transport, Workload};
    use super::super::control::Ready;
    use super::super::json::tests::example;
    use super::super::sockets::Sockets;
    use super::super::subject::Subject;
    use super::*;

    #[test]
    fn numbers_keep_three_digits_or_so() {
        assert_eq!([0.0, 9.876, 98.76, 987.6].map(number), ["0.00", "9.88", "98.8", "988"]);
    }

    #[test]
    fn a_run_shows_what_it_has_and_nothing_else() {
        let server = Ready { controller: Some("there".to_owned()), receive_buffer: Some(8 << 20), token: None };
        let record = example(Subject::plain(Transport::Udp), Workload::Echo);
        let mut ran = Ran { record, server, sockets: Sockets::default() };
        let text = one_run(&ran);
        for word in ["udp", "echo of 64 bytes", "9 (10.0 % missing)", "63.2 µs", "95.5 µs", "8192 KiB"] {
            assert!(text.contains(word), "{word}:\n{text}");
        }
        for word in ["goodput", "controller", "retransmits", "MTU"] {
            assert!(!text.contains(word), "{word}:\n{text}");
        }
        ran.record.controller = Some("here".to_owned());
        ran.record.goodput_bps = Some(12.5e9);
        let text = one_run(&ran);
        assert!(text.contains("here here, there at the server") && text.contains("12.5 Gbit/s"), "{text}");
    }
}
