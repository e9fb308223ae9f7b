//! Learning rate over the steps of a run: a linear warm-up, then half a cosine down to almost nothing.

/// A learning rate that is a pure function of the step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Highest learning rate.
    pub peak: f64,
    /// Steps of linear warm-up.
    pub warm_up: usize,
    /// Steps of the whole run.
    pub steps: usize,
}

impl Schedule {
    /// Learning rate of `step`, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        if step < self.warm_up {
            return self.peak * (step + 1) as f64 / self.warm_up as f64;
        }
        let left = self.steps.saturating_sub(self.warm_up).max(1) as f64;
        let done = ((step - self.warm_up) as f64 / left).min(1.0);
        self.peak * (0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_then_falls() {
        let schedule = Schedule { peak: 2.0, warm_up: 10, steps: 110 };
        assert!((schedule.rate(0) - 0.2).abs() < 1e-12 && (schedule.rate(9) - 2.0).abs() < 1e-12);
        assert!((schedule.rate(10) - 2.0).abs() < 1e-9 && (schedule.rate(60) - 1.01).abs() < 1e-9);
        assert!((schedule.rate(110) - 0.02).abs() < 1e-9 && schedule.rate(1000) == schedule.rate(110));
        assert!((10..109).all(|step| schedule.rate(step) > schedule.rate(step + 1)));
    }
}
