// What "the compiler" of a build decides: precision of nodes, faults that strike, fused layers.
#pragma once
#include "network.hpp"
#include "plan.hpp"

namespace trtdouble {

// What a build was asked, besides the network.
struct Request {
    bool half = false; // kFP16, of a weakly typed network
    bool bf16 = false;
    bool obey = false; // kOBEY_PRECISION_CONSTRAINTS or kPREFER_
    bool tf32 = false;
    std::string route;
};

// Fills layers, bindings, debug tensors and warps of the plan; profiles and the like are the builder's.
Plan compile(Network const& network, Request const& request, Faults const& faults);

} // namespace trtdouble
