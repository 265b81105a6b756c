//! A random world: topology, faults and workload, all from one seed.

use core::time::Duration;

use udpair::message::{ChannelConfig, Delivery, Limits};
use udpair::seal::Generations;
use udpair::sim::{Burst, LinkConfig, MILLION, Oversize};
use udpair::time::Timestamp;

use crate::chance::Chance;
use crate::content::LEN_MAX;

/// How badly a world treats its packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// No fault at all.
    Clear,
    /// Faults that no connection may die of.
    Rough,
    /// Whatever: a connection may time out.
    Storm,
}

/// How a world's connections are secured, and after how many packets keys are updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sealing {
    Plain,
    Psk(Generations),
    Code(Generations),
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub weather: Weather,
    pub sealing: Sealing,
    pub ipv6: bool,
    pub hosts: Vec<HostPlan>,
    /// From, to, and the link between.
    pub links: Vec<(usize, usize, LinkConfig)>,
    pub partitions: Vec<Partition>,
    /// Later changes of links.
    pub changes: Vec<(Timestamp, usize, usize, LinkConfig)>,
    /// When which host loses all that it knows, and begins anew.
    pub crashes: Vec<(Timestamp, usize)>,
    /// From here on the network is faultless.
    pub faults_end: Timestamp,
    pub calls: Vec<Call>,
}

#[derive(Clone, Debug)]
pub(crate) struct HostPlan {
    pub limits: Limits,
    pub backlog: usize,
    /// Its timers fire up to so much late, and what arrives is looked at up to so much later.
    pub lag_max: Duration,
    /// How much may arrive before it is looked at, bytes; what is beyond is lost.
    pub inbox_bytes: usize,
    /// How often in a hundred the application says that it waits after it has done something.
    pub waits_percent: u64,
    pub refuses_percent: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Partition {
    pub from: usize,
    pub to: usize,
    pub begins: Timestamp,
    pub ends: Timestamp,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub at: Timestamp,
    pub from: usize,
    pub to: usize,
    /// Calls again so many times when the connection is over.
    pub again: u32,
}

impl Plan {
    pub(crate) fn random(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let weather = match chance.of(0..=9) {
            0 => Weather::Clear,
            1..=6 => Weather::Rough,
            _ => Weather::Storm,
        };
        let hosts: Vec<_> = (0..chance.of(2..=5)).map(|_| HostPlan::random(&mut chance, weather)).collect();
        let faults_end = Timestamp::ZERO + chance.us(200_000..=6_000_000);
        let ipv6 = chance.percent(30);
        let mut plan = Self {
            weather,
            sealing: Sealing::random(seed, weather),
            ipv6,
            links: Vec::new(),
            partitions: Vec::new(),
            changes: Vec::new(),
            crashes: Vec::new(),
            faults_end,
            calls: Vec::new(),
            hosts,
        };
        plan.add_links(&mut chance);
        if weather == Weather::Storm {
            plan.add_partitions(&mut chance);
            for _ in 0..*chance.pick(&[0, 0, 0, 1, 2]) {
                let at = Timestamp::ZERO + chance.us(0..=faults_end.as_micros());
                plan.crashes.push((at, chance.len(0..=plan.hosts.len() - 1)));
            }
        }
        plan.add_calls(&mut chance);
        plan
    }

    fn add_links(&mut self, chance: &mut Chance) {
        let count = self.hosts.len();
        for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))) {
            if from == to {
                continue;
            }
            let link = random_link(chance, self.weather);
            if self.weather != Weather::Clear && chance.percent(30) {
                let at = Timestamp::ZERO + chance.us(0..=self.faults_end.as_micros());
                let changed = if chance.percent(50) {
                    LinkConfig { mtu: random_mtu(chance), ..link.clone() }
                } else {
                    random_link(chance, self.weather)
                };
                self.changes.push((at, from, to, changed));
            }
            self.links.push((from, to, link));
        }
    }

    fn add_partitions(&mut self, chance: &mut Chance) {
        for _ in 0..chance.of(0..=4) {
            let from = chance.len(0..=self.hosts.len() - 1);
            let to = (from + chance.len(1..=self.hosts.len() - 1)) % self.hosts.len();
            let begins = Timestamp::ZERO + chance.us(0..=self.faults_end.as_micros());
            let longest = *chance.pick(&[10_000, 500_000, 20_000_000]);
            let ends = begins + chance.us(1_000..=longest);
            self.partitions.push(Partition { from, to, begins, ends });
            if chance.percent(50) {
                self.partitions.push(Partition { from: to, to: from, begins, ends });
            }
        }
        let healed = self.partitions.iter().map(|partition| partition.ends).max();
        self.faults_end = self.faults_end.max(healed.unwrap_or_default());
    }

    fn add_calls(&mut self, chance: &mut Chance) {
        for _ in 0..chance.of(1..=4) {
            let from = chance.len(0..=self.hosts.len() - 1);
            let to = (from + chance.len(1..=self.hosts.len() - 1)) % self.hosts.len();
            let at = Timestamp::ZERO + chance.us(0..=1_000_000);
            let again = *chance.pick(&[0, 0, 0, 1, 2]);
            self.calls.push(Call { at, from, to, again });
        }
    }
}

impl Sealing {
    /// From chance of its own: the rest of a seed's world is the same, sealed or not.
    fn random(seed: u64, weather: Weather) -> Self {
        let mut chance = Chance::new(seed ^ 0x5ea1_ed00);
        // Where two generations in a row get lost the connection does: a storm may do that.
        let bits = match weather {
            Weather::Clear => *chance.pick(&[4, 6, 22]),
            Weather::Rough => *chance.pick(&[5, 7, 22]),
            Weather::Storm => *chance.pick(&[4, 6, 22]),
        };
        match chance.of(0..=3) {
            0 | 1 => Self::Plain,
            2 => Self::Psk(Generations::short(bits)),
            _ => Self::Code(Generations::short(bits)),
        }
    }

    pub(crate) const fn generations(self) -> Generations {
        match self {
            Self::Plain => Generations::STANDARD,
            Self::Psk(generations) | Self::Code(generations) => generations,
        }
    }
}

impl HostPlan {
    fn random(chance: &mut Chance, weather: Weather) -> Self {
        Self {
            limits: random_limits(chance),
            // A handshake that has not been confirmed gives way to another when the backlog is full: one may die of it.
            backlog: if weather == Weather::Storm { *chance.pick(&[1, 2, 16, 128]) } else { 16 },
            lag_max: Duration::from_micros(*chance.pick(&[0, 0, 100, 1_000, 5_000])),
            inbox_bytes: *chance.pick(&[20_000, 200_000, 1 << 22, 1 << 22]),
            waits_percent: *chance.pick(&[0, 50, 100, 100]),
            refuses_percent: *chance.pick(&[0, 0, 0, 10]),
        }
    }
}

fn random_limits(chance: &mut Chance) -> Limits {
    let credit_channel = *chance.pick(&[4 << 10, 16 << 10, 100 << 10, 1 << 20, 20 << 20]);
    Limits {
        message_len_max: *chance.pick(&[0, 1_000, 10_000, 1 << 20, 16 << 20]),
        credit_connection: credit_channel * chance.of(1..=4),
        credit_channel,
        send_queue: *chance.pick(&[1, 4 << 10, 64 << 10, 1 << 20, 16 << 20]),
    }
}

fn random_mtu(chance: &mut Chance) -> u32 {
    *chance.pick(&[1_248, 1_280, 1_400, 1_420, 1_500, 1_500, 9_000, 65_535])
}

fn random_link(chance: &mut Chance, weather: Weather) -> LinkConfig {
    let delay = match chance.of(0..=9) {
        0..=4 => chance.us(10..=500),
        5..=8 => chance.us(500..=20_000),
        _ => chance.us(20_000..=150_000),
    };
    let mut link = LinkConfig { delay, mtu: random_mtu(chance), ..LinkConfig::default() };
    let (often, worst) = match weather {
        Weather::Clear => return link,
        Weather::Rough => (40, 100_000),
        Weather::Storm => (50, 300_000),
    };
    if chance.percent(often) {
        link.jitter = link.delay / 4 + chance.us(0..=2_000);
    }
    if chance.percent(often) {
        link.loss_ppm = chance.ppm(0..=worst);
    }
    if chance.percent(often / 2) {
        link.burst = Some(Burst {
            enter_ppm: chance.ppm(1_000..=worst / 5),
            leave_ppm: chance.ppm(100_000..=500_000),
            loss_good_ppm: 0,
            loss_bad_ppm: chance.ppm(500_000..=u64::from(MILLION)),
        });
    }
    if chance.percent(often) {
        link.duplicate_ppm = chance.ppm(0..=worst);
    }
    if chance.percent(often) {
        link.reorder_ppm = chance.ppm(0..=worst);
        link.reorder_delay = link.delay / 2 + chance.us(0..=5_000);
    }
    if chance.percent(often / 2) {
        link.flip_ppm = chance.ppm(0..=worst / 3);
        link.truncate_ppm = chance.ppm(0..=worst / 3);
    }
    if chance.percent(often) {
        link.rate_bps = Some(*chance.pick(&[1_000_000, 10_000_000, 100_000_000, 1_000_000_000]));
        link.queue_bytes = *chance.pick(&[1_600, 8_000, 64_000, 1_000_000]);
        link.ce_threshold_bytes = chance.percent(50).then_some(link.queue_bytes / 2);
    }
    if chance.percent(20) {
        link.oversize = Oversize::Fragment;
    }
    link
}

/// What one side of a connection does.
#[derive(Clone, Debug)]
pub(crate) struct HalfPlan {
    pub channels: Vec<(u16, ChannelConfig)>,
    /// Each does its actions one after the other.
    pub writers: Vec<Vec<Action>>,
    pub reader: ReaderPlan,
    pub ending: Ending,
    /// How long the application is busy with other things each time after it has done something.
    pub busy: Duration,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Pause(Duration),
    Send { channel: u16, len: usize },
    Stream { channel: u16, len: usize, announced: bool, piece: usize, reset_at: Option<usize> },
    Flush,
}

#[derive(Clone, Debug)]
pub(crate) struct ReaderPlan {
    /// Channels that are asked for by name; the others by asking for any.
    pub own: Vec<u16>,
    /// How long after the connection's beginning the application begins to read.
    pub absent: Duration,
    /// Reads one message, or one piece of a stream, and then pauses.
    pub pace: Duration,
    pub piece: usize,
    /// How often in a hundred a stream is stopped at its beginning.
    pub stops_percent: u64,
}

/// What happens when all writers are through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing: the connection stays.
    Stay,
    Close {
        linger: Duration,
    },
    /// As a handle that is dropped: closes and forgets.
    Drop,
    /// At any time after the beginning, whatever the writers do.
    Abort {
        after: Duration,
    },
}

impl HalfPlan {
    pub(crate) fn random(chance: &mut Chance) -> Self {
        let count = chance.of(1..=4);
        let channels: Vec<_> = (0..count)
            .map(|number| {
                let channel = u16::try_from(number * *chance.pick(&[1, 1, 7, 300])).unwrap();
                let delivery =
                    *chance.pick(&[Delivery::Ordered, Delivery::Unordered, Delivery::Latest, Delivery::Unreliable]);
                (channel, ChannelConfig { delivery, priority: u8::try_from(chance.of(0..=7)).unwrap() })
            })
            .collect();
        let mut budget = *chance.pick(&[0, 2_000, 20_000, 200_000, 400_000]);
        let writers = (0..chance.of(1..=3)).map(|_| random_actions(chance, &channels, &mut budget)).collect();
        let ending = match chance.of(0..=9) {
            0..=3 => Ending::Stay,
            4..=6 => Ending::Close { linger: *chance.pick(&[Duration::ZERO, LONG, LONG]) },
            7 => Ending::Close { linger: chance.us(0..=2_000_000) },
            8 => Ending::Drop,
            _ => Ending::Abort { after: chance.us(0..=3_000_000) },
        };
        let busy = Duration::from_micros(*chance.pick(&[0, 0, 0, 1_000, 50_000]));
        Self { reader: ReaderPlan::random(chance, &channels), channels, writers, ending, busy }
    }
}

/// Longer than a world lasts.
pub(crate) const LONG: Duration = Duration::from_secs(100_000);

impl ReaderPlan {
    fn random(chance: &mut Chance, channels: &[(u16, ChannelConfig)]) -> Self {
        Self {
            // Of the sender's channels nothing is known: half of the time the numbers happen to agree.
            own: channels.iter().map(|(channel, _)| *channel).filter(|_| chance.percent(30)).collect(),
            absent: match chance.of(0..=5) {
                0 => chance.us(0..=10_000_000),
                _ => Duration::ZERO,
            },
            pace: match chance.of(0..=3) {
                0 => chance.us(1..=10_000),
                _ => Duration::ZERO,
            },
            piece: *chance.pick(&[100, 1_000, 10_000, 1 << 17]),
            stops_percent: *chance.pick(&[0, 0, 10, 50]),
        }
    }
}

fn random_actions(chance: &mut Chance, channels: &[(u16, ChannelConfig)], budget: &mut usize) -> Vec<Action> {
    let mut actions = Vec::new();
    for _ in 0..chance.of(0..=40) {
        let &(channel, config) = chance.pick(channels);
        actions.push(match chance.of(0..=19) {
            0..=2 => Action::Pause(chance.us(0..=50_000)),
            3 => Action::Flush,
            4..=6 if matches!(config.delivery, Delivery::Ordered | Delivery::Unordered) => {
                let len = random_len(chance, budget);
                let reset_at = chance.percent(20).then(|| chance.len(0..=len));
                let piece = *chance.pick(&[1_000, 10_000, LEN_MAX]);
                Action::Stream { channel, len, announced: chance.percent(50), piece, reset_at }
            }
            _ => Action::Send { channel, len: random_len(chance, budget) },
        });
    }
    actions
}

fn random_len(chance: &mut Chance, budget: &mut usize) -> usize {
    let len = match chance.of(0..=19) {
        0 => 0,
        1 => 1,
        2..=8 => chance.len(2..=300),
        9 => chance.len(1_099..=1_101),
        10..=12 => chance.len(1_100..=1_500),
        13..=16 => chance.len(1_500..=20_000),
        17 => chance.len(65_535..=65_537),
        _ => chance.len(20_000..=200_000),
    };
    // What the budget does not cover becomes small: many messages, little work.
    let len = if len <= *budget { len } else { len % 200 };
    *budget = budget.saturating_sub(len);
    len
}
