// libnvonnxparser: reads a file, says everything that is wrong with it, and fills a network of the double.
#include "NvOnnxParser.h"
#include "double.hpp"
#include "model.hpp"

#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <sys/stat.h>

// Of libnvinfer; see network.cpp.
extern "C" char const* trtdouble_load(
    nvinfer1::INetworkDefinition* network, char const* bytes, size_t size, char const* folder) noexcept;

namespace trtdouble {

using namespace nvinfer1;
using nvonnxparser::ErrorCode;

char const* const kLibrary = "libnvonnxparser";

class ParserError final : public nvonnxparser::IParserError {
public:
    ParserError(ErrorCode code, std::string desc, int node, std::string name, std::string op)
        : code_(code), desc_(std::move(desc)), node_(node), name_(std::move(name)), op_(std::move(op))
    {
    }
    ErrorCode code() const override { return code_; }
    char const* desc() const override { return desc_.c_str(); }
    char const* file() const override { return "ModelImporter.cpp"; }
    int line() const override { return 42; }
    char const* func() const override { return "parseNode"; }
    int node() const override { return node_; }
    char const* nodeName() const override { return name_.c_str(); }
    char const* nodeOperator() const override { return op_.c_str(); }
    char const* const* localFunctionStack() const override { return nullptr; }
    int32_t localFunctionStackSize() const override { return 0; }

private:
    ErrorCode code_;
    std::string desc_;
    int node_;
    std::string name_, op_;
};

class Parser final : public nvonnxparser::IParser, Counted {
public:
    Parser(INetworkDefinition* network, ILogger* logger) : network_(network), voice_{logger, nullptr} {}

    bool parse(void const* model, size_t size, char const* path) noexcept override;
    bool parseFromFile(char const* file, int) noexcept override;
    bool supportsOperator(char const* op) const noexcept override { return !Faults().hits("unsupported", op); }
    int getNbErrors() const noexcept override { return static_cast<int>(errors_.size()); }
    nvonnxparser::IParserError const* getError(int index) const noexcept override;
    void clearErrors() noexcept override { errors_.clear(); }
    char const* const* getUsedVCPluginLibraries(int64_t& count) const noexcept override { return count = 0, nullptr; }
    void setFlags(nvonnxparser::OnnxParserFlags flags) noexcept override { flags_ = flags; }
    nvonnxparser::OnnxParserFlags getFlags() const noexcept override { return flags_; }
    void clearFlag(nvonnxparser::OnnxParserFlag flag) noexcept override { flags_ &= ~(1u << static_cast<int>(flag)); }
    void setFlag(nvonnxparser::OnnxParserFlag flag) noexcept override { flags_ |= 1u << static_cast<int>(flag); }
    bool getFlag(nvonnxparser::OnnxParserFlag flag) const noexcept override { return flags_ >> static_cast<int>(flag) & 1; }
    ITensor const* getLayerOutputTensor(char const* name, int64_t index) noexcept override;
    bool supportsModelV2(void const*, size_t, char const*) noexcept override { unused("IParser::supportsModelV2"); }
    int64_t getNbSubgraphs() noexcept override { unused("IParser::getNbSubgraphs"); }
    bool isSubgraphSupported(int64_t) noexcept override { unused("IParser::isSubgraphSupported"); }
    int64_t* getSubgraphNodes(int64_t, int64_t&) noexcept override { unused("IParser::getSubgraphNodes"); }
    bool loadModelProto(void const*, size_t, char const*) noexcept override { unused("IParser::loadModelProto"); }
    bool loadInitializer(char const*, void const*, size_t) noexcept override { unused("IParser::loadInitializer"); }
    bool parseModelProto() noexcept override { unused("IParser::parseModelProto"); }
    bool setBuilderConfig(IBuilderConfig const*) noexcept override { return true; }
#if NV_TENSORRT_MAJOR >= 11
    void setRefitObserver(nvonnxparser::IRefitterObserver*) noexcept override { unused("IParser::setRefitObserver"); }
#else
    bool supportsModel(void const*, size_t, SubGraphCollection_t&, char const*) noexcept override { unused("IParser::supportsModel"); }
    bool parseWithWeightDescriptors(void const*, size_t) noexcept override { unused("IParser::parseWithWeightDescriptors"); }
#endif

private:
    bool fail(ErrorCode code, std::string const& desc, int node = -1, std::string name = "", std::string op = "");
    void check(std::vector<Node> const& nodes);

    INetworkDefinition* network_;
    Voice voice_;
    nvonnxparser::OnnxParserFlags flags_ = 1; // kNATIVE_INSTANCENORM
    std::vector<std::unique_ptr<ParserError>> errors_;
    std::map<std::string, ITensor*> first_outputs_;
};

bool Parser::fail(ErrorCode code, std::string const& desc, int node, std::string name, std::string op)
{
    voice_.say(ILogger::Severity::kERROR, "ModelImporter.cpp:42: " + desc);
    errors_.push_back(std::make_unique<ParserError>(code, desc, node, std::move(name), std::move(op)));
    return false;
}

void Parser::check(std::vector<Node> const& nodes)
{
    Faults const faults;
    for (size_t i = 0; i < nodes.size(); ++i) {
        Node const& node = nodes[i];
        bool const sequence = node.op.find("Sequence") != std::string::npos || node.op.rfind("Optional", 0) == 0;
        if (faults.hits("unsupported", node.op) || sequence)
            fail(ErrorCode::kUNSUPPORTED_NODE, "No importer registered for op: " + node.op + ".", static_cast<int>(i),
                node.name, node.op);
    }
}

bool Parser::parse(void const* data, size_t size, char const* path) noexcept
{
    std::string const file = path ? path : "";
    size_t const slash = file.rfind('/');
    std::string const folder = file.empty() ? "" : slash == std::string::npos ? "." : file.substr(0, slash + 1);
    try {
        Model const model(std::string(static_cast<char const*>(data), size), folder);
        if (network_->hasImplicitBatchDimension())
            fail(ErrorCode::kINVALID_VALUE, "This version of the ONNX parser only supports networks with an explicit batch");
        check(model.nodes);
        for (auto const& [tensor, location] : model.external) {
            std::string const where = folder.empty() ? location : folder + "/" + location;
            struct stat found;
            if (folder.empty() || stat(where.c_str(), &found) != 0)
                fail(ErrorCode::kMODEL_DESERIALIZE_FAILED, "Failed to open file: " + where + " (weights of " + tensor + ")");
        }
        for (Value const& input : model.inputs) {
            DataType type;
            if (!tensorrt_type(input.type, type))
                fail(ErrorCode::kUNSUPPORTED_NODE_DATATYPE, "Input " + input.name + " has a type that is not supported.");
        }
        if (!errors_.empty())
            return false;
        if (char const* wrong = trtdouble_load(network_, model.bytes.data(), model.bytes.size(), folder.c_str()))
            return fail(ErrorCode::kINVALID_GRAPH, wrong);
        for (size_t i = 0; i < model.nodes.size(); ++i)
            if (ITensor* output = network_->getLayer(static_cast<int32_t>(i))->getOutput(0))
                first_outputs_.emplace(model.nodes[i].name, output);
        return true;
    } catch (std::exception const& e) {
        return fail(ErrorCode::kMODEL_DESERIALIZE_FAILED, std::string("Failed to parse the ONNX model: ") + e.what());
    }
}

bool Parser::parseFromFile(char const* file, int) noexcept
{
    std::ifstream in(file, std::ios::binary);
    if (!in)
        return fail(ErrorCode::kMODEL_DESERIALIZE_FAILED, std::string("Could not open file ") + file);
    std::string const bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    return parse(bytes.data(), bytes.size(), file);
}

nvonnxparser::IParserError const* Parser::getError(int index) const noexcept
{
    return index >= 0 && index < getNbErrors() ? errors_[static_cast<size_t>(index)].get() : nullptr;
}

// Of nodes with one name, the first; TensorRT does no better.
ITensor const* Parser::getLayerOutputTensor(char const* name, int64_t index) noexcept
{
    auto const found = first_outputs_.find(name);
    return found != first_outputs_.end() && index == 0 ? found->second : nullptr;
}

} // namespace trtdouble

extern "C" TENSORRTAPI void* createNvOnnxParser_INTERNAL(void* network, void* logger, int) noexcept
{
    return static_cast<nvonnxparser::IParser*>(new trtdouble::Parser(
        static_cast<nvinfer1::INetworkDefinition*>(network), static_cast<nvinfer1::ILogger*>(logger)));
}

extern "C" TENSORRTAPI int getNvOnnxParserVersion() noexcept { return NV_ONNX_PARSER_VERSION; }
