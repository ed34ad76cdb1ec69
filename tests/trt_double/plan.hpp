// What a build leaves behind: the model, what was asked, and what "the compiler" decided. Plain data, and its bytes.
#pragma once
#include "ort.hpp"

#include <set>
#include <string>
#include <vector>

namespace trtdouble {

// A tensor of the engine: of its layers, its bindings or its debug tensors.
struct EngineTensor {
    std::string name; // in the engine
    std::string onnx; // in the model
    int type = 0; // as it is computed: an ONNX element type
    int given = 0; // as the model says and bindings have it
    std::vector<int64_t> dims;
};

struct EngineLayer {
    std::string name;
    std::string kind;
    std::vector<std::string> nodes; // of the model
    std::vector<EngineTensor> inputs, outputs;
};

struct ProfileShape {
    std::string input;
    std::vector<int64_t> min, opt, max;
};

// `what` happens to the float outputs of a node, or (kTf32) to its first two inputs.
struct PlannedWarp {
    uint64_t node = 0;
    int64_t what = 0;
};

struct Plan {
    std::string onnx, folder, name, route;
    std::vector<EngineTensor> inputs, outputs;
    std::vector<EngineTensor> debug; // marked, by ONNX name
    std::vector<EngineTensor> unfused; // what the unfused mark shows, by internal name
    std::vector<EngineTensor> hidden; // constants, and tensors inside fused layers
    std::vector<EngineLayer> layers;
    std::vector<PlannedWarp> warps;
    std::vector<std::vector<ProfileShape>> profiles;
    std::set<std::string> data_dependent; // outputs whose shape only a run can tell
    bool crash_run = false;
    int64_t verbosity = 0;
    uint64_t memory = 0;

    std::string bytes() const;
    static Plan from(void const* data, size_t size); // throws why it is refused
};

// The model that ONNX Runtime runs for this plan: rounding and faults between the nodes, every visible tensor an output.
std::string runnable(Plan const& plan);

} // namespace trtdouble
