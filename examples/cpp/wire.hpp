// One session of a controller with a leukostream edge (docs/protocol.md, version 1), on libzmq and nlohmann-json.
//
// Header only, C++17, one thread. A Session is opened by HELLO over a DEALER of its own and lasts until something throws:
// Lost (look for the edge again), Refused (the edge said REJECT; `code` says what to do), Failure (nothing to be done).
#pragma once

#include <zmq.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace leuko {

using Json = nlohmann::ordered_json;  // ordered, because `type` is the first key of every message
using Clock = std::chrono::steady_clock;
using Millis = std::chrono::milliseconds;

enum ExitCode { DONE = 0, RUN_FAILED = 1, BAD_ARGUMENT = 2, NO_CONNECTION = 6, NO_STORAGE = 8, EDGE_DEFECT = 9 };

struct Failure : std::runtime_error {
    Failure(ExitCode exit_code, const std::string &what) : std::runtime_error(what), exit_code(exit_code) {}
    ExitCode exit_code;
};

struct Lost : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Refused : std::runtime_error {
    Refused(std::string code, const std::string &reason) : std::runtime_error(reason), code(std::move(code)) {}
    std::string code;
};

struct Options {
    std::string endpoint, client_id = "cpp-scanner", key_file, edge_key_file, encoding = "msgpack";
    std::int64_t window = 64;                           // records the edge may send beyond the last one on disk
    Millis ping_every{1000}, dead_after{5000};          // nothing heard for so long: the edge is gone
    Millis answer{2000}, retry{1000}, search{10000};    // for WELCOME; for a command; for an edge that is gone
};

// A UUID of version 4.
inline std::string new_uuid() {
    static std::random_device device;
    unsigned char bytes[16];
    for (auto &byte : bytes) byte = static_cast<unsigned char>(device());
    bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
    bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
    std::string text;
    for (int at = 0; at < 16; at++) {
        char two[3];
        std::snprintf(two, sizeof two, "%02x", bytes[at]);
        text += (at == 4 || at == 6 || at == 8 || at == 10) ? std::string("-") + two : std::string(two);
    }
    return text;
}

// Monotonic nanoseconds as the wire has 64-bit integers: a decimal string.
inline std::string now_ns() {
    return std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count());
}

// The 40 characters behind `name = "` in a file that `leuko-edge keys new` wrote.
inline std::string key_from(const std::string &path, const std::string &name) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        const auto at = line.find(name + " = \"");
        if (line.rfind('#', 0) == 0 || at == std::string::npos) continue;
        const auto key = line.substr(at + name.size() + 4, 40);
        if (key.size() == 40 && key.find('"') == std::string::npos) return key;
    }
    throw Failure(BAD_ARGUMENT, path + " holds no " + name + "; give a file that `leuko-edge keys new` wrote");
}

class Context {
   public:
    Context() : context_(zmq_ctx_new()) {}
    ~Context() { zmq_ctx_term(context_); }  // waits for the linger of the last socket
    Context(const Context &) = delete;
    Context &operator=(const Context &) = delete;
    void *get() const { return context_; }

   private:
    void *context_;
};

class Session {
   public:
    // Opens: HELLO, then WELCOME, which is kept. Throws Lost when nobody answers and Refused for a REJECT.
    Session(const Context &context, const Options &options, const Json &hello)
        : options_(options), socket_(zmq_socket(context.get(), ZMQ_DEALER), zmq_close) {
        set(ZMQ_LINGER, 0);  // nothing of a session that was given up arrives behind the next one's HELLO
        set(ZMQ_IPV6, options.endpoint.rfind("tcp://[", 0) == 0);
        if (!options.key_file.empty()) {
            set(ZMQ_CURVE_SERVERKEY, key_from(options.edge_key_file, "public-key"));
            set(ZMQ_CURVE_PUBLICKEY, key_from(options.key_file, "public-key"));
            set(ZMQ_CURVE_SECRETKEY, key_from(options.key_file, "secret-key"));
        }
        if (zmq_connect(socket_.get(), options.endpoint.c_str()) != 0)
            throw Failure(BAD_ARGUMENT, options.endpoint + " is no address: " + zmq_strerror(zmq_errno()));
        send(hello);
        const auto until = Clock::now() + options.answer;
        while (welcome.is_null()) {
            if (Clock::now() > until) throw Lost("no edge answered at " + options.endpoint);
            if (auto message = receive(Millis(50)); message && message->at("type") == "WELCOME") welcome = *message;
        }
        packed_ = welcome.at("encoding") == "msgpack";
    }

    // In the encoding that WELCOME named; HELLO is always JSON. What the queue has no room for is lost as on a cable.
    void send(const Json &message) {
        std::vector<std::uint8_t> bytes;
        if (packed_) {
            bytes = Json::to_msgpack(message);
        } else {
            const std::string text = message.dump();
            bytes.assign(text.begin(), text.end());
        }
        zmq_send(socket_.get(), bytes.data(), bytes.size(), ZMQ_DONTWAIT);
    }

    // The next message that is no heartbeat, or nothing in that time. Throws Lost after too long a silence, Refused for a REJECT.
    std::optional<Json> receive(Millis wait) {
        beat();
        zmq_pollitem_t item{socket_.get(), 0, ZMQ_POLLIN, 0};
        if (zmq_poll(&item, 1, static_cast<long>(wait.count())) <= 0) return std::nullopt;
        zmq_msg_t part;
        zmq_msg_init(&part);
        const int size = zmq_msg_recv(&part, socket_.get(), ZMQ_DONTWAIT);
        if (size < 0) return zmq_msg_close(&part), std::nullopt;
        const auto *data = static_cast<const std::uint8_t *>(zmq_msg_data(&part));
        heard_ = Clock::now();
        Json message = size > 0 && data[0] == '{' ? Json::parse(data, data + size) : Json::from_msgpack(data, data + size);
        zmq_msg_close(&part);
        const std::string type = message.at("type");
        if (type == "PING") {
            send({{"type", "PONG"}, {"nonce", message.at("nonce")}, {"t_ns", now_ns()}});
            return std::nullopt;
        }
        if (type == "REJECT") throw Refused(message.at("code"), message.at("reason"));
        return message;
    }

    void ping() {
        send({{"type", "PING"}, {"nonce", std::to_string(++nonce_)}, {"t_ns", now_ns()}});
        pinged_ = Clock::now();
    }

    // This session is the program's last: what was sent still leaves, and a dead edge does not keep us.
    void linger() { set(ZMQ_LINGER, 500); }

    Json welcome;

   private:
    void beat() {
        const auto now = Clock::now();
        if (now - heard_ > options_.dead_after) throw Lost("nothing was heard from the edge");
        if (!welcome.is_null() && now - pinged_ > options_.ping_every) ping();
    }

    void set(int option, int value) { zmq_setsockopt(socket_.get(), option, &value, sizeof value); }
    void set(int option, const std::string &key) {
        if (zmq_setsockopt(socket_.get(), option, key.c_str(), key.size() + 1) != 0)  // 40 characters and a NUL
            throw Failure(BAD_ARGUMENT, "a key file holds no CURVE key");
    }

    const Options &options_;
    std::unique_ptr<void, int (*)(void *)> socket_;
    bool packed_ = false;
    std::int64_t nonce_ = 0;
    Clock::time_point heard_ = Clock::now(), pinged_{};
};

}  // namespace leuko
