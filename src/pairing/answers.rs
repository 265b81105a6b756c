//! Answers to one host each: not two to copies of one question, and not more than so many a second.

use core::net::SocketAddr;
use core::time::Duration;

use crate::time::Timestamp;

use super::counters::Dropped;

/// Answers a second, and how many at once.
pub const ANSWERS_PER_SECOND: u32 = 100;
/// See [`ANSWERS_PER_SECOND`].
pub const ANSWERS_BURST: u32 = 20;
/// How many of the questions answered last are remembered.
const RECENT_MAX: usize = 32;
/// Copies of one question come within this time; the next one of a burst comes later.
const COPIES_WITHIN: Duration = Duration::from_millis(10);

/// A question, as far as it matters whether it is the same.
type Question = (SocketAddr, [u8; 8]);

/// Judges which questions are answered.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    recent: Vec<(Question, Timestamp)>,
    /// How much may be answered, as the time at which all of it would be there again.
    full_at: Timestamp,
}

impl Answers {
    pub(super) const fn new() -> Self {
        Self { recent: Vec::new(), full_at: Timestamp::ZERO }
    }

    /// Whether to answer the question `id` that came from `from`.
    pub(super) fn judge(&mut self, now: Timestamp, from: SocketAddr, id: [u8; 8]) -> Result<(), Dropped> {
        self.recent.retain(|(_, at)| now.saturating_since(*at) < COPIES_WITHIN);
        let question = (from, id);
        if self.recent.iter().any(|(known, _)| *known == question) {
            return Err(Dropped::Repeated);
        }
        let each = Duration::from_secs(1) / ANSWERS_PER_SECOND;
        let full_at = self.full_at.max(now) + each;
        if full_at.saturating_since(now) > each * ANSWERS_BURST {
            return Err(Dropped::AnswersLimited);
        }
        self.full_at = full_at;
        if self.recent.len() < RECENT_MAX {
            self.recent.push((question, now));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(millis)
    }

    fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[test]
    fn copies_of_a_question_get_one_answer_and_its_repetition_another() {
        let mut answers = Answers::new();
        assert_eq!(answers.judge(at(0), from(1), [1; 8]), Ok(()));
        assert_eq!(answers.judge(at(9), from(1), [1; 8]), Err(Dropped::Repeated));
        assert_eq!(answers.judge(at(9), from(2), [1; 8]), Ok(()), "another way back");
        assert_eq!(answers.judge(at(9), from(1), [2; 8]), Ok(()), "another question");
        assert_eq!(answers.judge(at(10), from(1), [1; 8]), Ok(()));
    }

    #[test]
    fn a_flood_is_answered_at_its_rate_and_remembered_in_little() {
        let mut answers = Answers::new();
        let mut answered = 0;
        for tick in 0..100_000_u32 {
            let now = Timestamp::from_nanos(u64::from(tick) * 100_000);
            let id = u64::from(tick).to_be_bytes();
            answered += u32::from(answers.judge(now, from(1), id).is_ok());
            assert!(answers.recent.len() <= RECENT_MAX);
        }
        assert!((10 * ANSWERS_PER_SECOND..=10 * ANSWERS_PER_SECOND + ANSWERS_BURST).contains(&answered), "{answered}");
    }
}
