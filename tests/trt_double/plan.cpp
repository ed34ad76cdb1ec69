// Plans to bytes and back, and to the model that runs.
#include "plan.hpp"
#include "double.hpp"
#include "model.hpp"
#include "wire.hpp"

#include <stdexcept>
#include <type_traits>

namespace trtdouble {
namespace {

constexpr char kMagic[] = "trtdouble plan\n";
constexpr size_t kHeader = sizeof kMagic - 1 + 3 * 8; // the version, the size and the sum of what follows

uint64_t sum_of(char const* data, size_t size)
{
    uint64_t sum = 1469598103934665603u;
    for (size_t i = 0; i < size; ++i)
        sum = (sum ^ static_cast<unsigned char>(data[i])) * 1099511628211u;
    return sum;
}

// Writes, or reads, each thing that it is shown.
struct Archive {
    bool reading;
    std::string bytes;
    size_t at = 0;

    void raw(void* data, size_t size)
    {
        if (!reading) {
            bytes.append(static_cast<char const*>(data), size);
            return;
        }
        if (size > bytes.size() - at)
            throw std::runtime_error("the plan is cut short");
        bytes.copy(static_cast<char*>(data), size, at);
        at += size;
    }

    template <typename T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
    void operator()(T& number) { raw(&number, sizeof number); }

    void operator()(std::string& text)
    {
        uint64_t size = text.size();
        (*this)(size);
        if (reading && size > bytes.size() - at)
            throw std::runtime_error("the plan is cut short");
        text.resize(size);
        raw(text.data(), size);
    }

    template <typename T>
    void operator()(std::vector<T>& list)
    {
        uint64_t size = list.size();
        (*this)(size);
        if (reading && size > bytes.size())
            throw std::runtime_error("the plan is cut short");
        list.resize(size);
        for (T& item : list)
            (*this)(item);
    }

    void operator()(EngineTensor& t) { all(t.name, t.onnx, t.type, t.given, t.dims); }
    void operator()(EngineLayer& l) { all(l.name, l.kind, l.nodes, l.inputs, l.outputs); }
    void operator()(ProfileShape& p) { all(p.input, p.min, p.opt, p.max); }
    void operator()(PlannedWarp& w) { all(w.node, w.what); }

    void operator()(Plan& p)
    {
        all(p.onnx, p.folder, p.name, p.route, p.inputs, p.outputs, p.debug, p.unfused, p.hidden, p.layers);
        all(p.warps, p.profiles);
        std::vector<std::string> dependent(p.data_dependent.begin(), p.data_dependent.end());
        all(dependent, p.crash_run, p.verbosity, p.memory);
        p.data_dependent = {dependent.begin(), dependent.end()};
    }

    template <typename... T>
    void all(T&... items) { ((*this)(items), ...); }
};

} // namespace

std::string Plan::bytes() const
{
    Archive body{false, {}};
    Plan copy = *this;
    body(copy);
    Archive whole{false, kMagic};
    int64_t version = NV_TENSORRT_VERSION;
    uint64_t size = body.bytes.size(), sum = sum_of(body.bytes.data(), size);
    whole.all(version, size, sum);
    return whole.bytes + body.bytes;
}

Plan Plan::from(void const* data, size_t size)
{
    auto const* text = static_cast<char const*>(data);
    if (size < kHeader || std::string_view(text, sizeof kMagic - 1) != kMagic)
        throw std::runtime_error("Serialization assertion header.magicTag == kEXPECTED_MAGIC_TAG failed. Trying to load an "
                                 "engine which this library did not serialize.");
    Archive header{true, std::string(text + sizeof kMagic - 1, 24)};
    int64_t version = 0;
    uint64_t length = 0, sum = 0;
    header.all(version, length, sum);
    if (version / (NV_TENSORRT_MAJOR == 8 ? 1000 : 10000) != NV_TENSORRT_MAJOR)
        throw std::runtime_error("Version tag does not match. Note: Current Version: "
            + std::to_string(NV_TENSORRT_VERSION) + ", Serialized Engine Version: " + std::to_string(version));
    if (length != size - kHeader || sum != sum_of(text + kHeader, length))
        throw std::runtime_error("Serialization assertion plan.header.size == blobSize failed.");
    Archive body{true, std::string(text + kHeader, length)};
    Plan plan;
    body(plan);
    return plan;
}

std::string runnable(Plan const& plan)
{
    Model const model(plan.onnx, plan.folder);
    std::map<std::string, int> types;
    for (EngineTensor const& tensor : plan.hidden)
        types[tensor.onnx] = tensor.given;
    for (EngineLayer const& layer : plan.layers)
        for (EngineTensor const& tensor : layer.outputs)
            types[tensor.onnx] = tensor.given;
    std::map<uint64_t, std::vector<Warp>> warps;
    for (PlannedWarp const& planned : plan.warps)
        warps[planned.node].push_back(static_cast<Warp>(planned.what));
    std::string nodes;
    for (size_t i = 0; i < model.nodes.size(); ++i) {
        Node const& node = model.nodes[i];
        std::vector<std::string> inputs = node.inputs, outputs = node.outputs;
        std::string behind;
        for (Warp const what : warps[i]) {
            if (what == Warp::kTf32) {
                for (size_t k = 0; k < inputs.size() && k < 2; ++k) {
                    inputs[k] = node.name + "/tf32/" + std::to_string(i) + "/" + std::to_string(k);
                    nodes += warp_node(node.inputs[k], inputs[k], what, kOnnxFloat);
                }
                continue;
            }
            for (std::string& output : outputs) {
                auto const type = types.find(node.outputs[static_cast<size_t>(&output - outputs.data())]);
                bool const is_float = type != types.end()
                    && (type->second == kOnnxFloat || type->second == kOnnxHalf || type->second == kOnnxBf16);
                if (!is_float)
                    continue;
                // Each further warp goes between the node and what is there already, so the last one planned is first.
                std::string const raw = output + "/raw";
                behind = warp_node(raw, output, what, type->second) + behind;
                output = raw;
            }
        }
        nodes += renamed(node, inputs, outputs) + behind;
    }
    std::set<std::string> visible;
    for (auto const* list : {&plan.outputs, &plan.debug, &plan.unfused})
        for (EngineTensor const& tensor : *list)
            visible.insert(tensor.onnx);
    for (Value const& output : model.outputs)
        visible.erase(output.name);
    return assemble(model, nodes, {visible.begin(), visible.end()});
}

} // namespace trtdouble
