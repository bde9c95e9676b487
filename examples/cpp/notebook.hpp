// What a controller must find again after it was killed: a file of JSON lines, each on the disk before anything rests on it.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "wire.hpp"

namespace leuko {

struct Run {
    std::string run_id;
    std::vector<Json> commands;                // in the order of their sending
    std::map<std::string, std::string> ended;  // cmd_id -> "" when it was ACCEPTED, else the code of its REJECTED
    std::vector<Json> records;                 // records[seq] has that seq

    bool is_over() const { return !records.empty() && records.back().at("type") == "run_stop"; }
    bool has(const std::string &type) const {
        for (const auto &command : commands)
            if (command.at("type") == type && !is_refused(command)) return true;
        return false;
    }
    bool is_answered(const Json &command) const { return ended.count(command.at("cmd_id")) != 0; }
    bool is_refused(const Json &command) const {
        const auto found = ended.find(command.at("cmd_id"));
        return found != ended.end() && !found->second.empty();
    }
    std::vector<Json> announced() const {
        std::vector<Json> found;
        for (const auto &command : commands)
            if (command.at("type") == "TRIGGER" && !is_refused(command)) found.push_back(command);
        return found;
    }
};

class Notebook {
   public:
    explicit Notebook(const std::string &path) : path_(path), file_(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND, 0644)) {
        if (file_ < 0) fail("cannot be opened");
        if (::flock(file_, LOCK_EX | LOCK_NB) != 0) throw Failure(NO_STORAGE, "another process writes to " + path);
        std::ifstream before(path);
        off_t whole = 0;
        for (std::string line; std::getline(before, line) && !before.eof(); whole += static_cast<off_t>(line.size()) + 1) try {
                take(Json::parse(line));
            } catch (const std::exception &) {
                throw Failure(NO_STORAGE, path + " is no notebook of this program; give another file");
            }
        if (::ftruncate(file_, whole) != 0) fail("cannot be cut");  // a last line that a kill has left unfinished
    }
    ~Notebook() { ::close(file_); }
    Notebook(const Notebook &) = delete;
    Notebook &operator=(const Notebook &) = delete;

    // All of them are on the disk when this returns.
    void write(const std::vector<Json> &lines) {
        std::string text;
        for (const auto &line : lines) text += line.dump() + "\n";
        for (std::size_t at = 0; at < text.size();) {
            const auto n = ::write(file_, text.data() + at, text.size() - at);
            if (n < 0 && errno != EINTR) fail("cannot be written");
            at += n > 0 ? static_cast<std::size_t>(n) : 0;
        }
        if (::fdatasync(file_) != 0) fail("cannot be synchronised");
        for (const auto &line : lines) take(line);
    }

    std::vector<Run> runs;
    std::int64_t attempts = 0;  // HELLOs of this controller, so that a late one is told from a new one

   private:
    void take(const Json &line) {
        if (line.contains("attempt")) {
            attempts = line.at("attempt");
        } else if (line.contains("run")) {
            runs.emplace_back();
            runs.back().run_id = line.at("run");
        } else if (line.contains("send")) {
            runs.at(runs.size() - 1).commands.push_back(line.at("send"));
        } else if (line.contains("answered")) {
            runs.at(runs.size() - 1).ended[line.at("answered")] = line.at("code");
        } else {
            runs.at(runs.size() - 1).records.push_back(line.at("record"));
        }
    }

    [[noreturn]] void fail(const char *what) const {
        throw Failure(NO_STORAGE, path_ + " " + what + ": " + std::strerror(errno));
    }

    std::string path_;
    int file_;
};

}  // namespace leuko
