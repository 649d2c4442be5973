//! Medians and percentiles of what was measured.

use std::time::Duration;

/// Sorts from small to large.
pub(crate) fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The middle one, or what lies between the middle two.
pub(crate) fn median(values: Vec<f64>) -> f64 {
    let values = sorted(values);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// The value below or at which this share of the sorted values lies.
pub(crate) fn at(sorted: &[f64], share: f64) -> f64 {
    sorted
        .get(index(sorted.len(), share))
        .copied()
        .unwrap_or(f64::NAN)
}

/// The same for times.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    sorted
        .get(index(sorted.len(), share))
        .copied()
        .unwrap_or_default()
}

/// The nearest rank.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of measurements are small, and a share is from 0 to 1"
)]
fn index(count: usize, share: f64) -> usize {
    ((count as f64 * share).ceil() as usize).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 0.5), Duration::from_millis(100));
        assert_eq!(percentile(&times, 0.99), Duration::from_millis(198));
        assert_eq!(percentile(&times[..1], 0.99), Duration::from_millis(1));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!((median(vec![9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
