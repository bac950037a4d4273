// The compiler as the tier manager sees it, and the compilation of one function.
#include "jit/baseline/compiler.h"

#include <cstring>
#include <memory>
#include <mutex>
#include <new>

#include "vm/assert.h"
#include "vm/limits.h"
#include "vm/loops.h"
#include "vm/memory.h"

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

/// The checks of the check mode may make code so many times as large.
constexpr size_t kCheckedCode = 4;

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

FunctionCompiler::FunctionCompiler()
    : table_(table()), errors_(std::make_unique<Errors>()), events_{this}, object_(std::make_unique<CodeObject>()) {
  object_->tier = vm::Tier::baseline;
}

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
  tables_.clear();
  regions_.clear();
  polls_.clear();
  check_failed_ = {};
  checked_operands_ = checked_constants_ = 0;
  frame_size_fixups_.clear();
  object_->osr.clear();
  object_->marks.clear();
  object_->pads.clear();
  object_->preempt.clear();
  object_->func = &module_->code(request.func_index);
  if (request.count_runs) vm::counts_of(*object_->func);

  if (!code_.isInitialized()) {
    asmjit::Environment environment;
    environment.setArch(asmjit::Arch::kX64);
    need(code_.init(environment));
    code_.setErrorHandler(errors_.get());
    need(code_.attach(&a_));
  }
  const size_t body = module_->funcs[request.func_index].body.size();
  a_.begin(most_code(body) * (request.check_merges ? kCheckedCode : 1));
  need(code_.reserveBuffer(&code_.textSection()->buffer(), kCodePerByte * body + 512));

  if (request.unit != kWholeFunction) return {CompileResult::Status::unsupported, nullptr, "units of loops"};
  if (type_->params.size() > kMaxAreaSlots || type_->results.size() > kMaxAreaSlots) {
    return {CompileResult::Status::unsupported, nullptr, "more parameters or results than the area holds"};
  }
  bool decoded = decoder_for(*module_).decode(request.func_index);
  VMRUN_ASSERT(decoded, "a validated body decodes");
  if (failed_) return {CompileResult::Status::unsupported, nullptr, std::move(reason_)};
  if (request.cancelled != nullptr && request.cancelled->load(std::memory_order_relaxed)) {
    return {CompileResult::Status::cancelled, nullptr, {}};
  }
  return publish();
}

CompileResult FunctionCompiler::publish() {
  VMRUN_ASSERT(max_slot_ <= kMaxFrameSlots, "frames beyond the limit are refused");
  const auto frame = static_cast<uint32_t>(frame_bytes(max_slot_));
  if (frame > kSmallFrameBytes && !large_frame_) {  // known only now
    large_frame_ = true;
    CompileResult result = compile(CompileRequest(request_));
    large_frame_ = false;
    return result;
  }
  if (!profile_.empty() && !vm::add_profile(*object_->func, profile_, profile_words_)) {
    return {CompileResult::Status::no_memory, nullptr, "no memory for the profile"};
  }
  asmjit::CodeBuffer& buffer = code_.textSection()->buffer();
  const size_t size = a_.offset();
  if (a_.is_too_large()) throw CodeTooLarge();
  for (uint32_t fixup : frame_size_fixups_) std::memcpy(buffer.data() + fixup, &frame, 4);
  CodeSpace& space = CodeSpace::get();
  CodeSpace::Block block = space.allocate(size, CodeSpace::Use::function, request_.arena);
  if (!block) return {CompileResult::Status::no_memory, nullptr, "no memory for code"};
  struct Return {  // when there is no memory for the tables
    CodeSpace& space;
    CodeSpace::Block block;
    ~Return() { space.free(block); }
  } unpublished{space, block};
  std::memcpy(block.rw, buffer.data(), size);
  if (buffer.capacity() > kKeptBuffer) code_.reset(asmjit::ResetPolicy::kHard);
  std::unique_ptr<CodeObject> object;
  if (object_->marks.size() < kManyMarks) {
    object = std::make_unique<CodeObject>(*object_);  // a copy has no more memory than it needs
  } else {
    object_->marks.shrink_to_fit();
    object = std::make_unique<CodeObject>(std::move(*object_));
    *object_ = {};
    object_->tier = vm::Tier::baseline;
  }
  const CodeObject* published = space.publish(std::move(object), block);
  unpublished.block = {};
  return {CompileResult::Status::done, published, {}};
}

namespace {

class BaselineCompiler final : public Compiler {
 public:
  vm::Tier tier() const override { return vm::Tier::baseline; }
  CompileResult compile(const CompileRequest& request) override {
    try {
      // One that fails in the middle of something is not used again.
      std::unique_ptr<FunctionCompiler> compiler = take();
      CompileResult result = compiler->compile(request);
      std::lock_guard hold(lock_);
      idle_.push_back(std::move(compiler));
      return result;
    } catch (const CodeTooLarge&) {
      return {CompileResult::Status::unsupported, nullptr, "more machine code than its body is worth"};
    } catch (const std::bad_alloc&) {
      return {CompileResult::Status::no_memory, nullptr, {}};
    }
  }

 private:
  std::unique_ptr<FunctionCompiler> take() {
    std::lock_guard hold(lock_);
    if (idle_.empty()) {
      idle_.reserve(made_ + 1);  // so that nothing is missing when it comes back
      auto made = std::make_unique<FunctionCompiler>();
      ++made_;
      return made;
    }
    std::unique_ptr<FunctionCompiler> last = std::move(idle_.back());
    idle_.pop_back();
    return last;
  }

  std::mutex lock_;
  size_t made_ = 0;
  std::vector<std::unique_ptr<FunctionCompiler>> idle_;
};

}  // namespace
}  // namespace baseline

std::unique_ptr<Compiler> make_baseline_compiler() { return std::make_unique<baseline::BaselineCompiler>(); }

}  // namespace vmrun::jit
