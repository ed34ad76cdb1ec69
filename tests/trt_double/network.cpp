// From a model to layers and tensors, and the marks on them. Types and shapes are those that ONNX Runtime infers.
#include "network.hpp"
#include "ort.hpp"
#include "wire.hpp"

#include <algorithm>
#include <stdexcept>

namespace trtdouble {
namespace {

LayerType layer_type(std::string const& op)
{
    static std::map<std::string, LayerType> const known = {
        {"MatMul", LayerType::kMATRIX_MULTIPLY}, {"Gemm", LayerType::kMATRIX_MULTIPLY},
        {"Conv", LayerType::kCONVOLUTION}, {"ConvTranspose", LayerType::kDECONVOLUTION}, {"Cast", LayerType::kCAST},
        {"Add", LayerType::kELEMENTWISE}, {"Sub", LayerType::kELEMENTWISE}, {"Mul", LayerType::kELEMENTWISE},
        {"Div", LayerType::kELEMENTWISE}, {"Pow", LayerType::kELEMENTWISE}, {"Relu", LayerType::kACTIVATION},
        {"Sigmoid", LayerType::kACTIVATION}, {"Tanh", LayerType::kACTIVATION}, {"Clip", LayerType::kACTIVATION},
        {"MaxPool", LayerType::kPOOLING}, {"AveragePool", LayerType::kPOOLING}, {"Softmax", LayerType::kSOFTMAX},
        {"Concat", LayerType::kCONCATENATION}, {"Reshape", LayerType::kSHUFFLE}, {"Transpose", LayerType::kSHUFFLE},
        {"ReduceMean", LayerType::kREDUCE}, {"ReduceSum", LayerType::kREDUCE}, {"Gather", LayerType::kGATHER},
        {"Slice", LayerType::kSLICE}, {"Shape", LayerType::kSHAPE}, {"Constant", LayerType::kCONSTANT},
        {"Identity", LayerType::kIDENTITY}, {"Resize", LayerType::kRESIZE}, {"TopK", LayerType::kTOPK},
        {"QuantizeLinear", LayerType::kQUANTIZE}, {"DequantizeLinear", LayerType::kDEQUANTIZE},
        {"BatchNormalization", LayerType::kSCALE}, {"LayerNormalization", LayerType::kNORMALIZATION},
        {"NonZero", LayerType::kNON_ZERO}, {"Where", LayerType::kSELECT}, {"Squeeze", LayerType::kSQUEEZE},
        {"Unsqueeze", LayerType::kUNSQUEEZE}, {"If", LayerType::kCONDITIONAL_OUTPUT}, {"Loop", LayerType::kLOOP_OUTPUT}};
    auto const found = known.find(op);
    return found == known.end() ? LayerType::kUNARY : found->second;
}

// What a session of the model with every tensor for output knows.
std::map<std::string, TensorInfo> infer(Model const& model)
{
    std::set<std::string> const already = [&] {
        std::set<std::string> names;
        for (Value const& v : model.outputs)
            names.insert(v.name);
        return names;
    }();
    std::vector<std::string> more;
    std::string nodes;
    for (Node const& node : model.nodes) {
        put(nodes, 1, node.whole);
        for (std::string const& output : node.outputs)
            if (!output.empty() && !already.count(output))
                more.push_back(output);
    }
    Session const session(assemble(model, nodes, more), model.folder);
    std::map<std::string, TensorInfo> found;
    for (TensorInfo const& info : session.outputs)
        found[info.name] = info;
    for (TensorInfo const& info : session.inputs)
        found[info.name] = info;
    return found;
}

} // namespace

Tensor::Tensor(std::string given, int onnx, std::vector<int64_t> shape)
    : name(std::move(given)), shown(name), onnx_type(onnx), dims(std::move(shape))
{
    mImpl = this;
    tensorrt_type(onnx, type);
}

Dims Tensor::getDimensions() const noexcept
{
    Dims out = dims_of(dims);
    if (!ranked)
        out.nbDims = -1;
    return out;
}

Layer::Layer(std::string name, std::string const& op, std::string const& node)
    : name_(std::move(name)), metadata_("[ONNX Layer: " + node + "]"), type_(layer_type(op))
{
    mLayer = this;
}

ITensor* Layer::getInput(int32_t index) const noexcept
{
    return index >= 0 && index < getNbInputs() ? inputs[static_cast<size_t>(index)] : nullptr;
}

ITensor* Layer::getOutput(int32_t index) const noexcept
{
    return index >= 0 && index < getNbOutputs() ? outputs[static_cast<size_t>(index)] : nullptr;
}

DataType Layer::getOutputType(int32_t index) const noexcept
{
    auto const set = output_types.find(index);
    if (set != output_types.end())
        return set->second;
    return index >= 0 && index < getNbOutputs() ? outputs[static_cast<size_t>(index)]->type : DataType::kFLOAT;
}

#if NV_TENSORRT_MAJOR < 11
void Layer::setPrecision(DataType type) noexcept
{
    precision_set = true;
    precision = type;
}
#endif

bool Layer::wants_float() const
{
    auto const is_float = [](auto const& entry) { return entry.second == DataType::kFLOAT; };
    return (precision_set && precision == DataType::kFLOAT)
        || std::any_of(output_types.begin(), output_types.end(), is_float);
}

Network::Network(Voice given, IBuilder& builder, NetworkDefinitionCreationFlags flags)
    : voice{given.logger, nullptr}, builder_(builder), flags_(flags)
{
    mImpl = this;
}

void Network::load(std::string bytes, std::string folder)
{
    auto fresh = std::make_unique<Model>(std::move(bytes), std::move(folder));
    if (fresh->nodes.empty())
        return;
    if (model)
        throw std::runtime_error("the double parses one model into a network");
    std::map<std::string, TensorInfo> const known = infer(*fresh);
    model = std::move(fresh);
    for (Value const& input : model->inputs) {
        Tensor* made = tensor(input.name, input.type, input.dims);
        made->input = true;
        inputs.push_back(made);
    }
    for (Node const& node : model->nodes) {
        // A shape tensor comes from a Shape node, or from nothing but shape tensors and constants.
        bool any = node.op == "Shape" || node.op == "Size", all = true;
        for (std::string const& name : node.inputs) {
            Tensor const* read = find(name);
            any = any || (read && read->shape);
            all = all && (!read || read->constant || read->shape);
        }
        bool const shape = node.op == "Shape" || node.op == "Size" || (any && all);
        for (std::string const& output : node.outputs) {
            if (output.empty())
                continue;
            TensorInfo const& info = known.at(output);
            Tensor* made = tensor(output, info.type, info.dims);
            made->shape = shape && made->type != DataType::kFLOAT;
            made->constant = node.op == "Constant";
        }
    }
    for (Node const& node : model->nodes)
        add_layer(node, false);
    for (Node const& node : model->nodes)
        for (Node const& inner : node.body)
            add_layer(inner, true);
    for (Value const& output : model->outputs) {
        own_outputs.insert(output.name);
        if (Tensor* made = find(output.name))
            markOutput(*made);
        else
            throw std::runtime_error("output " + output.name + " is made by no node");
    }
}

Tensor* Network::tensor(std::string const& name, int type, std::vector<int64_t> const& dims)
{
    auto& slot = tensors[name];
    if (!slot)
        slot = std::make_unique<Tensor>(name, type, dims);
    return slot.get();
}

void Network::add_layer(Node const& node, bool in_body)
{
    std::string name = node.name;
    while (!layer_names_.insert(name).second)
        name = node.name + "_" + std::to_string(suffix_++);
    auto layer = std::make_unique<Layer>(name, node.op, node.name);
    for (std::string const& input : node.inputs)
        layer->inputs.push_back(input.empty() ? nullptr : find(input));
    for (std::string const& output : node.outputs) {
        if (output.empty())
            continue;
        Tensor* made = find(output);
        if (in_body && !made) {
            made = tensor(output, kOnnxFloat, {});
            made->ranked = false;
            made->in_body = true;
        }
        layer->outputs.push_back(made);
    }
    layers.push_back(std::move(layer));
}

Tensor* Network::find(std::string const& name) const
{
    auto const found = tensors.find(name);
    return found == tensors.end() ? nullptr : found->second.get();
}

void Network::markOutput(ITensor& given) noexcept
{
    auto& tensor = static_cast<Tensor&>(given);
    if (tensor.output)
        return voice.error(ErrorCode::kINVALID_ARGUMENT, "INetworkDefinition::markOutput: " + tensor.shown + " is an output already");
    tensor.output = true;
    outputs.push_back(&tensor);
}

void Network::unmarkOutput(ITensor& given) noexcept
{
    auto& tensor = static_cast<Tensor&>(given);
    tensor.output = false;
    outputs.erase(std::remove(outputs.begin(), outputs.end(), &tensor), outputs.end());
}

bool Network::markDebug(ITensor& given) noexcept
{
    auto& tensor = static_cast<Tensor&>(given);
    if (tensor.input) {
        voice.error(ErrorCode::kINVALID_ARGUMENT, "INetworkDefinition::markDebug: " + tensor.shown + " is an input");
        return false;
    }
    return tensor.debug = true;
}

bool Network::unmarkDebug(ITensor& given) noexcept
{
    static_cast<Tensor&>(given).debug = false;
    return true;
}

bool Network::isDebugTensor(ITensor const& given) const noexcept
{
    return static_cast<Tensor const&>(given).debug;
}

ILayer* Network::getLayer(int32_t index) const noexcept
{
    return index >= 0 && index < getNbLayers() ? layers[static_cast<size_t>(index)].get() : nullptr;
}

ITensor* Network::getInput(int32_t index) const noexcept
{
    return index >= 0 && index < getNbInputs() ? inputs[static_cast<size_t>(index)] : nullptr;
}

ITensor* Network::getOutput(int32_t index) const noexcept
{
    return index >= 0 && index < getNbOutputs() ? outputs[static_cast<size_t>(index)] : nullptr;
}

bool Network::getFlag(NetworkDefinitionCreationFlag flag) const noexcept
{
    return flags_ >> static_cast<int>(flag) & 1;
}

bool Network::strongly_typed() const
{
#if NV_TENSORRT_MAJOR < 11
    return getFlag(NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
#else
    return true;
#endif
}

} // namespace trtdouble

// How the parser's library fills a network: null, or what is wrong (valid until the next call of this thread).
extern "C" TENSORRTAPI char const* trtdouble_load(
    nvinfer1::INetworkDefinition* network, char const* bytes, size_t size, char const* folder) noexcept
{
    thread_local std::string wrong;
    try {
        static_cast<trtdouble::Network*>(network)->load(std::string(bytes, size), folder);
        return nullptr;
    } catch (std::exception const& e) {
        wrong = e.what();
        return wrong.c_str();
    }
}
