// The engine inspector: layers as JSON or lines, in TensorRT's shape.
#include "runtime.hpp"

namespace trtdouble {
namespace {

char const* format_of(int onnx_type)
{
    switch (onnx_type) {
    case kOnnxHalf: return "Half";
    case kOnnxBf16: return "BFloat16";
    case 2: return "UInt8";
    case 3: return "Int8";
    case 6: return "Int32";
    case 7: return "Int64";
    case kOnnxBool: return "Bool";
    case 17: return "FP8";
    default: return "FP32";
    }
}

std::string tensors(std::vector<EngineTensor> const& list)
{
    std::string out;
    for (EngineTensor const& tensor : list) {
        std::string dims;
        for (int64_t d : tensor.dims)
            dims += (dims.empty() ? "" : ", ") + std::to_string(d);
        out += (out.empty() ? "" : ", ") + ("{\"Name\": " + quoted(tensor.name)) + ", \"Location\": \"Device\", "
            + "\"Dimensions\": [" + dims + "], \"Format/Datatype\": " + quoted(format_of(tensor.type)) + "}";
    }
    return "[" + out + "]";
}

} // namespace

Inspector::Inspector(Voice voice, std::shared_ptr<Loaded const> loaded)
    : voice_{voice.logger, nullptr}, loaded_(std::move(loaded))
{
    mImpl = this;
}

std::string Inspector::layer(EngineLayer const& layer, LayerInformationFormat format) const
{
    bool const detailed = loaded_->plan.verbosity == static_cast<int64_t>(ProfilingVerbosity::kDETAILED);
    if (format == LayerInformationFormat::kONELINE)
        return layer.name;
    if (!detailed)
        return quoted(layer.name);
    std::string metadata;
    for (std::string const& node : layer.nodes)
        metadata += (metadata.empty() ? "[ONNX Layer: " : "\x1f[ONNX Layer: ") + node + "]";
    return "{\"Name\": " + quoted(layer.name) + ", \"LayerType\": " + quoted(layer.kind) + ", \"Inputs\": "
        + tensors(layer.inputs) + ", \"Outputs\": " + tensors(layer.outputs)
        + ", \"TacticName\": \"trt_double\", \"StreamId\": 0, \"Metadata\": " + quoted(metadata) + "}";
}

char const* Inspector::getLayerInformation(int32_t index, LayerInformationFormat format) const noexcept
{
    auto const& layers = loaded_->plan.layers;
    if (index < 0 || static_cast<size_t>(index) >= layers.size()) {
        voice_.error(ErrorCode::kINVALID_ARGUMENT, "IEngineInspector::getLayerInformation: no layer " + std::to_string(index));
        return nullptr;
    }
    text_ = layer(layers[static_cast<size_t>(index)], format);
    return text_.c_str();
}

char const* Inspector::getEngineInformation(LayerInformationFormat format) const noexcept
{
    bool const json = format == LayerInformationFormat::kJSON;
    std::string layers, bindings;
    for (EngineLayer const& each : loaded_->plan.layers)
        layers += (layers.empty() ? "" : json ? ",\n" : "\n") + layer(each, format);
    for (auto const* list : {&loaded_->plan.inputs, &loaded_->plan.outputs})
        for (EngineTensor const& tensor : *list)
            bindings += (bindings.empty() ? "" : json ? ", " : " ") + (json ? quoted(tensor.name) : tensor.name);
    text_ = json ? "{\"Layers\": [" + layers + "],\n\"Bindings\": [" + bindings + "]}\n"
                 : "Layers:\n" + layers + "\nBindings:\n" + bindings + "\n";
    if (loaded_->plan.verbosity == static_cast<int64_t>(ProfilingVerbosity::kNONE))
        text_ = json ? "{\"Layers\": [],\n\"Bindings\": []}\n" : "";
    return text_.c_str();
}

} // namespace trtdouble
