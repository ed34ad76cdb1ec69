//! RNN, GRU and LSTM: weights of all gates in one tensor, for each direction.

use super::super::call::{Call, Made, ranked, same, same_shape, unknown};
use super::super::fact::{Dim, Fact};

/// `RNN`, `GRU` and `LSTM`, of 1, 3 and 4 gates.
pub fn recurrent(call: &Call, gates: usize) -> Made {
    let (Some(x), Some(w), Some(r)) = (call.shape(0)?, call.shape(1)?, call.shape(2)?) else { return unknown() };
    for shape in [x, w, r] {
        ranked(shape, 3)?;
    }
    let hidden = match call.node.attr("hidden_size") {
        Some(size) => usize::try_from(size.i()).ok(),
        None => r[2],
    };
    let times = |n: Dim, by: usize| n.and_then(|n| n.checked_mul(by));
    let directions = Some(if call.text("direction", "forward") == "bidirectional" { 2 } else { 1 });
    let batch_first = call.int("layout", 0) != 0;
    let (length, batch) = if batch_first { (x[1], x[0]) } else { (x[0], x[1]) };
    same_shape(w, &[directions, times(hidden, gates), x[2]])?;
    same_shape(r, &[directions, times(hidden, gates), hidden])?;
    if let Some(bias) = call.optional(3) {
        same_shape(bias, &[directions, times(hidden, 2 * gates)])?;
    }
    call.list(4, batch)?;
    let state = if batch_first { [batch, directions, hidden] } else { [directions, batch, hidden] };
    for slot in 5..7 {
        if let Some(initial) = call.optional(slot) {
            same_shape(initial, &state)?;
        }
    }
    if let Some(peepholes) = call.optional(7) {
        ranked(peepholes, 2)?;
        same(peepholes[1], times(hidden, 3))?;
    }
    let all = if batch_first { [batch, length, directions, hidden] } else { [length, directions, batch, hidden] };
    Ok(vec![Fact::dims(all.to_vec()), Fact::dims(state.to_vec()), Fact::dims(state.to_vec())])
}
