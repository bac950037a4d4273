// The compiler as the tier manager sees it, and the compilation of one function.
#include "jit/baseline/compiler.h"

#include <cstring>
#include <memory>
#include <mutex>
#include <new>

#include "vm/base/assert.h"
#include "vm/runtime/memory.h"
#include "vm/wasm/limits.h"

namespace vmrun::jit {
namespace baseline {
namespace {

/// Machine code of a byte of wasm, in most functions; more is a matter of copying.
constexpr size_t kCodePerByte = 3;

// What a module may have is within reach of what code addresses: nothing that validates is refused for its distance.
static_assert(vm::kMaxFrameSlots <= kMaxFrameSlots && vm::kMaxParams <= kMaxAreaSlots &&
              vm::kMaxResults <= kMaxAreaSlots);
static_assert(uint64_t{vm::kMaxGlobals} * layout::global::bytes <= INT32_MAX &&
              uint64_t{vm::kMaxFunctions} * layout::func_code::bytes <= INT32_MAX &&
              uint64_t{vm::kMaxImports} * 8 + uint64_t{vm::kMaxFunctions} * 8 <= INT32_MAX);

/// The checks of the check mode may make code so many times as large, up to what the assembler makes at all.
constexpr size_t kCheckedCode = 4;
static_assert(most_code(vm::kMaxBodyBytes) <= FastAssembler::kMost);

/// A larger buffer is not kept for the next function.
constexpr size_t kKeptBuffer = size_t{256} << 10;

/// So many marks make a function a large one: its tables are handed on instead of copied, so that they never exist twice.
constexpr size_t kManyMarks = 4096;

/// An instruction that cannot be encoded is a bug here; memory may be missing.
class Errors final : public asmjit::ErrorHandler {
 public:
  void handleError(asmjit::Error error, const char* message, asmjit::BaseEmitter*) override {
    if (error == asmjit::kErrorOutOfMemory || error == asmjit::kErrorTooLarge) throw std::bad_alloc();
    VMRUN_ASSERT(false, message);
  }
};

void need(asmjit::Error error) {
  if (error == asmjit::kErrorOutOfMemory || error == asmjit::kErrorTooLarge) throw std::bad_alloc();
  VMRUN_ASSERT(error == asmjit::kErrorOk, "asmjit");
}

}  // namespace

FunctionCompiler::FunctionCompiler() : table_(table()), errors_(std::make_unique<Errors>()), events_{this} {}

FunctionCompiler::D& FunctionCompiler::decoder_for(const vm::Module& module) {
  // A module may have been replaced by another at the same address.
  const std::array<const void*, 3> now = {&module, module.bytes(), module.registry.get()};
  if (!decoder_ || now != decoded_) {
    decoder_.emplace(module, events_);
    decoded_ = now;
  }
  return *decoder_;
}

void FunctionCompiler::unsupported(D& d, Op op) {
  unsupported(std::string(vm::mnemonic(op)) + " at offset " + std::to_string(d.offset()));
}

CompileResult FunctionCompiler::compile(const CompileRequest& request) {
  request_ = request;
  module_ = request.module;
  image_ = module_->bytes();
  began_ = false;
  type_ = &module_->func_type(request.func_index);
  memory0_guarded_ =
      !module_->memories.empty() && vm::memory_is_guarded(module_->memories[0], !module_->guarded_memories);
  failed_ = false;
  state_ = {};
  owned_int_ = owned_vec_ = 0;
  lazy_ = kNone;
  settled_ = filled_ = 0;
  settled_vectors_.clear();
  loop_vectors_.clear();
  vector_copies_ = 0;
  region_ = kNone;
  next_loop_ = 0;
  preempt_begin_ = kNone;
  traps_.clear();
  profile_.clear();
  profile_words_ = 0;
  pool_.clear();
  vectors_.clear();
  loops_.clear();
  units_.clear();
  open_units_.clear();
  tables_.clear();
  regions_.clear();
  polls_.clear();
  check_failed_ = {};
  checked_operands_ = checked_constants_ = 0;
  frame_size_fixups_.clear();
  made_.osr.clear();
  made_.marks.clear();
  made_.pads.clear();
  made_.preempt.clear();
  types_.clear();

  if (!code_.isInitialized()) {
    asmjit::Environment environment;
    environment.setArch(asmjit::Arch::kX64);
    need(code_.init(environment));
    code_.setErrorHandler(errors_.get());
    need(code_.attach(&a_));
  }
  const size_t body = module_->funcs[request.func_index].body.size();
  carried_ = 0;
  most_carried_ = most_carried(body);
  a_.begin(most_code(body) * (request.check_merges ? kCheckedCode : 1));
  need(code_.reserveBuffer(&code_.textSection()->buffer(), kCodePerByte * body + 512));

  if (request.unit != kWholeFunction) return {CompileResult::Status::unsupported, "units of loops"};
  if (type_->params.size() > kMaxAreaSlots || type_->results.size() > kMaxAreaSlots) {
    return {CompileResult::Status::unsupported, "more parameters or results than the area holds"};
  }
  const bool decoded = decoder_for(*module_).decode(request.func_index);
  VMRUN_ASSERT(decoded || failed_, "a validated body decodes");
  if (failed_) return {CompileResult::Status::unsupported, std::move(reason_)};
  if (request.cancelled != nullptr && request.cancelled->load(std::memory_order_relaxed)) {
    return {CompileResult::Status::cancelled};
  }
  return finish();
}

CompileResult FunctionCompiler::finish() {
  VMRUN_ASSERT(max_slot_ <= kMaxFrameSlots, "frames beyond the limit are refused");
  const auto frame = static_cast<uint32_t>(frame_bytes(max_slot_));
  if (frame > kSmallFrameBytes && !large_frame_) {  // known only now
    large_frame_ = true;
    CompileResult result = compile(CompileRequest(request_));
    large_frame_ = false;
    return result;
  }
  if (a_.is_too_large()) throw CodeTooLarge();
  uint8_t* const bytes = code_.textSection()->buffer().data();
  for (uint32_t fixup : frame_size_fixups_) std::memcpy(bytes + fixup, &frame, 4);
  CompileResult result{CompileResult::Status::done};
  CompiledCode& code = result.code;
  code.bytes = {reinterpret_cast<const std::byte*>(bytes), a_.offset()};
  if (made_.marks.size() < kManyMarks) {
    static_cast<CodeTables&>(code) = made_;  // a copy has no more memory than it needs
  } else {
    made_.marks.shrink_to_fit();
    static_cast<CodeTables&>(code) = std::move(made_);
    made_ = {};
  }
  code.func_index = request_.func_index;
  code.types = types_;
  code.profile = profile_;
  code.profile_words = profile_words_;
  code.counts_runs = request_.count_runs;
  for (const UnitSite& unit : units_) code.calls_units.push_back(loops_[unit.loop].offset);
  return result;
}

void FunctionCompiler::uses_type(uint32_t at, vm::TypeId type, TypeUse::As as) {
  const TypeUse use{at, type, as};
  if constexpr (kCheckInvariants) {
    uint32_t there;
    std::memcpy(&there, a_.bufferData() + at, sizeof there);
    VMRUN_ASSERT(there == use.value(type), "the number of a type stands in the code");
  }
  types_.push_back(use);
}

void FunctionCompiler::drop_code() {
  if (code_.textSection()->buffer().capacity() > kKeptBuffer) code_.reset(asmjit::ResetPolicy::kHard);
}

namespace {

class Pool;

/// A compiler with its buffer. Who has the code that it made has it too, until the code is not needed any more.
class PooledCompiler final : public CodeStorage {
 public:
  FunctionCompiler compiler;
  void lend(std::shared_ptr<Pool> pool) { pool_ = std::move(pool); }
  void release() noexcept override;

 private:
  std::shared_ptr<Pool> pool_;  // while it is lent
};

/// Compilers that nobody uses.
class Pool {
 public:
  std::unique_ptr<PooledCompiler> take() {
    std::lock_guard hold(lock_);
    if (idle_.empty()) {
      idle_.reserve(made_ + 1);  // so that nothing is missing when it comes back
      auto made = std::make_unique<PooledCompiler>();
      ++made_;
      return made;
    }
    std::unique_ptr<PooledCompiler> last = std::move(idle_.back());
    idle_.pop_back();
    return last;
  }
  void give(std::unique_ptr<PooledCompiler> compiler) noexcept {
    std::lock_guard hold(lock_);
    idle_.push_back(std::move(compiler));
  }

 private:
  std::mutex lock_;
  size_t made_ = 0;
  std::vector<std::unique_ptr<PooledCompiler>> idle_;
};

void PooledCompiler::release() noexcept {
  compiler.drop_code();
  const std::shared_ptr<Pool> pool = std::move(pool_);
  pool->give(std::unique_ptr<PooledCompiler>(this));
}

class BaselineCompiler final : public Compiler {
 public:
  vm::Tier tier() const override { return vm::Tier::baseline; }
  CompileResult compile(const CompileRequest& request) override {
    try {
      // One that fails in the middle of something is not used again.
      std::unique_ptr<PooledCompiler> pooled = pool_->take();
      CompileResult result = pooled->compiler.compile(request);
      if (result.status == CompileResult::Status::done) {
        pooled->lend(pool_);
        result.code.storage.reset(pooled.release());
      } else {
        pooled->compiler.drop_code();
        pool_->give(std::move(pooled));
      }
      return result;
    } catch (const CodeTooLarge&) {
      return {CompileResult::Status::unsupported, "more machine code than its body is worth"};
    } catch (const std::bad_alloc&) {
      return {CompileResult::Status::no_memory};
    }
  }

 private:
  const std::shared_ptr<Pool> pool_ = std::make_shared<Pool>();  // outlives the compiler where code is still lent
};

}  // namespace
}  // namespace baseline

std::unique_ptr<Compiler> make_baseline_compiler() { return std::make_unique<baseline::BaselineCompiler>(); }

}  // namespace vmrun::jit
