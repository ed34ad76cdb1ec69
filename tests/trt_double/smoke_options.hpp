// The command line of smoke.cpp.
#pragma once
#include "NvInfer.h"

#include <cstdlib>
#include <map>
#include <sstream>
#include <string>

using nvinfer1::Dims;

inline Dims dims_of(std::string const& text)
{
    Dims dims{};
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, 'x');)
        dims.d[dims.nbDims++] = std::atoll(part.c_str());
    return dims;
}

struct Shape {
    Dims min, opt, max, run;
};

struct Options {
    std::string model, route, save, load;
    std::multimap<std::string, std::string> lists;
    std::map<std::string, Shape> shapes;
    int runs = 1, stop_after = -1;
    bool has(char const* name) const { return lists.count(name) > 0; }
    bool holds(char const* name, std::string const& value) const
    {
        for (auto [at, end] = lists.equal_range(name); at != end; ++at)
            if (at->second == value)
                return true;
        return false;
    }
};

inline Options read_options(int count, char** words)
{
    Options options;
    options.model = words[1];
    for (int i = 2; i < count; ++i) {
        std::string const word = words[i];
        if (word == "--fp16" || word == "--obey" || word == "--noTF32" || word == "--unfused" || word == "--layers"
            || word == "--routes" || word == "--profile") {
            options.lists.emplace(word, "");
            continue;
        }
        std::string const value = ++i < count ? words[i] : "";
        if (word == "--route")
            options.route = value;
        else if (word == "--save")
            options.save = value;
        else if (word == "--load")
            options.load = value;
        else if (word == "--runs")
            options.runs = std::atoi(value.c_str());
        else if (word == "--stop-after")
            options.stop_after = std::atoi(value.c_str());
        else if (word == "--shape") {
            size_t const equals = value.find('=');
            std::istringstream parts(value.substr(equals + 1));
            std::string min, opt, max, run;
            std::getline(std::getline(std::getline(std::getline(parts, min, ':'), opt, ':'), max, ':'), run, ':');
            options.shapes[value.substr(0, equals)] = {dims_of(min), dims_of(opt), dims_of(max), dims_of(run)};
        } else
            options.lists.emplace(word, value);
    }
    return options;
}
