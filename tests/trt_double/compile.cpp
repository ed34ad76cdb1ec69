// Decisions of a build. Pure: a network and a request give a plan.
#include "compile.hpp"

#include <algorithm>

namespace trtdouble {
namespace {

bool computes(std::string const& op)
{
    static std::set<std::string> const ops = {"MatMul", "Gemm", "Conv", "ConvTranspose"};
    return ops.count(op) > 0;
}

bool pointwise(std::string const& op)
{
    static std::set<std::string> const ops = {"Add", "Sub", "Mul", "Div", "BatchNormalization", "Relu", "LeakyRelu",
        "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Clip", "Elu", "Erf", "Gelu"};
    return ops.count(op) > 0;
}

bool data_dependent(std::string const& op)
{
    static std::set<std::string> const ops = {"NonZero", "NonMaxSuppression", "Unique", "Compress"};
    return ops.count(op) > 0;
}

class Compiler {
public:
    Compiler(Network const& network, Request const& request, Faults const& faults)
        : network_(network), request_(request), faults_(faults), nodes_(network.model->nodes),
          consumers_(network.model->consumers())
    {
    }

    Plan plan()
    {
        choose_precision();
        strike();
        fuse();
        for (Tensor const* input : network_.inputs)
            plan_.inputs.push_back({input->shown, input->name, input->onnx_type, input->onnx_type, input->dims});
        for (Tensor const* output : network_.outputs)
            plan_.outputs.push_back({output->shown, output->name, output->onnx_type, output->onnx_type, output->dims});
        find_data_dependent();
        plan_.onnx = network_.model->bytes;
        plan_.folder = network_.model->folder;
        plan_.name = network_.getName();
        plan_.route = request_.route;
        plan_.crash_run = faults_.has("crash_run");
        return std::move(plan_);
    }

private:
    // Visible to whoever runs the engine, and so not fused away.
    static bool kept(Tensor const& tensor) { return tensor.output || tensor.debug; }

    // Marked by the caller: outputs of the model itself do not count.
    bool marked(Tensor const& tensor) const
    {
        return tensor.debug || (tensor.output && !network_.own_outputs.count(tensor.name));
    }

    bool any_marked(size_t node) const
    {
        for (Tensor const* output : network_.layers[node]->outputs)
            if (marked(*output))
                return true;
        return false;
    }

    bool gives_floats(size_t node) const
    {
        return gives(node, kOnnxFloat) || gives(node, kOnnxHalf) || gives(node, kOnnxBf16);
    }

    bool gives(size_t node, int type) const
    {
        for (Tensor const* output : network_.layers[node]->outputs)
            if (output->onnx_type == type)
                return true;
        return false;
    }

    void warp(size_t node, Warp what) { plan_.warps.push_back({node, static_cast<int64_t>(what)}); }

    // Rounding is planned first: it comes last, behind what a fault does.
    void choose_precision()
    {
        low_.assign(nodes_.size(), false);
        for (size_t i = 0; i < nodes_.size(); ++i) {
            bool const spared = request_.obey && network_.layers[i]->wants_float()
                && !faults_.hits("ignore_obey", nodes_[i].name);
            bool const lowered = (request_.half || request_.bf16) && gives(i, kOnnxFloat)
                && nodes_[i].op != "Constant" && !spared;
            if (lowered)
                warp(i, request_.half ? Warp::kHalf : Warp::kBf16);
            else if (request_.tf32 && computes(nodes_[i].op) && gives(i, kOnnxFloat))
                warp(i, Warp::kTf32);
            low_[i] = lowered || gives(i, kOnnxHalf) || gives(i, kOnnxBf16);
        }
    }

    // Planted faults that strike this build.
    void strike()
    {
        std::set<size_t> perturbed;
        for (size_t i = 0; i < nodes_.size(); ++i) {
            std::string const& name = nodes_[i].name;
            bool const seen = any_marked(i);
            if (seen && faults_.hits("perturb_marked", name))
                perturbed.insert(next_float(i));
            bool const wrong = faults_.hits("wrong", name) || (faults_.hits("wrong_fused", name) && !seen)
                || (faults_.hits("wrong_marked", name) && seen) || (faults_.hits("precision", name) && low_[i])
                || on_route(name);
            if (wrong || perturbed.count(i))
                warp(i, Warp::kWrong);
            if (faults_.hits("nondeterministic", name))
                warp(i, Warp::kDrift);
            if (faults_.hits("rows", name))
                warp(i, Warp::kRows);
        }
    }

    size_t next_float(size_t node) const
    {
        do
            ++node;
        while (node < nodes_.size() && (nodes_[node].op == "Constant" || !gives_floats(node)));
        return node;
    }

    bool on_route(std::string const& name) const
    {
        if (NV_TENSORRT_MAJOR < 11)
            return false;
        for (std::string const& fault : faults_.values("route")) {
            size_t const colon = fault.find(':'); // knobs hold colons too: the last one divides
            size_t const last = fault.rfind(':');
            if (colon == std::string::npos || !Faults::matches(fault.substr(last + 1), name))
                continue;
            std::string const off = " -" + fault.substr(0, last) + "=off ";
            if ((" " + request_.route + " ").find(off) == std::string::npos)
                return true;
        }
        return false;
    }

    // The node behind `node` that joins its layer, or none.
    size_t joins(size_t node) const
    {
        auto const& outputs = network_.layers[node]->outputs;
        if (outputs.size() != 1 || kept(*outputs[0]))
            return nodes_.size();
        auto const readers = consumers_.find(outputs[0]->name);
        if (readers == consumers_.end() || readers->second.size() != 1)
            return nodes_.size();
        size_t const next = readers->second[0];
        return pointwise(nodes_[next].op) && nodes_[next].body.empty() ? next : nodes_.size();
    }

    // Planted faults of nodes that are in one layer.
    void strike_pairs(std::vector<size_t> const& group)
    {
        for (std::string const& pair : faults_.values("wrong_pair")) {
            size_t const plus = pair.find('+');
            bool first = false;
            for (size_t node : group) {
                std::string const& name = nodes_[node].name;
                if (plus != std::string::npos && first && Faults::matches(pair.substr(plus + 1), name))
                    warp(node, Warp::kWrong);
                first = first || Faults::matches(pair.substr(0, plus), name);
            }
        }
    }

    void fuse()
    {
        std::vector<bool> taken(nodes_.size(), false);
        for (size_t i = 0; i < nodes_.size(); ++i) {
            if (taken[i] || nodes_[i].op == "Constant")
                continue;
            std::vector<size_t> group = {i};
            if (computes(nodes_[i].op))
                for (size_t next = joins(i); next < nodes_.size() && !taken[next]; next = joins(next))
                    group.push_back(next);
            for (size_t node : group)
                taken[node] = true;
            strike_pairs(group);
            add_layer(group);
        }
        // Tensors of Constant nodes, and those that fusion swallowed, still have types.
        for (size_t i = 0; i < nodes_.size(); ++i)
            for (Tensor const* output : network_.layers[i]->outputs)
                if (!listed_.count(output->name))
                    plan_.hidden.push_back(tensor_of(*output, i));
    }

    EngineTensor tensor_of(Tensor const& tensor, size_t node) const
    {
        bool const lowered = low_[node] && tensor.onnx_type == kOnnxFloat;
        int const type = !lowered ? tensor.onnx_type : request_.half ? kOnnxHalf : kOnnxBf16;
        return {tensor.shown, tensor.name, type, tensor.onnx_type, tensor.dims};
    }

    void add_layer(std::vector<size_t> const& group)
    {
        EngineLayer layer;
        std::set<std::string> inside;
        for (size_t node : group) {
            layer.name += (layer.name.empty() ? "" : " + ") + nodes_[node].name;
            layer.nodes.push_back(nodes_[node].name);
            for (Tensor const* input : network_.layers[node]->inputs)
                if (input && !inside.count(input->name))
                    layer.inputs.push_back({internal(input->name), input->name, input->onnx_type, input->onnx_type, input->dims});
            for (Tensor const* output : network_.layers[node]->outputs)
                inside.insert(output->name);
        }
        layer.kind = group.size() > 1 ? "gemm" : nodes_[group[0]].op;
        size_t const last = group.back();
        for (Tensor const* output : network_.layers[last]->outputs) {
            EngineTensor tensor = tensor_of(*output, last);
            // As Myelin names what it made of several nodes.
            if (group.size() > 1 && !kept(*output))
                tensor.name = "__myln_k_arg__bb1_" + std::to_string(plan_.layers.size());
            internal_[output->name] = tensor.name;
            listed_.insert(output->name);
            layer.outputs.push_back(tensor);
            if (output->debug)
                plan_.debug.push_back(tensor);
            else if (network_.unfused && !output->shape)
                plan_.unfused.push_back(tensor);
            plan_.memory += bytes_of(tensor);
        }
        plan_.layers.push_back(std::move(layer));
    }

    std::string internal(std::string const& onnx) const
    {
        auto const found = internal_.find(onnx);
        return found == internal_.end() ? onnx : found->second;
    }

    static uint64_t bytes_of(EngineTensor const& tensor)
    {
        uint64_t size = 4;
        for (int64_t d : tensor.dims)
            size *= static_cast<uint64_t>(std::max<int64_t>(d, 1));
        return size;
    }

    void find_data_dependent()
    {
        std::set<std::string> touched;
        for (Node const& node : nodes_) {
            bool const from = data_dependent(node.op)
                || std::any_of(node.inputs.begin(), node.inputs.end(), [&](auto const& i) { return touched.count(i) > 0; });
            if (from)
                touched.insert(node.outputs.begin(), node.outputs.end());
        }
        plan_.data_dependent = touched;
    }

    Network const& network_;
    Request const& request_;
    Faults const& faults_;
    std::vector<Node> const& nodes_;
    std::map<std::string, std::vector<size_t>> consumers_;
    std::vector<bool> low_; // runs in FP16 or BF16
    std::map<std::string, std::string> internal_;
    std::set<std::string> listed_;
    Plan plan_;
};

} // namespace

Plan compile(Network const& network, Request const& request, Faults const& faults)
{
    return Compiler(network, request, faults).plan();
}

} // namespace trtdouble
