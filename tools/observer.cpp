// See observer.h.
#include "tools/observer.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "tools/report.h"
#include "vmrun/base/text.h"
#include "vmrun/knock.h"
#include "vmrun/listen.h"

namespace vmrun::tools {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::nanoseconds;
using Clock = std::chrono::steady_clock;

/// What a page has of the guests and functions of a large process.
constexpr size_t kMostTasks = 500, kMostFunctions = 200;
/// How often guests are sampled that nobody samples otherwise, and how long after the last question.
constexpr nanoseconds kSampleInterval = std::chrono::milliseconds(10);
constexpr auto kSampleAfter = std::chrono::seconds(5);

/// That listens for knocks.
std::atomic<Observer*> listener{nullptr};

Json metric_json(const Metric& metric) {
  Json values = Json::array();
  for (const Metric::Value& value : metric.values) {
    Json labels = Json::object();
    for (const auto& [key, text] : value.labels) labels[key] = text;
    Json one = {{"labels", std::move(labels)}};
    if (metric.type == Metric::Type::Histogram) {
      Json buckets = Json::array();
      for (const Metric::Bucket& bucket : value.buckets) buckets.push_back({bucket.bound, bucket.count});
      one["buckets"] = std::move(buckets);
      one["count"] = value.count;
      one["sum"] = value.sum;
    } else if (value.number == std::floor(value.number) && std::fabs(value.number) < 9e15) {
      one["value"] = static_cast<int64_t>(value.number);
    } else {
      one["value"] = value.number;
    }
    values.push_back(std::move(one));
  }
  constexpr const char* kTypes[] = {"counter", "gauge", "histogram"};
  return {{"name", metric.name}, {"type", kTypes[static_cast<size_t>(metric.type)]}, {"values", std::move(values)}};
}

/// The functions that have used most, by tier.
Json samples_json(const GuestProfile& profile) {
  std::map<std::pair<uint32_t, GuestProfile::Code>, int64_t> used;
  std::map<GuestProfile::Code, int64_t> by_code;
  for (const GuestProfile::Node& node : profile.nodes) {
    if (node.samples == 0) continue;
    used[{node.function, node.code}] += node.self.count();
    by_code[node.code] += node.self.count();
  }
  std::vector<std::tuple<int64_t, uint32_t, GuestProfile::Code>> order;
  order.reserve(used.size());
  for (const auto& [key, time] : used) order.emplace_back(time, key.first, key.second);
  std::ranges::sort(order, std::greater<>());
  if (order.size() > kMostFunctions) order.resize(kMostFunctions);
  constexpr const char* kCodes[] = {"interp", "baseline", "opt", "host", "cut"};
  Json functions = Json::array(), tiers = Json::object();
  for (const auto& [time, number, code] : order) {
    const GuestProfile::Function& function = profile.functions[number];
    functions.push_back({{"module", function.module},
                         {"function", function.name},
                         {"index", function.index},
                         {"code", kCodes[static_cast<size_t>(code)]},
                         {"self_ns", time}});
  }
  for (const auto& [code, time] : by_code) tiers[kCodes[static_cast<size_t>(code)]] = time;
  return {{"interval_ns", profile.interval.count()},
          {"total_ns", profile.total().count()},
          {"self_ns", std::move(tiers)},
          {"functions", std::move(functions)}};
}

/// A task for people and for programs. `recent`: what it used since the last answer.
Json task_json(const TaskInfo& task) {
  return {{"id", task.id},
          {"name", task.name.empty() ? "guest" : task.name},
          {"state", task.state},
          {"age_ns", task.age.count()},
          {"recent_ns", task.recent.count()},
          {"memory_bytes", task.memory_bytes}};
}

nanoseconds time_of(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

/// In what order a question wants the tasks, of which there may be more than an answer has.
TaskOrder order_in(std::string_view query) {
  if (query.find("order=memory") != query.npos) return TaskOrder::Memory;
  if (query.find("order=age") != query.npos) return TaskOrder::Oldest;
  return TaskOrder::Recent;
}

/// What the only guest of the process does, by what the system says of its thread.
const char* state_of_thread(int thread) {
  char text[512];
  const std::string path = "/proc/self/task/" + std::to_string(thread) + "/stat";
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return "has ended";
  const ssize_t size = ::read(file, text, sizeof text - 1);
  ::close(file);
  text[std::max<ssize_t>(size, 0)] = 0;
  const char* rest = std::strrchr(text, ')');
  const char state = rest != nullptr && rest[1] != 0 ? rest[2] : '?';
  switch (state) {
    case 'R': return "runs";
    case 'S': return "waits in a call of the system";
    case 'D': return "waits for a device";
    case 'T':
    case 't': return "is stopped";
    default: return "is in an unknown state";
  }
}

}  // namespace

std::string observer_name(int pid) { return "vmrun/" + std::to_string(pid); }

Result<int> listen_for_metrics(const std::string& address, SocketFile& file) {
  constexpr std::string_view kLocal = "unix:";
  if (address.starts_with(kLocal)) return file.listen(address.substr(kLocal.size()));
  return listen_tcp(address.starts_with(':') ? "127.0.0.1" + address : address);
}

Observer::Observer(const RunOptions& options, std::string_view image, Args args, Profiling& profiling)
    : options_(options),
      command_{std::string(image)},
      profiling_(profiling),
      guest_thread_(static_cast<int>(::syscall(SYS_gettid))) {
  if (::pthread_getcpuclockid(::pthread_self(), &guest_clock_) != 0) guest_clock_ = CLOCK_PROCESS_CPUTIME_ID;
  command_.insert(command_.end(), args.begin(), args.end());
}

void Observer::end() {
  if (listener.load(std::memory_order_relaxed) == this) {
    answer_knocks(nullptr);
    listener.store(nullptr, std::memory_order_relaxed);
  }
  pages_.reset();
  profiler_.reset();
  metrics_file_.remove();
}

Result<void> Observer::begin(Listens listens) {
  if (options_.metrics) {
    auto fd = listen_for_metrics(*options_.metrics, metrics_file_);
    if (!fd) return Error(fd.error().kind, "-D metrics: " + fd.error().message);
    if (const std::string address = address_of(*fd); !address.empty()) {
      metrics_place_ = "http://" + address + "/metrics";
      if (options_.metrics->ends_with(":0")) print_note("metrics at " + metrics_place_);
    } else {
      metrics_place_ = *options_.metrics + " (/metrics)";
    }
    pages_.emplace();
    pages_->add(*fd, false, [this](const PageRequest& request) { return metrics_page(request); });
  }
  if (options_.metrics || listens == Listens::FromTheStart) {
    if (!listen_for_top() && options_.metrics) {
      return Error(ErrorKind::Limit, "-D metrics: there is no thread for it");
    }
  } else {
    listener.store(this, std::memory_order_relaxed);
    answer_knocks(answer_a_knock);
  }
  return {};
}

void Observer::look_at(Executor* executor, const Server* server) {
  const std::lock_guard lock(mutex_);
  executor_ = executor;
  server_ = server;
  counting_ = false;
}

// In a signal's handler, at a place where this may be done (vmrun/knock.h).
void Observer::answer_a_knock() {
  if (Observer* observer = listener.load(std::memory_order_relaxed)) observer->listen_for_top();
}

bool Observer::listen_for_top() {
  if (listening_.exchange(true, std::memory_order_acq_rel)) return true;
  try {
    if (start_pages()) return true;
  } catch (const std::bad_alloc&) {
    // As with any other failure.
  }
  pages_.reset();
  listening_.store(false, std::memory_order_release);  // a further knock may have more luck
  return false;
}

bool Observer::start_pages() {
  if (!pages_) pages_.emplace();
  if (auto fd = listen_abstract(observer_name(::getpid()))) {
    pages_->add(*fd, true, [this](const PageRequest& request) { return top_page(request); });
  } else if (!options_.metrics) {
    return false;  // somebody else has the name, or there is no descriptor; metrics come without top all the same
  }
  pages_->whenever([this] { return look_after_samples(); });
  return static_cast<bool>(pages_->start());
}

MetricsSubject Observer::subject() const {
  MetricsSubject out;
  if (executor_ != nullptr) out.executors.push_back(executor_);
  if (server_ != nullptr) out.servers.push_back(server_);
  return out;
}

Page Observer::metrics_page(const PageRequest& request) {
  if (request.path == "/") return {.body = "vmrun " VMRUN_VERSION ": metrics are at /metrics\n"};
  if (request.path != "/metrics") return {.status = 404, .body = "there is nothing but /metrics here\n"};
  const auto format = request.open_metrics ? MetricsFormat::OpenMetrics : MetricsFormat::Prometheus;
  const std::lock_guard lock(mutex_);
  return {.type = metrics_content_type(format), .body = metrics_text(metrics(subject()), format)};
}

std::optional<GuestProfile> Observer::samples(bool wanted) {
  if (auto profile = profiling_.samples()) return profile;
  if (wanted) {
    samples_until_ = Clock::now() + kSampleAfter;
    if (!profiler_) {
      if (auto profiler = GuestProfiler::start(kSampleInterval)) profiler_.emplace(std::move(*profiler));
    }
  }
  if (!profiler_) return std::nullopt;
  return profiler_->take();
}

int Observer::look_after_samples() {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (profiler_ && samples_until_ <= now) profiler_.reset();
  if (counting_ && asked_ + kSampleAfter <= now) {
    if (executor_ != nullptr) executor_->account(false);
    counting_ = false;
  }
  if (!profiler_ && !counting_) return -1;
  const auto next = !profiler_   ? asked_ + kSampleAfter
                    : !counting_ ? samples_until_
                                 : std::min(samples_until_, asked_ + kSampleAfter);
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(next - now).count());
}

std::vector<TaskInfo> Observer::tasks(TaskOrder order, size_t& left_out, nanoseconds& since) {
  const auto now = Clock::now();
  // What a task used is known from the second question on, while somebody goes on asking.
  since = counting_ ? now - asked_ : nanoseconds(0);
  asked_ = now;
  const bool counted = std::exchange(counting_, true);
  if (executor_ != nullptr) {
    if (!counted) executor_->account(true);
    nanoseconds held{};
    std::vector<TaskInfo> all = executor_->tasks(kMostTasks, order, &held);
    // They held processors for so long; where the system ran other programs meanwhile, each is told its part of what the process got.
    const nanoseconds process = time_of(CLOCK_PROCESS_CPUTIME_ID);
    const nanoseconds got = process - std::exchange(process_used_, process);
    if (counted && held > got && got.count() >= 0) {
      const double part = static_cast<double>(got.count()) / static_cast<double>(held.count());
      for (TaskInfo& task : all) {
        task.recent = nanoseconds(static_cast<int64_t>(part * static_cast<double>(task.recent.count())));
      }
    }
    const size_t live = executor_->live();
    left_out = live > all.size() ? live - all.size() : 0;
    return all;
  }
  TaskInfo guest{.id = 1, .name = "guest", .state = state_of_thread(guest_thread_), .age = now - start_};
  guest.used = time_of(guest_clock_);
  guest.recent = counted ? guest.used - guest_used_ : nanoseconds(0);
  guest_used_ = guest.used;
  return {guest};
}

Page Observer::top_page(const PageRequest& request) {
  if (request.path == "/metrics") return metrics_page(request);
  if (request.path != "/top") return {.status = 404, .body = "there are /top and /metrics here\n"};
  const auto profile = samples(request.query.find("sample=1") != request.query.npos);
  Json families = Json::array(), listed = Json::array();
  size_t left_out = 0;
  nanoseconds since{};
  {
    const std::lock_guard lock(mutex_);
    const std::vector<Metric> all = metrics(subject());
    for (const Metric& metric : all) families.push_back(metric_json(metric));
    std::vector<TaskInfo> found = tasks(order_in(request.query), left_out, since);
    if (executor_ == nullptr) {
      // One guest: all linear memory is its own.
      for (const Metric& metric : all) {
        if (metric.name == "vmrun_linear_memory_bytes") {
          found[0].memory_bytes = static_cast<uint64_t>(metric.values[0].number);
        }
      }
    }
    for (const TaskInfo& task : found) listed.push_back(task_json(task));
  }
  const auto up = std::chrono::duration_cast<nanoseconds>(Clock::now() - start_);
  const Json out = {{"format", kTopFormat},
                    {"version", kTopVersion},
                    {"vmrun", VMRUN_VERSION},
                    {"pid", ::getpid()},
                    {"command", command_},
                    {"up_ns", up.count()},
                    {"metrics", std::move(families)},
                    {"tasks", std::move(listed)},
                    {"tasks_since_ns", since.count()},
                    {"tasks_left_out", left_out},
                    {"sampling", profile ? samples_json(*profile) : Json(nullptr)}};
  return {.type = "application/json", .body = out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"};
}

}  // namespace vmrun::tools
