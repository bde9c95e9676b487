// A slide scanner's controller in C++: it may be killed at any moment, and so may the edge.
//
// It announces fields along a serpentine of stage positions, as many at once as there is credit for, says when each pulse is due,
// and keeps every record. Started again with the same notebook it goes on; a run that the edge could not finish is continued in
// a new one. `scanner` alone prints how it is called.
#include <csignal>
#include <iostream>
#include <thread>

#include "notebook.hpp"
#include "wire.hpp"

namespace {

using namespace leuko;

volatile std::sig_atomic_t stop_asked = 0;

struct Plan {
    std::int64_t fields = 100, columns = 10;
    std::int64_t step_x_nm = 95'160, step_y_nm = 74'620;  // a field of 732 x 574 pixels at 0.13 um
    std::string slide = "slide-1";
};

class Scanner {
   public:
    Scanner(Options options, Plan plan, const std::string &notebook)
        : options_(std::move(options)), plan_(std::move(plan)), notebook_(notebook) {}

    ExitCode scan() {
        while (begin_run()) {
            searched_ = Clock::now();
            credit_ = 0;  // of a run the greatest one seen holds
            ended_ = {};
            for (over_ = false; !over_;) try {
                    perform(open());
                } catch (const Lost &problem) {
                    if (run().is_over()) break;  // all of it is on the disk, and its edge has ended
                    if (Clock::now() - searched_ > options_.search) throw Failure(NO_CONNECTION, problem.what());
                } catch (const Refused &problem) {
                    after(problem);
                }
        }
        return summary();
    }

   private:
    Run &run() { return notebook_.runs.back(); }

    // A run to work on: the one of the notebook, a first one, or one for the fields that the edge could not finish.
    bool begin_run() {
        if (!notebook_.runs.empty() && !run().is_over()) return true;
        if (!notebook_.runs.empty() && (stop_asked || run().records.back().at("outcome") != "interrupted" || left().empty()))
            return false;
        notebook_.write({{{"run", new_uuid()}}});
        return true;
    }

    // A DEALER of its own for each session: an old one may still hold what was meant for the old session.
    Session open() {
        notebook_.write({{{"attempt", notebook_.attempts + 1}}});
        Json hello = {{"type", "HELLO"},
                      {"proto", 1},
                      {"encodings", Json::array({options_.encoding, "json"})},
                      {"role", "controller"},
                      {"client_id", options_.client_id},
                      {"attempt", std::to_string(notebook_.attempts)}};
        if (run().has("RUN_START") && !anew_) {
            hello["resume"] = {{"run_id", run().run_id}, {"next_seq", run().records.size()}};
            if (!run().records.empty()) hello["resume"]["boot_id"] = run().records.back().value("boot_id", Json());
        }
        Session session(context_, options_, hello);
        searched_ = Clock::now();
        sent_.clear();
        for (const auto &known : session.welcome.at("runs"))
            if (known.at("run_id") == run().run_id) grow(known.at("trigger_until"));
        if (hello.contains("resume")) {  // an edge that holds the run has accepted it, whether its answer came or not
            for (const auto &command : run().commands)
                if (command.at("type") == "RUN_START" && !run().is_answered(command)) answered(command, "");
            acknowledge(session);
        }
        anew_ = false;
        return session;
    }

    void perform(Session session) {
        Clock::time_point acknowledged{};
        while (!over_) {
            std::vector<Json> lines;
            const auto due = static_cast<std::int64_t>(run().records.size());
            auto message = session.receive(Millis(20));
            for (; message; message = session.receive(Millis(0))) take(*message, lines, due);
            if (!lines.empty()) {
                notebook_.write(lines);  // on the disk, only then acknowledged
                for (const auto &line : lines) print(line.at("record"));
            }
            const auto now = Clock::now();
            if (!lines.empty() || (started() && now - acknowledged > options_.retry)) {
                acknowledge(session);
                acknowledged = now;
            }
            if (run().is_over()) {
                confirm(session);
            } else {
                command(session);
            }
        }
    }

    void acknowledge(Session &session) {
        const auto upto = static_cast<std::int64_t>(run().records.size()) - 1;
        const auto until = upto + 1 + options_.window;
        session.send({{"type", "ACK"}, {"run_id", run().run_id}, {"upto_seq", upto}, {"send_until_seq", until}});
    }

    void take(const Json &message, std::vector<Json> &lines, std::int64_t due) {
        const std::string type = message.at("type");
        if (message.contains("seq")) {
            due += static_cast<std::int64_t>(lines.size());
            if (message.at("run_id") != run().run_id || message.at("seq") < due) return;  // it came before
            if (message.at("seq") != due) throw Failure(EDGE_DEFECT, "record " + std::to_string(due) + " was left out by the edge");
            lines.push_back({{"record", message}});
        } else if (type == "CREDIT" && message.at("run_id") == run().run_id) {
            grow(message.at("trigger_until"));
        } else if (type == "ACCEPTED" || type == "REJECTED") {
            for (const auto &command : run().commands)
                if (command.at("cmd_id") == message.at("cmd_id") && !run().is_answered(command)) return answer(command, message);
        } else if (type == "PONG" && message.at("lag") == 0 && run().is_over()) {
            over_ = true;  // the edge has the last ACK
        }
    }

    void answer(const Json command, const Json &answer) {
        const std::string type = command.at("type");
        if (answer.at("type") == "ACCEPTED") {
            if (answer.contains("trigger_until")) grow(answer.at("trigger_until"));
            answered(command, "");
            // Noted before it is given: killed in between, a pulse is missing, which the edge reports as `timeout`. It is never
            // given twice.
            if (type == "TRIGGER") std::cout << "pulse " << command.at("trigger_id").get<std::string>() << std::endl;
            return;
        }
        const std::string code = answer.at("code");
        answered(command, code);
        if (code == "unsupported") throw Failure(BAD_ARGUMENT, answer.at("reason"));
        if (type == "RUN_START" && (code == "busy" || code == "state")) {  // an edge that has not ended its last run yet
            if (Clock::now() - searched_ > options_.search) throw Failure(NO_CONNECTION, answer.at("reason"));
            not_before_ = Clock::now() + options_.retry;
        } else if (type == "TRIGGER" && (code == "credit" || code == "state")) {  // again by a new command, if the run goes on
            not_before_ = Clock::now() + options_.retry;
        } else if (type != "RUN_STOP") {
            throw Failure(NO_CONNECTION, "the edge refused " + type + " (" + code + "): " + answer.at("reason").get<std::string>());
        }
    }

    // What to do about a REJECT, by its code.
    void after(const Refused &problem) {
        const auto again = [&] {
            if (Clock::now() - searched_ > options_.search) throw Failure(NO_CONNECTION, problem.what());
            std::this_thread::sleep_for(Millis(100));
        };
        if ((problem.code == "unknown_run" || problem.code == "ending") && run().is_over()) {
            over_ = true;  // acknowledged whole: forgotten, or all that there was to do
        } else if (problem.code == "ending") {
            again();  // the run to come is for the next process
        } else if (problem.code == "unknown_run" && run().records.empty()) {
            anew_ = true;  // its RUN_START never arrived, or was not on the edge's disk when that was killed
            for (const auto &command : std::vector<Json>(run().commands))
                if (command.at("type") == "RUN_START") run().ended.erase(command.at("cmd_id"));
            again();
        } else if (problem.code == "state" || problem.code == "rate") {
            again();
        } else if (problem.code == "malformed" || problem.code == "unknown_type" || problem.code == "too_large") {
            throw Failure(EDGE_DEFECT, "a message of this program was refused (" + problem.code + "): " + problem.what());
        } else {  // busy, superseded, other_history, protocol, encoding, and codes of later: only a person can tell
            throw Failure(NO_CONNECTION, "refused (" + problem.code + "): " + problem.what());
        }
    }

    void command(Session &session) {
        const auto now = Clock::now();
        if (now < not_before_) return;
        std::vector<Json> fresh;
        if (!run().has("RUN_START")) {
            Json start = {{"type", "RUN_START"}, {"cmd_id", new_uuid()}, {"run_id", run().run_id}, {"slide_id", plan_.slide}};
            if (notebook_.runs.size() > 1) start["continues_run_id"] = notebook_.runs[notebook_.runs.size() - 2].run_id;
            fresh.push_back(start);
        } else if (started() && !run().has("RUN_STOP")) {
            const auto to_do = stop_asked ? std::vector<std::int64_t>{} : left();
            auto free = credit_ - static_cast<std::int64_t>(run().announced().size());
            for (const auto index : to_do)
                if (free-- > 0) fresh.push_back(trigger(index));
            if (fresh.size() == to_do.size())  // right behind the last one: what was accepted ends as it would have
                fresh.push_back({{"type", "RUN_STOP"}, {"cmd_id", new_uuid()}, {"run_id", run().run_id}});
        }
        if (!fresh.empty()) {
            std::vector<Json> lines;
            for (const auto &each : fresh) lines.push_back({{"send", each}});
            notebook_.write(lines);  // on the disk before they are sent
        }
        // Unanswered ones again, all of them in their order: indices rise.
        bool repeat = false;
        for (const auto &each : run().commands) {
            if (run().is_answered(each)) continue;
            const auto found = sent_.find(each.at("cmd_id"));
            repeat = repeat || found == sent_.end() || now - found->second > options_.retry;
            if (!repeat) continue;
            session.send(each);
            sent_[each.at("cmd_id")] = now;
        }
    }

    Json trigger(std::int64_t index) const {
        const auto row = index / plan_.columns, along = index % plan_.columns;
        const auto column = row % 2 ? plan_.columns - 1 - along : along;
        return {{"type", "TRIGGER"},
                {"cmd_id", new_uuid()},
                {"run_id", notebook_.runs.back().run_id},
                {"trigger_id", "t-" + std::to_string(index)},
                {"field_index", index},
                {"stage", {{"x_nm", std::to_string(column * plan_.step_x_nm)}, {"y_nm", std::to_string(row * plan_.step_y_nm)}}}};
    }

    // Fields that no run has, and that this one can still announce.
    std::vector<std::int64_t> left() const {
        std::set<std::int64_t> done;
        for (const auto &each : notebook_.runs)
            for (const auto &record : each.records) {
                if (record.at("type") != "field") continue;
                const std::string status = record.at("status");
                const bool worth_another = status == "lost" || status == "timeout" || status == "skipped";
                if (!each.is_over() || !worth_another) done.insert(record.at("field_index").get<std::int64_t>());
            }
        std::int64_t next = 0;
        if (!notebook_.runs.back().is_over())
            for (const auto &command : notebook_.runs.back().announced())
                next = std::max(next, command.at("field_index").get<std::int64_t>() + 1);
        std::vector<std::int64_t> found;
        for (; next < plan_.fields; next++)
            if (!done.count(next)) found.push_back(next);
        return found;
    }

    // Everything is on the disk; what is left is that the edge has the last ACK. PONG of a PING behind it says so.
    void confirm(Session &session) {
        if (ended_ == Clock::time_point{}) {
            ended_ = Clock::now();
            session.linger();
            session.ping();
        } else if (Clock::now() - ended_ > options_.answer) {
            over_ = true;  // it keeps the records, and shows this run to whoever says HELLO
        }
    }

    bool started() {
        bool accepted = false;
        for (const auto &each : run().commands)
            if (each.at("type") == "RUN_START") accepted = run().is_answered(each) && !run().is_refused(each);
        return accepted;
    }

    void answered(const Json &command, const std::string &code) {
        notebook_.write({{{"answered", command.at("cmd_id")}, {"code", code}}});
    }

    void grow(const Json &trigger_until) {
        if (trigger_until.is_number_integer()) credit_ = std::max(credit_, trigger_until.get<std::int64_t>());
    }

    static void print(const Json &record) {
        if (record.at("type") == "field")
            std::cout << record.at("field_index") << " " << record.at("status").get<std::string>() << " " << record.at("counts")
                      << " WBC so far: " << record.at("running").at("wbc_total") << std::endl;
        if (record.at("type") == "advice" || record.at("type") == "event") std::cerr << record.dump() << std::endl;
    }

    ExitCode summary() {
        const auto &stop = run().records.back();
        std::cout << run().run_id << ": " << stop.at("outcome").get<std::string>() << ", " << stop.at("triggers") << " triggers: "
                  << stop.at("fields") << ", differential of " << stop.at("differential").at("wbc_total") << " leukocytes"
                  << std::endl;
        const auto carried = stop.value("carried", Json());  // null where this run continues none
        if (!carried.is_null())
            std::cout << "over " << carried.at("run_ids").size() << " runs: " << carried.at("fields") << ", differential of "
                      << carried.at("differential").at("wbc_total") << " leukocytes" << std::endl;
        const std::string outcome = stop.at("outcome");  // an edge that was killed after the last field has lost nothing but its end
        const bool whole = outcome == "completed" || outcome == "stopped" || (outcome == "interrupted" && left().empty());
        return whole && stop.at("sums_match") ? DONE : RUN_FAILED;
    }

    const Options options_;
    const Plan plan_;
    Notebook notebook_;
    Context context_;
    std::map<std::string, Clock::time_point> sent_;  // over this session
    std::int64_t credit_ = 0;
    bool over_ = false, anew_ = false;
    Clock::time_point searched_{}, not_before_{}, ended_{};
};

const char USAGE[] =
    "usage: scanner ENDPOINT NOTEBOOK [option value]...\n"
    "  --fields N, --columns N         fields to expose (100), in rows of so many (10)\n"
    "  --step-x-nm N, --step-y-nm N    way of the stage from field to field (95160, 74620)\n"
    "  --slide NAME, --client-id NAME  of the run, of this scanner\n"
    "  --encoding json|msgpack         wanted; the edge decides (msgpack)\n"
    "  --key FILE, --edge-key FILE     own key_secret file and the edge's key file, if it has keys\n"
    "  --window N                      records the edge may send ahead (64)\n"
    "  --dead-after-ms N, --search-ms N, --answer-ms N, --retry-ms N, --ping-every-ms N   (5000, 10000, 2000, 1000, 1000)\n";

int run_scanner(int n, char **words) {
    if (n < 3 || n % 2 != 1) {
        std::cerr << USAGE;
        return BAD_ARGUMENT;
    }
    Options options;
    Plan plan;
    options.endpoint = words[1];
    const std::map<std::string, std::string *> texts = {{"--slide", &plan.slide},       {"--client-id", &options.client_id},
                                                        {"--key", &options.key_file},   {"--edge-key", &options.edge_key_file},
                                                        {"--encoding", &options.encoding}};
    const std::map<std::string, std::int64_t *> numbers = {{"--fields", &plan.fields},
                                                           {"--columns", &plan.columns},
                                                           {"--step-x-nm", &plan.step_x_nm},
                                                           {"--step-y-nm", &plan.step_y_nm},
                                                           {"--window", &options.window}};
    const std::map<std::string, Millis *> times = {{"--dead-after-ms", &options.dead_after},
                                                   {"--search-ms", &options.search},
                                                   {"--answer-ms", &options.answer},
                                                   {"--retry-ms", &options.retry},
                                                   {"--ping-every-ms", &options.ping_every}};
    for (int at = 3; at < n; at += 2) {
        const std::string name = words[at], value = words[at + 1];
        try {
            if (texts.count(name)) {
                *texts.at(name) = value;
            } else if (numbers.count(name)) {
                *numbers.at(name) = std::stoll(value);
            } else {
                *times.at(name) = Millis(std::stoll(value));
            }
        } catch (const std::exception &) {
            throw Failure(BAD_ARGUMENT, name + " " + value + " is no option, or its value cannot be used");
        }
    }
    if (plan.fields < 1 || plan.columns < 1 || options.window < 1 || options.key_file.empty() != options.edge_key_file.empty())
        throw Failure(BAD_ARGUMENT, "there is at least one field, column and record ahead, and --key goes with --edge-key");
    return Scanner(options, plan, words[2]).scan();
}

}  // namespace

int main(int n, char **words) {
    std::signal(SIGTERM, [](int) { stop_asked = 1; });
    std::signal(SIGINT, [](int) { stop_asked = 1; });
    try {
        return run_scanner(n, words);
    } catch (const leuko::Failure &problem) {
        const std::string what = problem.what();
        std::cerr << "scanner: " << what << (what.empty() || what.back() != '.' ? "." : "") << std::endl;
        return problem.exit_code;
    } catch (const leuko::Json::exception &problem) {
        std::cerr << "scanner: the edge sent what it may not (" << problem.what() << "); report it." << std::endl;
        return leuko::EDGE_DEFECT;
    }
}
