//! `process_map_uneven`: the inputs of `map_uneven`, where processes should share the dear ones as threads do.

use super::{Row, Target};
use crate::peers::{WORKERS, our_processes, rayon_spawn};
use crate::rounds::Contender;
use crate::rows::map_uneven::{inputs, ours_map, par_iter};

const PAR_ITER: &str = "rayon par_iter";

pub(super) const TARGETS: &[Target] = &[Target::new(PAR_ITER, 1.15)];

pub(super) fn build(scale: f64) -> Row {
    let inputs = inputs(scale);
    let ours = |name, transport| {
        let (pool, inputs) = (our_processes::pool(WORKERS, transport), inputs.clone());
        Contender::new(name, move || ours_map(&pool, &inputs))
    };
    let (peer, same) = (rayon_spawn::pool(), inputs.clone());
    Row::new(inputs.len() as u64, ours).with(Contender::new(PAR_ITER, move || par_iter(&peer, &same)))
}
