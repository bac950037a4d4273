// A host that hands out all memory itself: linear memories of guests and stacks of their tasks come from one arena, which
// knows at any time who has how much, and says no when a guest wants more than its share. The module is that of memory.cpp:
//
//   (module (memory (export "memory") 1)
//     (func (export "upper") (param $at i32) (param $size i32) ...))     ;; makes letters of a text large
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vmrun/executor.h"
#include "vmrun/vmrun.h"

namespace {

const std::vector<uint8_t> kUpper = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01, 0x60, 0x02, 0x7f, 0x7f, 0x00, 0x03, 0x02, 0x01,
    0x00, 0x05, 0x03, 0x01, 0x00, 0x01, 0x07, 0x12, 0x02, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02, 0x00, 0x05,
    0x75, 0x70, 0x70, 0x65, 0x72, 0x00, 0x00, 0x0a, 0x3f, 0x01, 0x3d, 0x01, 0x01, 0x7f, 0x20, 0x00, 0x20, 0x01, 0x6a,
    0x21, 0x02, 0x02, 0x40, 0x03, 0x40, 0x20, 0x00, 0x20, 0x02, 0x4f, 0x0d, 0x01, 0x20, 0x00, 0x2d, 0x00, 0x00, 0x41,
    0xe1, 0x00, 0x6b, 0x41, 0x1a, 0x49, 0x04, 0x40, 0x20, 0x00, 0x20, 0x00, 0x2d, 0x00, 0x00, 0x41, 0x20, 0x6b, 0x3a,
    0x00, 0x00, 0x0b, 0x20, 0x00, 0x41, 0x01, 0x6a, 0x21, 0x00, 0x0c, 0x00, 0x0b, 0x0b, 0x0b};

/// Places of one size, in a mapping that is made once. Any thread.
class Arena {
 public:
  Arena(size_t places, size_t place_bytes) : places_(places), place_bytes_(place_bytes) {
    void* all = mmap(nullptr, places * place_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return;
    base_ = static_cast<std::byte*>(all);
    for (size_t i = places; i-- > 0;) free_.push_back(base_ + i * place_bytes);
  }
  ~Arena() {
    if (base_ != nullptr) munmap(base_, places_ * place_bytes_);
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  size_t place_bytes() const { return place_bytes_; }
  std::byte* take() {
    const std::lock_guard hold(lock_);
    if (free_.empty()) return nullptr;
    std::byte* place = free_.back();
    free_.pop_back();
    return place;
  }
  void give_back(std::byte* place) {
    const std::lock_guard hold(lock_);
    free_.push_back(place);
  }
  size_t in_use() const {
    const std::lock_guard hold(lock_);
    return base_ == nullptr ? 0 : places_ - free_.size();
  }

 private:
  const size_t places_, place_bytes_;
  std::byte* base_ = nullptr;
  mutable std::mutex lock_;
  std::vector<std::byte*> free_;
};

/// Linear memories: each gets a place, and grows within it. Code checks every access, since no guard lies behind a place.
vmrun::MemoryHooks memories_from(Arena& arena) {
  return {
      .create = [&arena](const vmrun::MemoryRequest& wanted) -> vmrun::Result<vmrun::HostMemory> {
        if (wanted.bytes > arena.place_bytes()) {
          return vmrun::Error(vmrun::ErrorKind::Limit, "a guest may have a mebibyte");
        }
        std::byte* place = arena.take();
        if (place == nullptr) return vmrun::Error(vmrun::ErrorKind::Limit, "all places for memories are taken");
        std::memset(place, 0, wanted.bytes);  // another guest may have had it
        return vmrun::HostMemory{place, arena.place_bytes(), nullptr};
      },
      .grow =
          [](const vmrun::HostMemory& memory, uint64_t from, uint64_t to) {
            std::memset(memory.base + from, 0, to - from);
            return true;
          },
      .release = [&arena](const vmrun::HostMemory& memory) { arena.give_back(memory.base); },
  };
}

/// Stacks of tasks.
vmrun::StackHooks stacks_from(Arena& arena) {
  return {
      .allocate = [&arena](size_t bytes) -> std::optional<vmrun::HostStack> {
        std::byte* place = bytes <= arena.place_bytes() ? arena.take() : nullptr;
        if (place == nullptr) return std::nullopt;  // the task fails, and nothing else
        return vmrun::HostStack{place, arena.place_bytes(), nullptr};
      },
      .release = [&arena](const vmrun::HostStack& stack) { arena.give_back(stack.low); },
  };
}

int fail(const vmrun::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.to_string().c_str());
  return 1;
}

/// What a guest makes of `text`, in an instance of its own.
vmrun::Result<std::string> upper(vmrun::Store& store, const vmrun::Module& module, const std::string& text) {
  auto instance = vmrun::Instance::instantiate(store, module, {});
  if (!instance) return instance.error();
  vmrun::Memory memory = *instance->memory("memory");
  if (auto grown = memory.grow(1); !grown) return grown.error();  // by the hook: from 64 to 128 KiB
  constexpr uint32_t kAt = 100'000;
  std::memcpy(memory.range(kAt, text.size()).data(), text.data(), text.size());
  auto typed = instance->func("upper")->typed<void(uint32_t, uint32_t)>();
  if (auto done = typed->call(kAt, static_cast<uint32_t>(text.size())); !done) return done.error();
  return std::string(reinterpret_cast<const char*>(memory.range(kAt, text.size()).data()), text.size());
}

}  // namespace

int main() {
  // They live longer than the engine and the executor, whose memories and stacks lie in them.
  Arena memories(4, size_t{1} << 20), stacks(8, vmrun::Store::kMinNativeStack);
  bool right = true;
  {
    vmrun::Config config;
    config.memory_hooks = memories_from(memories);
    const vmrun::Engine engine(config);
    const auto module = vmrun::Module::compile(engine, kUpper);
    if (!module) return fail(module.error());

    // Three guests, each a task on a stack of the arena.
    vmrun::ExecutorConfig tasks;
    tasks.workers = 2;
    tasks.stack_bytes = stacks.place_bytes();
    tasks.stack_hooks = stacks_from(stacks);
    auto executor = vmrun::Executor::create(tasks);
    if (!executor) return fail(executor.error());
    const std::vector<std::string> words = {"one", "arena", "for all"};
    std::vector<std::string> answers(words.size());
    for (size_t i = 0; i < words.size(); ++i) {
      // With a store: its guests run on the task's stack. The store dies with the function, at the task's end.
      auto store = std::make_shared<vmrun::Store>(engine);
      vmrun::Store& own = *store;
      auto task = executor->spawn(own, [&, i, store = std::move(store)] {
        const auto answer = upper(*store, *module, words[i]);
        answers[i] = answer ? *answer : answer.error().message;
      });
      if (!task) return fail(task.error());
    }
    executor->wait_idle();
    for (const std::string& answer : answers) std::printf("%s\n", answer.c_str());
    right &= answers == std::vector<std::string>{"ONE", "ARENA", "FOR ALL"};

    // A guest that wants more than a place has gets what any guest gets whose memory cannot grow.
    vmrun::Store store(engine);
    auto large = vmrun::Instance::instantiate(store, *module, {});
    if (!large) return fail(large.error());
    const auto grown = large->memory("memory")->grow(16);  // a place has 16 pages, and one is in use
    right &= !grown && grown.error().kind == vmrun::ErrorKind::Limit;
    std::printf("%s\n", grown ? "it grew" : grown.error().message.c_str());

    // And when all places are taken, the next instantiation fails with the hook's own words. This store has one of the four.
    for (int i = 0; i < 3; ++i) right &= vmrun::Instance::instantiate(store, *module, {}).ok();
    const auto none = vmrun::Instance::instantiate(store, *module, {});
    right &= !none && none.error().message.find("all places for memories are taken") != std::string::npos;
    std::printf("%s\n", none ? "there was room" : none.error().message.c_str());
    std::printf("%zu memories are in use\n", memories.in_use());
    right &= memories.in_use() == 4;
  }
  right &= memories.in_use() == 0 && stacks.in_use() == 0;
  std::printf("%zu memories and %zu stacks are in use at the end\n", memories.in_use(), stacks.in_use());
  return right ? 0 : 1;
}
