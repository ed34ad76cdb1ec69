// Reading and putting together again ONNX files. Field numbers are those of onnx.proto.
#include "model.hpp"
#include "wire.hpp"

namespace trtdouble {
namespace {

void read_external(Model& model, std::string_view tensor)
{
    std::string name, file;
    bool outside = false;
    Fields fields(tensor);
    for (Field f; fields.next(f);) {
        if (f.number == 8)
            name = f.bytes;
        if (f.number == 14)
            outside = f.value == 1;
        if (f.number == 13) {
            std::string key, value;
            Fields entry(f.bytes);
            for (Field e; entry.next(e);)
                (e.number == 1 ? key : value) = e.bytes;
            if (key == "location")
                file = value;
        }
    }
    if (outside)
        model.external.emplace_back(name, file);
}

std::string tensor_name(std::string_view tensor)
{
    Fields fields(tensor);
    for (Field f; fields.next(f);)
        if (f.number == 8)
            return std::string(f.bytes);
    return {};
}

Node read_node(Model& model, std::string_view bytes);

void read_body(Model& model, std::string_view graph, std::vector<Node>& into)
{
    Fields fields(graph);
    for (Field f; fields.next(f);) {
        if (f.number == 1) {
            Node node = read_node(model, f.bytes);
            std::vector<Node> inner = std::move(node.body);
            node.body.clear();
            into.push_back(std::move(node));
            into.insert(into.end(), inner.begin(), inner.end());
        }
        if (f.number == 5)
            read_external(model, f.bytes);
    }
}

Node read_node(Model& model, std::string_view bytes)
{
    Node node;
    node.whole = bytes;
    Fields fields(bytes);
    for (Field f; fields.next(f);) {
        switch (f.number) {
        case 1: node.inputs.emplace_back(f.bytes); break;
        case 2: node.outputs.emplace_back(f.bytes); break;
        case 3: node.name = f.bytes; break;
        case 4: node.op = f.bytes; break;
        case 7: node.domain = f.bytes; break;
        case 5: {
            Fields attribute(f.bytes);
            for (Field a; attribute.next(a);) {
                if (a.wire == 2 && (a.number == 6 || a.number == 11))
                    read_body(model, a.bytes, node.body);
                if (a.wire == 2 && a.number == 5)
                    read_external(model, a.bytes);
            }
            break;
        }
        default: break;
        }
    }
    if (node.name.empty())
        node.name = "node_of_" + (node.outputs.empty() ? std::string() : node.outputs[0]);
    return node;
}

Value read_value(std::string_view bytes)
{
    Value value;
    Fields fields(bytes);
    for (Field f; fields.next(f);) {
        if (f.number == 1)
            value.name = f.bytes;
        if (f.number != 2)
            continue;
        Fields type(f.bytes);
        for (Field t; type.next(t);) {
            if (t.number != 1)
                continue;
            Fields tensor(t.bytes);
            for (Field e; tensor.next(e);) {
                if (e.number == 1)
                    value.type = static_cast<int>(e.value);
                if (e.number != 2)
                    continue;
                value.known = true;
                Fields shape(e.bytes);
                for (Field d; shape.next(d);) {
                    int64_t size = -1;
                    Fields dim(d.bytes);
                    for (Field s; dim.next(s);)
                        if (s.number == 1)
                            size = static_cast<int64_t>(s.value);
                    value.dims.push_back(size);
                }
            }
        }
    }
    return value;
}

void read_graph(Model& model, std::string_view graph)
{
    Fields fields(graph);
    for (Field f; fields.next(f);) {
        switch (f.number) {
        case 1: model.nodes.push_back(read_node(model, f.bytes)); break;
        case 5:
            model.initializers.insert(tensor_name(f.bytes));
            read_external(model, f.bytes);
            break;
        case 11: model.inputs.push_back(read_value(f.bytes)); break;
        case 12: model.outputs.push_back(read_value(f.bytes)); break;
        default: break;
        }
    }
}

} // namespace

Model::Model(std::string given, std::string where) : bytes(std::move(given)), folder(std::move(where))
{
    Fields fields(bytes);
    for (Field f; fields.next(f);) {
        if (f.number == 7 && f.wire == 2)
            read_graph(*this, f.bytes);
    }
    std::vector<Value> real;
    for (Value& input : inputs)
        if (!initializers.count(input.name))
            real.push_back(std::move(input));
    inputs = std::move(real);
}

std::map<std::string, size_t> Model::producers() const
{
    std::map<std::string, size_t> found;
    for (size_t i = 0; i < nodes.size(); ++i)
        for (std::string const& output : nodes[i].outputs)
            if (!output.empty())
                found[output] = i;
    return found;
}

std::map<std::string, std::vector<size_t>> Model::consumers() const
{
    std::map<std::string, std::vector<size_t>> found;
    for (size_t i = 0; i < nodes.size(); ++i) {
        std::set<std::string> read(nodes[i].inputs.begin(), nodes[i].inputs.end());
        for (Node const& inner : nodes[i].body)
            read.insert(inner.inputs.begin(), inner.inputs.end());
        for (std::string const& name : read)
            found[name].push_back(i);
    }
    return found;
}

std::string assemble(Model const& model, std::string const& nodes, std::vector<std::string> const& more_outputs)
{
    std::string rest, graph;
    Fields fields(model.bytes);
    for (Field f; fields.next(f);) {
        if (f.number != 7 || f.wire != 2) {
            rest.append(f.whole);
            continue;
        }
        Fields inner(f.bytes);
        for (Field g; inner.next(g);)
            if (g.number != 1)
                graph.append(g.whole);
    }
    graph.append(nodes);
    for (std::string const& name : more_outputs) {
        std::string value;
        put(value, 1, name);
        put(graph, 12, value);
    }
    std::string domain;
    put(domain, 1, std::string_view(kDomain));
    put(domain, 2, uint64_t{1});
    put(rest, 8, domain);
    put(rest, 7, graph);
    return rest;
}

std::string renamed(Node const& node, std::vector<std::string> const& inputs, std::vector<std::string> const& outputs)
{
    std::string proto, field;
    for (std::string const& name : inputs)
        put(proto, 1, name);
    for (std::string const& name : outputs)
        put(proto, 2, name);
    Fields fields(node.whole);
    for (Field f; fields.next(f);)
        if (f.number != 1 && f.number != 2)
            proto.append(f.whole);
    put(field, 1, proto);
    return field;
}

} // namespace trtdouble
