// An ONNX model as nodes and names; weights stay bytes. What to do with it is elsewhere.
#pragma once
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace trtdouble {

struct Node {
    std::string name; // as in the file, or `node_of_<output 0>`
    std::string op;
    std::string domain;
    std::vector<std::string> inputs;
    std::vector<std::string> outputs;
    std::vector<Node> body; // nodes of If and Loop bodies, flattened
    std::string_view whole; // the NodeProto
};

struct Value {
    std::string name;
    int type = 0; // an ONNX element type; 0: not said
    std::vector<int64_t> dims; // -1: dynamic
    bool known = false; // has a shape at all
};

// The bytes and the folder of the model stay as they are: views point into `bytes`.
struct Model {
    std::string bytes;
    std::string folder; // where external data lies; empty: none given
    std::vector<Node> nodes;
    std::vector<Value> inputs; // initializers left out
    std::vector<Value> outputs;
    std::set<std::string> initializers;
    std::vector<std::pair<std::string, std::string>> external; // tensor, file

    Model(std::string bytes, std::string folder); // throws on corrupt bytes
    Model(Model const&) = delete;

    // tensor -> index of its node; only of the main graph
    std::map<std::string, size_t> producers() const;
    std::map<std::string, std::vector<size_t>> consumers() const; // bodies read for their node
};

// `model` with `nodes` (NodeProto fields, ready) for its own, and more outputs, named only.
std::string assemble(Model const& model, std::string const& nodes, std::vector<std::string> const& more_outputs);

// A NodeProto with other inputs and outputs, as a field of its graph.
std::string renamed(Node const& node, std::vector<std::string> const& inputs, std::vector<std::string> const& outputs);

// Output bound to the domain of our own operator (see ort.cpp).
constexpr char kDomain[] = "trtdouble";

} // namespace trtdouble
