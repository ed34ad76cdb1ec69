// The protobuf wire format, as far as ONNX needs it. No message types here: model.hpp has those.
#pragma once
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

namespace trtdouble {

// One field of a message: its number, a number or bytes, and all of it as it was written.
struct Field {
    uint32_t number = 0;
    uint32_t wire = 0;
    uint64_t value = 0;
    std::string_view bytes;
    std::string_view whole;
};

// Walks the fields of one message; throws when the bytes are no message.
class Fields {
public:
    explicit Fields(std::string_view message) : rest_(message) {}

    bool next(Field& field)
    {
        if (rest_.empty())
            return false;
        std::string_view const start = rest_;
        uint64_t const tag = varint();
        field.number = static_cast<uint32_t>(tag >> 3);
        field.wire = static_cast<uint32_t>(tag & 7);
        field.bytes = {};
        switch (field.wire) {
        case 0: field.value = varint(); break;
        case 1: field.bytes = take(8); break;
        case 2: field.bytes = take(varint()); break;
        case 5: field.bytes = take(4); break;
        default: throw std::runtime_error("not a protobuf message");
        }
        if (field.number == 0)
            throw std::runtime_error("not a protobuf message");
        field.whole = start.substr(0, start.size() - rest_.size());
        return true;
    }

private:
    uint64_t varint()
    {
        uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            auto const byte = static_cast<unsigned char>(take(1)[0]);
            value |= static_cast<uint64_t>(byte & 0x7f) << shift;
            if (!(byte & 0x80))
                return value;
        }
        throw std::runtime_error("not a protobuf message");
    }

    std::string_view take(uint64_t size)
    {
        if (size > rest_.size())
            throw std::runtime_error("the protobuf message is cut short");
        std::string_view const taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }

    std::string_view rest_;
};

inline void put_varint(std::string& to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        to.push_back(static_cast<char>(value | 0x80));
    to.push_back(static_cast<char>(value));
}

inline void put(std::string& to, uint32_t number, uint64_t value)
{
    put_varint(to, number << 3);
    put_varint(to, value);
}

inline void put(std::string& to, uint32_t number, std::string_view bytes)
{
    put_varint(to, number << 3 | 2);
    put_varint(to, bytes.size());
    to.append(bytes);
}

} // namespace trtdouble
