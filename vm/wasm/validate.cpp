// Validation of function bodies, in parallel for large code sections.
//
// Concurrency: workers take batches of functions in ascending order from one atomic counter and read nothing that
// changes. The lowest function index with an error lies in an atomic; a worker skips whatever lies above it, so that
// every function below the final one has been validated, and the error reported is that of the first bad body of the
// image however the batches fell. Each worker keeps its decoder and what it saw to itself until it is joined.
#include "vm/wasm/validate.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <thread>

#include "vm/wasm/func_decoder.h"
#include "vmrun/base/text.h"

namespace vmrun::vm {

namespace {

constexpr uint32_t kBatchBytes = 64 << 10;      // of code per batch: some 200 us of work
constexpr uint64_t kParallelBytes = 256 << 10;  // below this, starting threads costs more than it saves

struct Shared {
  const Module& module;
  const ValidationState& state;
  std::atomic<uint32_t> next;
  std::atomic<uint32_t> bad{~0u};  // lowest function with an error so far
  std::atomic<bool> no_memory{false};
};

struct Worker {
  OpsSeen seen;
  std::optional<Error> error;
  uint32_t error_func = ~0u;
};

Error describe(const Module& module, uint32_t func_index, const DecodeError& error, uint64_t instr_offset) {
  std::string message = error.message;
  const uint8_t* p = module.bytes() + instr_offset;
  const ByteRange& body = module.funcs[func_index].body;
  if (instr_offset < body.end && instr_offset > body.begin) {
    uint16_t op = kOpByByte[*p];
    if (op == kNoOp) {
      uint32_t code = 0;
      const uint8_t* at = p + 1;
      if (read_leb<uint32_t, 32>(at, module.bytes() + body.end, code) == LebStatus::ok) op = prefixed_op(*p, code);
    }
    if (op != kNoOp) message += std::string(" at ") + kOpInfo[op].mnemonic;
  }
  message += " in function " + std::to_string(func_index);
  std::string_view name = module.func_name(func_index);
  if (!name.empty()) message += " (" + printable_name(name) + ")";
  Error out(error.kind, std::move(message), error.offset);
  out.func_index = func_index;
  return out;
}

void work(Shared& shared, Worker& worker) try {
  const Module& module = shared.module;
  uint32_t count = static_cast<uint32_t>(module.funcs.size());
  NullConsumer consumer;
  FuncDecoder<NullConsumer> decoder(module, consumer, &shared.state);
  for (;;) {
    // A batch is a run of functions with about kBatchBytes of code.
    uint32_t first = shared.next.load(std::memory_order_relaxed), last;
    do {
      if (first >= count) return worker.seen = decoder.seen(), void();
      last = first;
      for (uint32_t bytes = 0; last < count && bytes < kBatchBytes; ++last) bytes += module.funcs[last].body.size();
    } while (!shared.next.compare_exchange_weak(first, last, std::memory_order_relaxed));

    for (uint32_t i = first; i < last; ++i) {
      uint32_t bad = shared.bad.load(std::memory_order_relaxed);
      if (i > bad) break;
      if (decoder.decode(i)) [[likely]]
        continue;
      while (i < bad && !shared.bad.compare_exchange_weak(bad, i, std::memory_order_relaxed)) {
      }
      if (i < worker.error_func) {
        worker.error_func = i;
        worker.error = describe(module, i, decoder.error(), decoder.offset());
      }
      break;
    }
  }
} catch (const std::bad_alloc&) {
  shared.no_memory.store(true, std::memory_order_relaxed);
}

}  // namespace

std::optional<Error> validate_bodies(const Module& module, const ValidationState& state, unsigned threads,
                                     OpsSeen& seen) {
  uint64_t bytes = 0;
  for (const FuncDecl& f : module.funcs) bytes += f.body.size();
  if (threads == 0) threads = std::clamp(std::thread::hardware_concurrency(), 1u, 16u);
  threads = bytes < kParallelBytes ? 1 : static_cast<unsigned>(std::min<uint64_t>(threads, 1 + bytes / kBatchBytes));

  Shared shared{module, state, {module.imported_funcs}};
  std::vector<Worker> workers(threads);
  {
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < threads; ++i) {
      // A thread that cannot be had is done without: the others take its share.
      try {
        helpers.emplace_back([&shared, &worker = workers[i]] { work(shared, worker); });
      } catch (const std::system_error&) {
        break;
      }
    }
    work(shared, workers[0]);
  }

  if (shared.no_memory.load(std::memory_order_relaxed)) return Error(ErrorKind::Limit, "out of memory");
  Worker* first = &workers[0];
  for (Worker& w : workers) {
    if (w.error_func < first->error_func) first = &w;
    for (size_t i = 0; i < std::size(seen.byte); ++i) seen.byte[i] |= w.seen.byte[i];
    for (size_t i = 0; i < kOpCount; ++i) seen.op[i] |= w.seen.op[i];
  }
  return std::move(first->error);
}

}  // namespace vmrun::vm
