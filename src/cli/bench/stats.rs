//! One figure over several rounds: its middle, its range, and whether two figures differ.

/// A figure that was measured in several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    /// The least of the rounds.
    pub(crate) low: f64,
    /// The median of the rounds.
    pub(crate) median: f64,
    /// The greatest of the rounds.
    pub(crate) high: f64,
}

/// Which of two figures is the smaller one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Every round of the first is below every round of the second.
    Below,
    /// Every round of the first is above every round of the second.
    Above,
    /// The intervals overlap: the rounds do not tell.
    Overlap,
}

impl Interval {
    /// Of one value a round; `None` where there is no round.
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = rounds.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
        Some(Self { low, median, high })
    }

    /// How this compares with `other`; intervals that touch overlap.
    pub(crate) fn order(self, other: Self) -> Order {
        if self.high < other.low {
            Order::Below
        } else if self.low > other.high {
            Order::Above
        } else {
            Order::Overlap
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rounds: &[f64]) -> Interval {
        Interval::of(rounds.iter().copied()).unwrap()
    }

    #[test]
    fn odd_rounds_have_their_middle_and_even_rounds_the_mean_of_two() {
        assert_eq!(of(&[3.0, 1.0, 2.0]), Interval { low: 1.0, median: 2.0, high: 3.0 });
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), Interval { low: 1.0, median: 2.5, high: 4.0 });
        assert_eq!(of(&[7.0]), Interval { low: 7.0, median: 7.0, high: 7.0 });
        assert_eq!(Interval::of([]), None);
    }

    #[test]
    fn one_wild_round_moves_the_range_and_not_the_median() {
        assert_eq!(of(&[10.0, 11.0, 12.0, 13.0, 900.0]).median, 12.0);
    }

    #[test]
    fn only_intervals_apart_have_an_order() {
        assert_eq!(of(&[1.0, 2.0]).order(of(&[2.1, 3.0])), Order::Below);
        assert_eq!(of(&[2.1, 3.0]).order(of(&[1.0, 2.0])), Order::Above);
        assert_eq!(of(&[1.0, 2.0]).order(of(&[2.0, 3.0])), Order::Overlap, "they touch");
        assert_eq!(of(&[1.0, 9.0]).order(of(&[3.0, 4.0])), Order::Overlap, "one within the other");
    }
}
