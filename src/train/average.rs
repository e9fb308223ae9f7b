//! All weights of a network as plain arrays in the order of a visit: what an exponential moving average and a checkpoint
//! work on. Knows nothing of names in published files.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use crate::{Error, Result};

/// The float weights of `module`, in the order of a visit.
pub fn collect<M: Module>(module: &M) -> Result<Vec<Vec<f32>>> {
    collect_some(module, false)
}

/// Those of them that are trained: a frozen weight is left out.
pub fn collect_trained<M: Module>(module: &M) -> Result<Vec<Vec<f32>>> {
    collect_some(module, true)
}

fn collect_some<M: Module>(module: &M, trained: bool) -> Result<Vec<Vec<f32>>> {
    let mut visitor = Collector { trained, values: Ok(Vec::new()) };
    module.visit(&mut visitor);
    visitor.values
}

struct Collector {
    /// Only weights that are trained.
    trained: bool,
    values: Result<Vec<Vec<f32>>>,
}

impl ModuleVisitor for Collector {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.trained && !param.is_require_grad() {
            return;
        }
        if let Ok(all) = &mut self.values {
            match param.val().into_data().try_into_vec::<f32>() {
                Ok(values) => all.push(values),
                Err(error) => self.values = Err(Error::device(format!("The weights cannot be read: {error:?}."))),
            }
        }
    }
}

/// `module` with the weights of `values`, as [`collect`] gave them.
///
/// The parameters are numbered in the order of the visit, so that an optimizer's state saved in one run fits the module
/// of the next.
///
/// # Errors
/// [`Error::Model`] when number or sizes of the weights differ.
pub fn install<M: Module>(module: M, values: Vec<Vec<f32>>) -> Result<M> {
    install_some(module, values, false)
}

/// The same with the values of [`collect_trained`]; frozen weights stay.
///
/// # Errors
/// As [`install`].
pub fn install_trained<M: Module>(module: M, values: Vec<Vec<f32>>) -> Result<M> {
    install_some(module, values, true)
}

fn install_some<M: Module>(module: M, values: Vec<Vec<f32>>, trained: bool) -> Result<M> {
    let mut mapper = Installer { values: values.into_iter(), trained, count: 0, problem: None };
    let module = module.map(&mut mapper);
    let left = mapper.values.len();
    match mapper.problem {
        Some(problem) => Err(Error::model(problem)),
        None if left > 0 => Err(Error::model(format!("The checkpoint has {left} weights more than the network."))),
        None => Ok(module),
    }
}

struct Installer {
    values: std::vec::IntoIter<Vec<f32>>,
    /// Only weights that are trained.
    trained: bool,
    count: u64,
    problem: Option<String>,
}

impl ModuleMapper for Installer {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.count += 1;
        let old = param.val();
        if self.trained && !param.is_require_grad() {
            return param.transform_for_load(old, ParamId::from(self.count));
        }
        let shape = old.dims();
        let values = self.values.next().filter(|values| values.len() == shape.iter().product::<usize>());
        if let Some(values) = values {
            let tensor = Tensor::from_data(TensorData::new(values, shape), &old.device());
            param.transform_for_load(tensor, ParamId::from(self.count))
        } else {
            self.problem.get_or_insert_with(|| format!("Weight {} of the checkpoint does not fit.", self.count));
            param
        }
    }
}

/// An exponential moving average of a network's weights (Polyak averaging), bias-corrected by a growing horizon: after n
/// updates the weight of the newest is at least 1/(n + 1).
#[derive(Clone, Debug)]
pub struct Average {
    /// Share of the old average that stays per update, in [0, 1).
    pub decay: f32,
    pub updates: usize,
    pub values: Vec<Vec<f32>>,
}

impl Average {
    pub fn new(decay: f32) -> Self {
        Self { decay, updates: 0, values: Vec::new() }
    }

    /// Takes the present weights in.
    pub fn update<M: Module>(&mut self, module: &M) -> Result<()> {
        let now = collect(module)?;
        let n = self.updates as f32;
        let keep = self.decay.min(n / (n + 9.0));
        if self.values.is_empty() {
            self.values = now;
        } else {
            for (old, new) in self.values.iter_mut().zip(&now) {
                old.iter_mut().zip(new).for_each(|(o, v)| *o += (v - *o) * (1.0 - keep));
            }
        }
        self.updates += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    #[test]
    fn weights_survive_the_round_trip_and_misfits_are_refused() {
        let device = Device::flex();
        let layer = LinearConfig::new(3, 2).init(&device);
        let values = collect(&layer).expect("readable");
        let other = install(LinearConfig::new(3, 2).init(&device), values.clone()).expect("same sizes");
        assert_eq!(collect(&other).expect("readable"), values);
        assert!(install(LinearConfig::new(4, 2).init(&device), values.clone()).is_err());
        let mut longer = values;
        longer.push(vec![0.0]);
        assert!(install(LinearConfig::new(3, 2).init(&device), longer).is_err());
    }

    #[test]
    fn the_average_of_equal_weights_is_those_weights() {
        let layer = LinearConfig::new(3, 2).init(&Device::flex());
        let mut average = Average::new(0.9);
        for _ in 0..20 {
            average.update(&layer).expect("readable");
        }
        let values = collect(&layer).expect("readable");
        assert!(average.values.iter().flatten().zip(values.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
