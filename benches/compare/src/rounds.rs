//! Interleaved rounds: each contender runs once a round, the order rotates, and the median round counts.

use std::time::Duration;

/// One side of a row: a name and a closure that does the row's work once and says what the timed part took.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// From the row's number of tasks to nanoseconds per task.
    run: Box<dyn FnMut(u64) -> f64>,
}

impl Contender {
    /// One that does all of the row's tasks and says how long they took together.
    pub(crate) fn new(name: &'static str, mut run: impl FnMut() -> Duration + 'static) -> Self {
        Self { name, run: Box::new(move |tasks| nanoseconds(run(), tasks)) }
    }

    /// One that does so many tasks, whatever the row's number is, and says how long they took together.
    pub(crate) fn with_tasks(name: &'static str, tasks: u64, mut run: impl FnMut(u64) -> Duration + 'static) -> Self {
        Self { name, run: Box::new(move |_| nanoseconds(run(tasks), tasks)) }
    }

    /// One that says itself how many nanoseconds one task took.
    pub(crate) fn measured_elsewhere(name: &'static str, mut run: impl FnMut() -> f64 + 'static) -> Self {
        Self { name, run: Box::new(move |_| run()) }
    }
}

fn nanoseconds(elapsed: Duration, tasks: u64) -> f64 {
    elapsed.as_secs_f64() * 1e9 / tasks as f64
}

/// What one contender needed per task, in nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// Times all contenders; the figures come in the contenders' order.
///
/// The first round warms up and does not count: it starts lazily started threads, fills the allocator's caches, and
/// lets the processor leave its idle clock. Then whoever ran first runs last, because neighbours on the machine and
/// the state the previous contender leaves behind must not always fall on the same one.
pub(crate) fn measure(contenders: &mut [Contender], rounds: usize, tasks: u64) -> Vec<Figure> {
    let mut samples = vec![Vec::with_capacity(rounds); contenders.len()];
    for contender in contenders.iter_mut() {
        (contender.run)(tasks);
    }
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            samples[index].push((contenders[index].run)(tasks));
        }
    }
    contenders.iter().zip(samples).map(|(contender, samples)| figure(contender.name, samples)).collect()
}

fn figure(name: &'static str, mut samples: Vec<f64>) -> Figure {
    samples.sort_by(f64::total_cmp);
    Figure { name, median: median(&samples), least: samples[0], most: samples[samples.len() - 1] }
}

/// The middle of a sorted list; of an even number, the mean of the two in the middle.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    let upper = sorted[sorted.len() / 2];
    let lower = sorted[(sorted.len() - 1) / 2];
    f64::midpoint(lower, upper)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_of_an_odd_number_is_the_middle_one() {
        assert_eq!(median(&[1.0, 5.0, 90.0]), 5.0);
    }

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle_two() {
        assert_eq!(median(&[1.0, 4.0, 6.0, 90.0]), 5.0);
    }
}
