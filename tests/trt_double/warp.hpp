// The operator `Warp`: rounding and planted faults, between the nodes of the model.
#pragma once
#include "model.hpp"
#include "ort_api.hpp"

#include <vector>

namespace trtdouble {

// One operator for each element type; they live as long as the process.
std::vector<ort::CustomOp*> warp_ops(void const* const* api);

} // namespace trtdouble
