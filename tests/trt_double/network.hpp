// INetworkDefinition with its tensors and layers: the parsed model and what the caller marked.
#pragma once
#include "model.hpp"
#include "stubs.hpp"

#include <memory>

namespace trtdouble {

using namespace nvinfer1;
class Network;

class Tensor final : public ITensor, public stub::VTensor {
public:
    Tensor(std::string name, int onnx_type, std::vector<int64_t> dims);

    void setName(char const* name) noexcept override { shown = name; }
    char const* getName() const noexcept override { return shown.c_str(); }
    Dims getDimensions() const noexcept override;
    DataType getType() const noexcept override { return type; }
    bool isNetworkInput() const noexcept override { return input; }
    bool isNetworkOutput() const noexcept override { return output; }
    TensorLocation getLocation() const noexcept override { return TensorLocation::kDEVICE; }
    void setAllowedFormats(TensorFormats formats) noexcept override { formats_ = formats; }
    TensorFormats getAllowedFormats() const noexcept override { return formats_; }
    bool isShapeTensor() const noexcept override { return shape; }
    bool isExecutionTensor() const noexcept override { return !shape; }
    char const* getDimensionName(int32_t) const noexcept override { return nullptr; }
    bool getBroadcastAcrossBatch() const noexcept override { return false; }
#if NV_TENSORRT_MAJOR < 11
    void setType(DataType wanted) noexcept override { type = wanted; }
    bool dynamicRangeIsSet() const noexcept override { return false; }
#endif

    std::string const name; // in the ONNX file
    std::string shown;
    int const onnx_type;
    DataType type = DataType::kFLOAT;
    std::vector<int64_t> dims;
    bool ranked = true;
    bool input = false, output = false, debug = false;
    bool shape = false; // computed from shapes
    bool constant = false; // of a Constant node
    bool in_body = false; // of an If or Loop

private:
    TensorFormats formats_ = 1;
};

class Layer final : public ILayer, public stub::VLayer {
public:
    Layer(std::string name, std::string const& op, std::string const& node);

    LayerType getType() const noexcept override { return type_; }
    void setName(char const* name) noexcept override { name_ = name; }
    char const* getName() const noexcept override { return name_.c_str(); }
    int32_t getNbInputs() const noexcept override { return static_cast<int32_t>(inputs.size()); }
    ITensor* getInput(int32_t index) const noexcept override;
    int32_t getNbOutputs() const noexcept override { return static_cast<int32_t>(outputs.size()); }
    ITensor* getOutput(int32_t index) const noexcept override;
    DataType getOutputType(int32_t index) const noexcept override;
    void setMetadata(char const* text) noexcept override { metadata_ = text; }
    char const* getMetadata() const noexcept override { return metadata_.c_str(); }
#if NV_TENSORRT_MAJOR < 11
    void setPrecision(DataType type) noexcept override;
    DataType getPrecision() const noexcept override { return precision_set ? precision : DataType::kFLOAT; }
    bool precisionIsSet() const noexcept override { return precision_set; }
    void resetPrecision() noexcept override { precision_set = false; }
    void setOutputType(int32_t index, DataType type) noexcept override { output_types[index] = type; }
    bool outputTypeIsSet(int32_t index) const noexcept override { return output_types.count(index) > 0; }
    void resetOutputType(int32_t index) noexcept override { output_types.erase(index); }
#endif
    bool wants_float() const; // FP32 was requested, by precision or output type

    std::vector<Tensor*> inputs, outputs; // inputs that are weights are null
    bool precision_set = false;
    DataType precision = DataType::kFLOAT;
    std::map<int32_t, DataType> output_types;

private:
    std::string name_, metadata_;
    LayerType type_;
};

class Network final : public INetworkDefinition, public stub::VNetworkDefinition, Counted {
public:
    Network(Voice voice, IBuilder& builder, NetworkDefinitionCreationFlags flags);
    ~Network() noexcept override { voice.record_to(nullptr); }

    void load(std::string bytes, std::string folder); // throws what is wrong with the model

    void markOutput(ITensor& tensor) noexcept override;
    void unmarkOutput(ITensor& tensor) noexcept override;
    bool markDebug(ITensor& tensor) noexcept override;
    bool unmarkDebug(ITensor& tensor) noexcept override;
    bool isDebugTensor(ITensor const& tensor) const noexcept override;
    bool markUnfusedTensorsAsDebugTensors() noexcept override { return unfused = true; }
    bool unmarkUnfusedTensorsAsDebugTensors() noexcept override { return !(unfused = false); }
    int32_t getNbLayers() const noexcept override { return static_cast<int32_t>(layers.size()); }
    ILayer* getLayer(int32_t index) const noexcept override;
    int32_t getNbInputs() const noexcept override { return static_cast<int32_t>(inputs.size()); }
    ITensor* getInput(int32_t index) const noexcept override;
    int32_t getNbOutputs() const noexcept override { return static_cast<int32_t>(outputs.size()); }
    ITensor* getOutput(int32_t index) const noexcept override;
    void setName(char const* name) noexcept override { name_ = name; }
    char const* getName() const noexcept override { return name_.c_str(); }
    bool hasImplicitBatchDimension() const noexcept override { return NV_TENSORRT_MAJOR == 8 && !(flags_ & 1U); }
    void setErrorRecorder(IErrorRecorder* recorder) noexcept override { voice.record_to(recorder); }
    IErrorRecorder* getErrorRecorder() const noexcept override { return voice.recorder; }
    IBuilder& getBuilder() const noexcept override { return builder_; }
    NetworkDefinitionCreationFlags getFlags() const noexcept override { return flags_; }
    bool getFlag(NetworkDefinitionCreationFlag flag) const noexcept override;

    bool strongly_typed() const;
    Tensor* find(std::string const& name) const;

    Voice voice;
    std::unique_ptr<Model> model;
    std::vector<std::unique_ptr<Layer>> layers; // the first model->nodes.size() are the nodes of the main graph
    std::vector<Tensor*> inputs, outputs;
    std::set<std::string> own_outputs; // of the model itself
    bool unfused = false;
    std::map<std::string, std::unique_ptr<Tensor>> tensors;

private:
    Tensor* tensor(std::string const& name, int type, std::vector<int64_t> const& dims);
    void add_layer(Node const& node, bool in_body);

    IBuilder& builder_;
    NetworkDefinitionCreationFlags flags_;
    std::string name_ = "Unnamed Network 0";
    std::set<std::string> layer_names_;
    int suffix_ = 0;
};

} // namespace trtdouble
