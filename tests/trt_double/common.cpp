// What all objects share: messages, types, JSON text, the fault list.
#include "double.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fnmatch.h>

namespace trtdouble {

using namespace nvinfer1;

namespace {

std::atomic<long> objects{0};

// Written when the library goes, which is the end of the process at the latest.
struct Farewell {
    ~Farewell()
    {
        char const* file = std::getenv("LAYERDIFF_DOUBLE_LEAKS");
        if (!file)
            return;
        if (FILE* out = std::fopen((std::string(file) + ".objects").c_str(), "a")) {
            std::fprintf(out, "%ld objects of %s not deleted\n", objects.load(), kLibrary);
            std::fclose(out);
        }
    }
} farewell;

} // namespace

void unused(char const* method) noexcept
{
    std::fprintf(stderr, "trt_double: %s was called: the double of TensorRT %d has no such method\n", method,
        NV_TENSORRT_MAJOR);
    std::abort();
}

void Voice::say(ILogger::Severity severity, std::string const& text) const noexcept
{
    if (logger)
        logger->log(severity, text.c_str());
}

void Voice::error(ErrorCode code, std::string const& text) const noexcept
{
    if (!Faults().has("unlogged"))
        say(ILogger::Severity::kERROR, "Error Code " + std::to_string(static_cast<int>(code)) + ": " + text);
    if (recorder)
        recorder->reportError(code, text.c_str());
}

void Voice::record_to(IErrorRecorder* next) noexcept
{
    if (next)
        next->incRefCount();
    if (recorder)
        recorder->decRefCount();
    recorder = next;
}

Counted::Counted() noexcept { ++objects; }
Counted::~Counted() noexcept { --objects; }

bool tensorrt_type(int onnx, DataType& type) noexcept
{
    switch (onnx) {
#if NV_TENSORRT_MAJOR == 8
    case 7: type = DataType::kINT32; return true; // as the parser: 64-bit integers are cast
    case kOnnxBf16: case 17: case 22: return false;
#endif
    case kOnnxFloat: case kOnnxDouble: type = DataType::kFLOAT; return true; // as the parser: double is cast
    case 2: type = DataType::kUINT8; return true;
    case 3: type = DataType::kINT8; return true;
    case 6: type = DataType::kINT32; return true;
    case kOnnxBool: type = DataType::kBOOL; return true;
    case kOnnxHalf: type = DataType::kHALF; return true;
#if NV_TENSORRT_MAJOR != 8
    case 7: type = DataType::kINT64; return true;
    case kOnnxBf16: type = DataType::kBF16; return true;
    case 17: type = DataType::kFP8; return true;
    case 22: type = DataType::kINT4; return true;
#endif
    default: return false;
    }
}

Dims dims_of(std::vector<int64_t> const& dims) noexcept
{
    Dims out{};
    out.nbDims = dims.size() > static_cast<size_t>(Dims::MAX_DIMS) ? -1 : static_cast<int32_t>(dims.size());
    for (int32_t i = 0; i < out.nbDims; ++i)
        out.d[i] = dims[static_cast<size_t>(i)];
    return out;
}

std::vector<int64_t> vector_of(Dims const& dims)
{
    return dims.nbDims < 0 ? std::vector<int64_t>{} : std::vector<int64_t>(dims.d, dims.d + dims.nbDims);
}

std::string text_of(std::vector<int64_t> const& dims)
{
    std::string text;
    for (int64_t d : dims)
        text += (text.empty() ? "" : "x") + std::to_string(d);
    return text.empty() ? "scalar" : text;
}

std::string quoted(std::string const& text)
{
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\')
            out += '\\';
        if (static_cast<unsigned char>(c) < 0x20) {
            char buffer[8];
            std::snprintf(buffer, sizeof buffer, "\\u%04x", c);
            out += buffer;
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string quoted(std::vector<std::string> const& texts)
{
    std::string out;
    for (std::string const& text : texts)
        out += (out.empty() ? "" : ", ") + quoted(text);
    return "[" + out + "]";
}

Faults::Faults()
{
    char const* given = std::getenv("LAYERDIFF_DOUBLE_FAULT");
    std::string const text = given ? given : "";
    for (size_t at = 0; at < text.size();) {
        size_t const end = std::min(text.find(';', at), text.size());
        std::string const fault = text.substr(at, end - at);
        size_t const equals = fault.find('=');
        if (!fault.empty())
            found_.emplace(fault.substr(0, equals), equals == std::string::npos ? "" : fault.substr(equals + 1));
        at = end + 1;
    }
}

std::vector<std::string> Faults::values(std::string const& kind) const
{
    std::vector<std::string> out;
    for (auto [at, end] = found_.equal_range(kind); at != end; ++at)
        out.push_back(at->second);
    return out;
}

bool Faults::hits(std::string const& kind, std::string const& name) const
{
    for (std::string const& pattern : values(kind))
        if (matches(pattern, name))
            return true;
    return false;
}

bool Faults::matches(std::string const& pattern, std::string const& name)
{
    if (pattern.find('*') == std::string::npos)
        return pattern == name;
    return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

} // namespace trtdouble
