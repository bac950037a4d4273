// The announcers and names of code: see announce.h.
#include "jit/code/announce.h"

#include <cstdio>
#include <mutex>
#include <new>
#include <string_view>
#include <vector>

#include "vm/wasm/module.h"
#include "vmrun/base/text.h"

namespace vmrun::jit {
namespace {

struct Announcers {
  std::mutex lock;
  std::vector<std::unique_ptr<Announcer>> all;
};
Announcers& announcers() {
  static auto* instance = new Announcers;  // code is freed while the process ends
  return *instance;
}

}  // namespace

std::atomic<bool> announcing{false};
std::atomic<bool> marking_all{false};

void announce_to(std::unique_ptr<Announcer> announcer) {
  Announcers& a = announcers();
  std::lock_guard hold(a.lock);
  a.all.push_back(std::move(announcer));
  announcing.store(true, std::memory_order_release);
}

void stop_announcing() {
  Announcers& a = announcers();
  std::lock_guard hold(a.lock);
  announcing.store(false, std::memory_order_relaxed);
  a.all.clear();
}

std::string code_name(const CodeObject& code) {
  if (code.func == nullptr) return "vmrun trampoline";
  const vm::Module& module = *code.func->module;
  std::string name(module.display_name());
  name += "!" + module.func_label(code.func->func_index) + " [" + vm::to_string(code.tier);
  if (code.unit != kWholeFunction) {
    char text[32];
    std::snprintf(text, sizeof text, ", loop at 0x%x", loop_of(code.unit));
    name += text;
  }
  return printable(name + "]");
}

void announce_added(const CodeObject& code) {
  try {
    const std::string name = code_name(code);
    Announcers& a = announcers();
    std::lock_guard hold(a.lock);
    for (const auto& announcer : a.all) announcer->added(code, name);
  } catch (const std::bad_alloc&) {  // the code is in force already; tools do without its name
  }
}

void announce_removed(const CodeObject& code) {
  Announcers& a = announcers();
  std::lock_guard hold(a.lock);
  for (const auto& announcer : a.all) announcer->removed(code);
}

}  // namespace vmrun::jit
