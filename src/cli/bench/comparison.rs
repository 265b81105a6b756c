//! The tables of `udpair bench`: every transport beside raw TCP, and UDP against TCP where the rounds can tell.

use std::fmt::Write;

use comfy_table::CellAlignment;

use super::args::{Transport, Workload};
use super::client::Ran;
use super::environment::Environment;
use super::json::Record;
use super::local::ECHO_SIZES;
use super::report::{number, table};
use super::stats::{Interval, Order};
use super::subject::Subject;

/// What all others are held against.
const BASELINE: Subject = Subject { transport: Transport::RawTcp, security: None };

/// A figure of one run.
type Figure = fn(&Record) -> Option<f64>;

/// Everything that people are shown of a bench.
pub(crate) fn tables(environment: &Environment, apart: bool, rounds: usize, runs: &[Ran]) -> String {
    let runs = Runs(runs);
    let mut out = format!("{environment}\n");
    if apart {
        out.push_str("processors   one half for each of the two processes\n");
    }
    for (subject, circumstances) in runs.circumstances() {
        let _infallible = writeln!(out, "{subject:12} {circumstances}");
    }
    let _infallible = write!(
        out,
        "\nRound trips, one message at a time; µs, median of {rounds} rounds (lowest..highest), max the highest of \
         all; ratios within a round\n{}\n\
         \nBulk, one way, every byte checked; median of {rounds} rounds (lowest..highest); messages and raw-tcp's \
         writes of 65536 bytes; raw-udp\nin datagrams of 1472 bytes, unordered, nothing repaired; CPU: user and \
         system, both processes together\n{}\n\nSealed against plain, median of the ratios within a round \
         (lowest..highest)\n{}\n{}",
        runs.echo_table(),
        runs.bulk_table(),
        runs.sealed_table(),
        runs.verdicts(),
    );
    out
}

/// All runs of a bench; those of one kind stand in the order of their rounds.
struct Runs<'a>(&'a [Ran]);

impl Runs<'_> {
    fn of(&self, subject: Subject, workload: Workload, size: Option<usize>) -> impl Iterator<Item = &Record> {
        let wanted = move |record: &&Record| {
            record.subject() == subject
                && record.workload == workload
                && size.is_none_or(|size| usize::try_from(record.size) == Ok(size))
        };
        self.0.iter().map(|ran| &ran.record).filter(wanted)
    }

    fn echo(&self, subject: Subject, size: usize, figure: Figure) -> Option<Interval> {
        Interval::of(self.of(subject, Workload::Echo, Some(size)).filter_map(figure))
    }

    fn bulk(&self, subject: Subject, figure: Figure) -> Option<Interval> {
        Interval::of(self.of(subject, Workload::Bulk, None).filter_map(figure))
    }

    /// This subject's figure divided by another's in the same round, over the rounds.
    fn ratios(
        &self,
        [subject, other]: [Subject; 2],
        workload: Workload,
        size: Option<usize>,
        figure: Figure,
    ) -> Option<Interval> {
        let own = self.of(subject, workload, size).filter_map(figure);
        let others = self.of(other, workload, size).filter_map(figure);
        Interval::of(own.zip(others).map(|(own, other)| own / other))
    }

    /// The median over the rounds of this subject's figure divided by the baseline's.
    fn ratio(&self, subject: Subject, workload: Workload, size: Option<usize>, figure: Figure) -> String {
        let ratio = self.ratios([subject, BASELINE], workload, size, figure);
        ratio.map_or_else(String::new, |ratio| format!("{:.2}", ratio.median))
    }

    fn echo_table(&self) -> String {
        let mut table = table();
        table.set_header(["bytes", "transport", "p50", "p99", "p99.9", "max", "p50 / raw-tcp", "p99 / raw-tcp"]);
        for size in ECHO_SIZES {
            for subject in Subject::ALL {
                let Some(p50) = self.echo(subject, size, |record| record.p50_us) else { continue };
                let cell = |figure| self.echo(subject, size, figure);
                let ratio = |figure| self.ratio(subject, Workload::Echo, Some(size), figure);
                table.add_row([
                    size.to_string(),
                    subject.to_string(),
                    spread(p50),
                    cell(|record| record.p99_us).map_or_else(String::new, spread),
                    cell(|record| record.p999_us).map_or_else(String::new, |it| number(it.median)),
                    cell(|record| record.max_us).map_or_else(String::new, |it| number(it.high)),
                    ratio(|record| record.p50_us),
                    ratio(|record| record.p99_us),
                ]);
            }
        }
        right_align(&mut table, &[0, 2, 3, 4, 5, 6, 7]);
        table.to_string()
    }

    fn bulk_table(&self) -> String {
        let mut table = table();
        table.set_header(["transport", "Gbit/s", "CPU s/GB", "Gbit/s / raw-tcp", "CPU / raw-tcp", "missing %"]);
        for subject in Subject::ALL {
            let Some(gbps) = self.bulk(subject, gbps) else { continue };
            let ratio = |figure| self.ratio(subject, Workload::Bulk, None, figure);
            table.add_row([
                subject.to_string(),
                spread(gbps),
                self.bulk(subject, cpu_s_per_gb).map_or_else(String::new, spread),
                ratio(self::gbps),
                ratio(cpu_s_per_gb),
                self.bulk(subject, missing_percent).map_or_else(String::new, |it| number(it.median)),
            ]);
        }
        right_align(&mut table, &[1, 2, 3, 4, 5]);
        table.to_string()
    }

    /// What the seal costs.
    fn sealed_table(&self) -> String {
        let mut table = table();
        let mut header = vec!["transport".to_owned()];
        header.extend(ECHO_SIZES.map(|size| format!("{size} bytes, p50")));
        header.extend(["bulk, Gbit/s".to_owned(), "bulk, CPU s/GB".to_owned()]);
        table.set_header(header);
        for transport in [Transport::Udp, Transport::Tcp] {
            let of = [Subject::sealed(transport), Subject::plain(transport)];
            let mut row: Vec<Option<Interval>> = Vec::new();
            row.extend(ECHO_SIZES.map(|size| self.ratios(of, Workload::Echo, Some(size), |record| record.p50_us)));
            row.extend([gbps as Figure, cpu_s_per_gb].map(|figure| self.ratios(of, Workload::Bulk, None, figure)));
            if row.iter().any(Option::is_some) {
                let cells = row.into_iter().map(|ratio| ratio.map_or_else(String::new, spread));
                table.add_row([transport.to_string()].into_iter().chain(cells));
            }
        }
        right_align(&mut table, &[1, 2, 3, 4, 5]);
        table.to_string()
    }

    /// Who is ahead, udpair's UDP or its TCP, both plain.
    fn verdicts(&self) -> String {
        let (udp, tcp) = (Subject::plain(Transport::Udp), Subject::plain(Transport::Tcp));
        let mut out = String::new();
        let mut say = |what: String, udp: Option<Interval>, tcp: Option<Interval>, less_is_better| {
            if let (Some(udp), Some(tcp)) = (udp, tcp) {
                let _infallible = write!(out, "\n{what}: {}", verdict(udp, tcp, less_is_better));
            }
        };
        for size in ECHO_SIZES {
            let figures: [(&str, Figure); 2] = [("p50", |record| record.p50_us), ("p99", |record| record.p99_us)];
            for (name, figure) in figures {
                say(format!("{size} bytes, {name}"), self.echo(udp, size, figure), self.echo(tcp, size, figure), true);
            }
        }
        say("bulk".to_owned(), self.bulk(udp, gbps), self.bulk(tcp, gbps), false);
        say("CPU per byte".to_owned(), self.bulk(udp, cpu_s_per_gb), self.bulk(tcp, cpu_s_per_gb), true);
        out
    }

    /// What the figures of each subject depend on. Of the last run of its kind, bulk: there the search for the path
    /// MTU is over, and there GSO is used.
    fn circumstances(&self) -> Vec<(Subject, String)> {
        let of = |subject| {
            let last = self.0.iter().rev().find(|ran| ran.record.subject() == subject)?;
            Some((subject, circumstances(last)))
        };
        Subject::ALL.into_iter().filter_map(of).collect()
    }
}

fn circumstances(ran: &Ran) -> String {
    let controller = match (&ran.record.controller, &ran.server.controller) {
        (Some(here), Some(there)) if here == there => format!("{here} at both ends"),
        (Some(here), there) => {
            format!("{here} at the client, {} at the server", there.as_deref().unwrap_or("unknown"))
        }
        (None, _) if ran.record.transport == Transport::RawUdp => "no congestion control".to_owned(),
        (None, _) => "unknown congestion control".to_owned(),
    };
    let mtu = ran.record.path_mtu.map_or(String::new(), |mtu| format!(", path MTU {mtu} bytes of UDP payload"));
    format!("{controller}{mtu}, {}", ran.sockets)
}

fn gbps(record: &Record) -> Option<f64> {
    record.goodput_bps.map(|bps| bps / 1e9)
}

/// Of both processes together.
#[expect(clippy::cast_precision_loss, reason = "below 2^53 bytes, which is 8 PB")]
fn cpu_s_per_gb(record: &Record) -> Option<f64> {
    (record.bytes > 0).then(|| (record.cpu_s_client + record.cpu_s_server) / (record.bytes as f64 / 1e9))
}

#[expect(clippy::cast_precision_loss, reason = "a share to two digits")]
fn missing_percent(record: &Record) -> Option<f64> {
    (record.sent > 0).then(|| (record.sent.saturating_sub(record.received)) as f64 / record.sent as f64 * 100.0)
}

fn verdict(udp: Interval, tcp: Interval, less_is_better: bool) -> String {
    let ahead = match (udp.order(tcp), less_is_better) {
        (Order::Overlap, _) => "no winner, the intervals overlap",
        (Order::Below, true) | (Order::Above, false) => "udp is ahead",
        (Order::Above, true) | (Order::Below, false) => "tcp is ahead",
    };
    format!("{ahead} (udp {}, tcp {})", range(udp), range(tcp))
}

fn spread(interval: Interval) -> String {
    format!("{} ({})", number(interval.median), range(interval))
}

fn range(interval: Interval) -> String {
    format!("{}..{}", number(interval.low), number(interval.high))
}

fn right_align(table: &mut comfy_table::Table, columns: &[usize]) {
    for &column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::control::Ready;
    use super::super::json::tests::example;
    use super::super::sockets::Sockets;
    use super::super::subject::Security;
    use super::*;

    const UDP: Subject = Subject { transport: Transport::Udp, security: Some(Security::Plain) };
    const SEALED_UDP: Subject = Subject::sealed(Transport::Udp);
    const TCP: Subject = Subject { transport: Transport::Tcp, security: Some(Security::Plain) };

    /// One echo run of 64 bytes a round, with these p50.
    fn echoes(subject: Subject, p50: &[f64]) -> Vec<Ran> {
        let ran = |&p50_us: &f64| Ran {
            record: Record { p50_us: Some(p50_us), ..example(subject, Workload::Echo) },
            server: Ready::default(),
            sockets: Sockets::default(),
        };
        p50.iter().map(ran).collect()
    }

    fn bulk(subject: Subject, gbps: f64, cpu_s: f64) -> Ran {
        let record = Record {
            goodput_bps: Some(gbps * 1e9),
            bytes: 2_000_000_000,
            cpu_s_client: cpu_s,
            cpu_s_server: cpu_s,
            controller: Some("here".to_owned()),
            path_mtu: Some(1_472),
            ..example(subject, Workload::Bulk)
        };
        let server = Ready { controller: Some("there".to_owned()), ..Ready::default() };
        Ran { record, server, sockets: Sockets { segmentation: Some(true), ..Sockets::default() } }
    }

    #[test]
    fn ratios_are_within_a_round() {
        let mut runs = echoes(UDP, &[10.0, 200.0, 30.0]);
        runs.extend(echoes(BASELINE, &[20.0, 100.0, 60.0]));
        let runs = Runs(&runs);
        assert_eq!(runs.ratio(UDP, Workload::Echo, Some(64), |record| record.p50_us), "0.50");
        assert_eq!(runs.ratio(TCP, Workload::Echo, Some(64), |record| record.p50_us), "");
    }

    #[test]
    fn a_winner_is_named_only_where_the_intervals_are_apart() {
        let of = |low, high| Interval { low, median: low, high };
        assert!(verdict(of(1.0, 2.0), of(2.5, 3.0), true).starts_with("udp is ahead"));
        assert!(verdict(of(1.0, 2.0), of(2.5, 3.0), false).starts_with("tcp is ahead"));
        assert!(verdict(of(2.5, 3.0), of(1.0, 2.0), true).starts_with("tcp is ahead"));
        assert!(verdict(of(1.0, 2.5), of(2.5, 3.0), true).starts_with("no winner"));
    }

    #[test]
    fn the_tables_show_what_was_measured_and_name_the_controllers() {
        let mut runs = echoes(UDP, &[61.0, 62.0, 66.0]);
        runs.extend(echoes(SEALED_UDP, &[64.1, 65.1, 69.3]));
        runs.extend(echoes(TCP, &[70.0, 71.0, 72.0]));
        runs.extend(echoes(BASELINE, &[70.0, 71.0, 72.0]));
        runs.push(bulk(UDP, 20.0, 0.5));
        runs.push(bulk(SEALED_UDP, 16.0, 0.6));
        runs.push(bulk(BASELINE, 10.0, 1.0));
        let text = tables(&Environment::of_this_machine(), true, 3, &runs);
        let line = |start: &str| {
            let found = text.lines().find(|line| line.contains(start));
            found.unwrap_or_else(|| panic!("no {start:?} in:\n{text}")).to_owned()
        };
        let udp = line("62.0 (61.0..66.0)");
        assert!(udp.contains("udp") && udp.contains("0.87"), "{udp}");
        let bulk = line("20.0 (20.0..20.0)");
        assert!(bulk.contains("2.00") && bulk.contains("0.50 (0.50..0.50)"), "{bulk}");
        line("64 bytes, p50: udp is ahead (udp 61.0..66.0, tcp 70.0..72.0)");
        line("udp          here at the client, there at the server, path MTU 1472 bytes of UDP payload, GSO, buffers");
        line("tcp          unknown congestion control, buffers");
        line("udp-sealed   here at the client");
        let sealed = line("1.05 (1.05..1.05)");
        assert!(sealed.contains("0.80 (0.80..0.80)") && sealed.contains("1.20 (1.20..1.20)"), "{sealed}");
        assert!(!text.contains("raw-udp ┆"), "what was not measured has no line:\n{text}");
    }
}
