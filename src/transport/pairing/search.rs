//! A joiner's search: what was found is called, and what failed before anything was proven is tried again.
//! `spec/pairing.md`, section "Finding each other".

use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::Arc;

use super::attempt::{Attempt, Failed};
use super::error::{JoinError, NobodyAnswered};
use super::race::Race;
use super::ways::{Way, Ways};
use super::{Pairing, Secret};
use crate::pairing::{Candidate, Carrier, Seeking, SeekingEvent};
use crate::time::{Timestamp, earliest};
use crate::transport::discovery::{Discovery, PollError};
use crate::transport::{ConnectError, Connection};

/// Where everything that was found led nowhere, so long others may still be found who do: longer than it is from one
/// beacon to the next, by whichever way they come.
const OTHERS_WITHIN: Duration = Duration::from_millis(1_500);
/// How long a TCP connection to what was found may take: in silence it is better to try the others, and the same again.
const TCP_CONNECT_MAX: Duration = Duration::from_secs(2);
/// An attempt does not begin sooner after the last one began.
const ATTEMPT_EACH: Duration = Duration::from_millis(500);

/// See the module.
pub(super) struct Search<'a> {
    pairing: &'a Pairing,
    secret: Secret<'a>,
    discovery: Discovery<Seeking>,
    until: Timestamp,
    ways: Ways,
    /// TCP connections, of which the first that is taken shows where to begin.
    race: Race,
    attempt: Option<Attempt>,
    next_attempt: Timestamp,
    /// Why what was found, and not called, is of no use to us.
    unusable: Option<JoinError>,
    /// Why an attempt failed: the first that led nowhere for good; the last, as long as none did.
    failed: Option<JoinError>,
    failed_for_good: bool,
    /// When something last led nowhere.
    dead_end: Option<Timestamp>,
}

impl<'a> Search<'a> {
    pub(super) fn new(pairing: &'a Pairing, discovery: Discovery<Seeking>, secret: Secret<'a>) -> Self {
        let now = discovery.now();
        Self {
            secret,
            until: now + pairing.timeout,
            ways: Ways::default(),
            race: new_race(pairing, &discovery),
            attempt: None,
            next_attempt: now,
            unusable: None,
            failed: None,
            failed_for_good: false,
            dead_end: None,
            pairing,
            discovery,
        }
    }

    /// Looks for the invite, and calls it wherever it was found. Blocks.
    pub(super) fn run(mut self) -> Result<Connection, JoinError> {
        loop {
            self.call()?;
            if let Some(connection) = self.look()? {
                return Ok(connection);
            }
            match self.discovery.poll(self.wake_at()) {
                Ok(SeekingEvent::Found(candidate)) => self.on_found(&candidate),
                Ok(SeekingEvent::OtherVersion { version }) => self.on_unusable(JoinError::OtherVersion { version }),
                Err(PollError::Woken) => {}
                Err(PollError::TimedOut) if self.is_over() => {
                    if let Some(attempt) = self.attempt.take() {
                        return attempt.wait().map_err(|failed| self.doubted(failed.into_error()));
                    }
                    return Err(self.into_error());
                }
                Err(PollError::TimedOut) => {}
                Err(PollError::Broken(kind)) => return Err(JoinError::Io(kind.into())),
            }
        }
    }

    /// Begins the next attempt, if it is time.
    fn call(&mut self) -> Result<(), JoinError> {
        let now = self.discovery.now();
        if self.is_calling() || now < self.next_attempt {
            return Ok(());
        }
        let ways = self.ways.next();
        let Some(first) = ways.first() else { return Ok(()) };
        self.next_attempt = now + ATTEMPT_EACH;
        match first.carrier {
            Carrier::Udp => self.begin(&ways),
            Carrier::Tcp => {
                ways.into_iter().for_each(|way| self.race.add(way));
                Ok(())
            }
        }
    }

    fn begin(&mut self, ways: &[Way]) -> Result<(), JoinError> {
        let (attempt, failed) = self.pairing.begin(self.secret, ways)?;
        self.attempt = attempt;
        for (way, error) in failed {
            // No way leads there; to others of its addresses one may.
            self.on_failed(&[way], Failed::Dead(JoinError::Connect(error)))?;
        }
        Ok(())
    }

    /// Sees how far what is under way has come.
    fn look(&mut self) -> Result<Option<Connection>, JoinError> {
        while self.attempt.is_none()
            && let Some((way, result)) = self.race.poll()
        {
            match result {
                Ok(()) => {
                    // The others are of no interest any more.
                    self.race = new_race(self.pairing, &self.discovery);
                    self.begin(&[way])?;
                }
                Err(error) => {
                    let is_silence = matches!(error, ConnectError::TimedOut { .. });
                    let failed = if is_silence { Failed::Again } else { Failed::Dead };
                    self.on_failed(&[way], failed(JoinError::Connect(error)))?;
                }
            }
        }
        let Some(attempt) = &mut self.attempt else { return Ok(None) };
        if self.ways.has_better(attempt.ways()) {
            attempt.hurry();
        }
        match attempt.poll(&mut Context::from_waker(&self.discovery.waker())) {
            Poll::Pending => Ok(None),
            Poll::Ready(Ok(connection)) => Ok(Some(connection)),
            Poll::Ready(Err(failed)) => {
                let ways = attempt.failed();
                self.attempt = None;
                self.on_failed(&ways, failed).map(|()| None)
            }
        }
    }

    fn on_found(&mut self, candidate: &Candidate) {
        let Candidate { carrier, address, invite, .. } = *candidate;
        if let Err(error) = self.pairing.check_carrier(carrier) {
            return self.on_unusable(error);
        }
        let way = Way { carrier, address, invite };
        self.ways.add(way);
        match &mut self.attempt {
            Some(attempt) => attempt.add(&way),
            None if self.race.is_on() && carrier == Carrier::Tcp => self.race.add(way),
            None => {}
        }
    }

    /// What was found cannot be what is looked for, unless the two sides want different things.
    fn on_unusable(&mut self, error: JoinError) {
        self.unusable.get_or_insert(error);
        self.dead_end = Some(self.discovery.now());
    }

    /// An attempt failed, at `ways`.
    fn on_failed(&mut self, ways: &[Way], failed: Failed) -> Result<(), JoinError> {
        match failed {
            Failed::Over(error) => return Err(self.doubted(error)),
            Failed::Dead(error) => {
                ways.iter().for_each(|way| self.ways.on_dead_end(way));
                if !self.failed_for_good {
                    self.failed = Some(error);
                }
                self.failed_for_good = true;
                self.dead_end = Some(self.discovery.now());
            }
            Failed::Again(error) => {
                ways.iter().for_each(|way| self.ways.on_failure(way));
                if !self.failed_for_good {
                    self.failed = Some(error);
                }
            }
        }
        Ok(())
    }

    const fn is_calling(&self) -> bool {
        self.attempt.is_some() || self.race.is_on()
    }

    /// When there is nothing left to be tried, unless more is found.
    fn gives_up_at(&self) -> Option<Timestamp> {
        let idle = !self.is_calling() && self.ways.next().is_empty();
        self.dead_end.filter(|_| idle).map(|at| at + OTHERS_WITHIN)
    }

    fn is_over(&self) -> bool {
        earliest(self.gives_up_at(), Some(self.until)).is_some_and(|at| at <= self.discovery.now())
    }

    fn wake_at(&self) -> Timestamp {
        let waits = !self.is_calling() && !self.ways.next().is_empty();
        let next = Some(self.next_attempt).filter(|_| waits);
        earliest(earliest(next, self.gives_up_at()), Some(self.until)).unwrap_or(self.until)
    }

    /// A refusal is anybody's word. Where several offer the nameplate it may not be the inviter's, and says nothing of
    /// the words then: the same code, typed again, is refused again if it was.
    fn doubted(&self, error: JoinError) -> JoinError {
        let found = self.discovery.machine().found();
        let several = found.iter().any(|candidate| candidate.invite != found[0].invite);
        match error {
            JoinError::WrongWords | JoinError::Used | JoinError::Burnt if several => JoinError::Disputed,
            error => error,
        }
    }

    /// Why it came to nothing. That what was heard of is of no use says more than that something could not be reached.
    fn into_error(mut self) -> JoinError {
        if self.race.is_on()
            && let Some(Way { address: remote, .. }) = self.ways.next().first().copied()
        {
            self.failed.get_or_insert(JoinError::Connect(ConnectError::TimedOut { remote }));
        }
        match (self.failed.take(), self.unusable.take()) {
            (Some(JoinError::Connect(_)) | None, Some(unusable)) => unusable,
            (Some(failed), _) => self.doubted(failed),
            (None, None) => JoinError::NobodyAnswered(NobodyAnswered(self.discovery.report().clone())),
        }
    }
}

/// One that nobody has entered yet.
fn new_race(pairing: &Pairing, discovery: &Discovery<Seeking>) -> Race {
    let patience = pairing.config.connect_timeout.min(TCP_CONNECT_MAX);
    Race::new(Arc::clone(&pairing.site), discovery.waker(), patience)
}
