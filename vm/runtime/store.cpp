// Making and destroying what a store owns.
#include "vm/runtime/store.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "vm/base/assert.h"
#include "vm/base/tally.h"
#include "vm/runtime/machine_entry.h"
#include "vm/runtime/store_use.h"
#include "vm/runtime/table.h"

namespace vmrun::vm {
namespace {

Error limit(const std::string& what) { return Error(ErrorKind::Limit, what); }

/// Hands out consecutive parts of one allocation, or only adds up their sizes while there is none.
class Carver {
 public:
  explicit Carver(std::byte* base) : base_(base) {}
  template <class T>
  T* take(size_t count) {
    used_ = (used_ + alignof(T) - 1) & ~(alignof(T) - 1);
    T* result = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += count * sizeof(T);
    return result;
  }
  size_t used() const { return used_; }

 private:
  std::byte* base_;
  size_t used_ = 0;
};

/// The instance and its arrays, in the order of what a call touches most. Their sizes cannot overflow: vm/wasm/limits.h bounds
/// the counts.
Instance* carve(Carver& carver, const Module& module) {
  Instance* instance = carver.take<Instance>(1);
  Instance parts;
  parts.own_globals = carver.take<GlobalInst>(module.globals.size() - module.imported_globals);
  parts.globals = carver.take<GlobalInst*>(module.globals.size());
  parts.memories = carver.take<MemoryInst*>(module.memories.size());
  parts.tables = carver.take<TableInst*>(module.tables.size());
  parts.tags = carver.take<TagInst*>(module.tags.size());
  parts.own_tags = carver.take<TagInst>(module.tags.size() - module.imported_tags);
  parts.dropped_elems = carver.take<uint8_t>(module.elems.size());
  parts.dropped_datas = carver.take<uint8_t>(module.datas.size());
  parts.funcs = carver.take<FuncRecord*>(module.funcs.size());
  parts.own_funcs = carver.take<FuncRecord>(module.funcs.size() - module.imported_funcs);
  if (instance != nullptr) new (instance) Instance(parts);
  return instance;
}

}  // namespace

Store::Store(std::shared_ptr<MemoryPool> pool, std::shared_ptr<TypeRegistry> registry, const Limits& limits,
             std::shared_ptr<Budget> budget)
    : pool_(std::move(pool)),
      registry_(std::move(registry)),
      budget_(budget != nullptr
                  ? std::move(budget)
                  : std::make_shared<Budget>(limits.memory_bytes, limits.table_elements, limits.exception_bytes)),
      limits_(limits),
      exns_(*this) {
  vcpu_.store = this;
  vcpu_.helpers = machine_helpers.load(std::memory_order_acquire);
}

void Store::need_stack() {
  if (has_stack() || stack_error_) return;
  Result<std::byte*> stack = pool_->acquire_stack(limits_.stack_bytes);
  if (!stack) {
    stack_error_ = std::move(stack).error();
    return;
  }
  use_stack(*stack, limits_.stack_bytes);
}

void Store::take_room(Room room) {
  if (has_stack()) return;
  VMRUN_ASSERT(room.shape().shared % alignof(Slot[2]) == 0, "an aligned VM stack");
  room_ = std::move(room);
  stack_error_.reset();
  use_stack(room_.stack(), std::min<uint64_t>(limits_.stack_bytes, room_.shape().stack_bytes()));
}

void Store::use_stack(std::byte* base, uint64_t bytes) {
  stack_bytes_ = bytes;
  vcpu_.stack_base = base;
  vcpu_.stack_end = base + bytes;
  std::atomic_ref(vcpu_.stack_limit).store(vcpu_.stack_end, std::memory_order_relaxed);  // it is in the list already
  vcpu_.area = MemoryPool::area_of(base, bytes);
}

Store::~Store() {
  if (const std::optional<Error> other = other_user(*this)) misuse("a store is destroyed, but " + other->message);
  if (vcpu_.activation != nullptr) {
    misuse(
        "a store is destroyed while a guest of it has frames: it was destroyed by a host function, or a host "
        "function was left by longjmp");
  }
  if (group != nullptr) group->leave(*this);
  undo({0, 0, 0, 0, funcs_.size(), host_envs_.size()});  // host functions may own what their instances use
  if (room_) {
    pool_->tidy(room_, vcpu_.area, room_memory_dirty_);
  } else if (has_stack()) {
    pool_->release_stack(vcpu_.stack_base, stack_bytes_);
  }
}

Result<MemoryMapping> Store::reserve_memory(const MemoryType& type, uint64_t bytes, uint64_t max_bytes) {
  const bool room = room_ && !room_memory_used_ && !type.shared;
  const uint64_t reserved = room ? pool_->unguarded_reservation(type, bytes, max_bytes) : 0;
  if (reserved < bytes || reserved == 0 || reserved > room_.shape().memory_bytes()) {
    return pool_->acquire(type, bytes, max_bytes);
  }
  pool_->clear_memory(room_, std::exchange(room_memory_dirty_, 0));
  room_memory_used_ = true;
  return MemoryMapping{.base = room_.memory(),
                       .reserved = reserved,
                       .accessible = reserved,
                       .guarded = false,
                       .pooled = false,
                       .roomed = true};
}

void Store::room_memory_left(uint64_t bytes) {
  room_memory_used_ = false;
  room_memory_dirty_ = bytes;
}

void Store::destroy(TableInst& table) {
  credit_table(table.size);
  std::free(table.elems);
}

void Store::undo(const Mark& mark) {
  for (; tables_.size() > mark.tables; tables_.pop_back()) destroy(*tables_.back());
  for (; memories_.size() > mark.memories;) memories_.pop_back();
  instances_.erase(instances_.begin() + static_cast<ptrdiff_t>(mark.instances), instances_.end());
  modules_.erase(modules_.begin() + static_cast<ptrdiff_t>(mark.modules), modules_.end());
  funcs_.resize(mark.funcs);
  host_codes_.resize(mark.funcs);
  host_envs_.resize(mark.host_envs);
}

Result<MemoryInst*> Store::new_memory(const MemoryType& type) {
  // First the memory, then its place: a hook that makes it may make another one of the store meanwhile. Without a place
  // the memory goes with its owner.
  Result<std::shared_ptr<MemoryOwner>> made = make_memory(pool_, budget_, type, this);
  if (!made) return std::move(made).error();
  memories_.push_back(*std::move(made));
  return &memories_.back()->inst;
}

MemoryInst* Store::attach(std::shared_ptr<MemoryOwner> memory) {
  VMRUN_ASSERT(memory->pool == pool_ && memory->inst.type.shared, "a memory that this store cannot use");
  MemoryInst* inst = &memory->inst;
  if (!keeps(*inst)) memories_.push_back(std::move(memory));
  return inst;
}

std::shared_ptr<MemoryOwner> Store::owner_of(const MemoryInst& memory) const {
  for (const auto& owner : memories_) {
    if (&owner->inst == &memory) return owner;
  }
  return nullptr;
}

bool Store::keeps(const MemoryInst& memory) const {
  for (const auto& owner : memories_) {
    if (&owner->inst == &memory) return true;
  }
  return false;
}

Result<TableInst*> Store::new_table(const TableType& type, Ref init) {
  const uint64_t size = type.limits.min;
  TableInst* table = tables_.emplace_back(std::make_unique<TableInst>()).get();
  if (size > kMostTableElements || !charge_table(size)) {
    tables_.pop_back();
    return limit("a table of " + std::to_string(size) + " elements exceeds the limit of " +
                 std::to_string(std::min(limits_.table_elements, kMostTableElements)));
  }
  Ref* elems = nullptr;
  if (size != 0) {
    // Null is all zeros, and calloc has those for nothing.
    elems = static_cast<Ref*>(init.is_null() ? std::calloc(size, sizeof(Ref)) : std::malloc(size * sizeof(Ref)));
    if (elems == nullptr) {
      tables_.pop_back();
      credit_table(size);
      return limit("out of memory for a table of " + std::to_string(size) + " elements");
    }
    if (!init.is_null()) std::fill_n(elems, size, init);
  }
  table->elems = elems;
  table->size = size;
  table->capacity = size;
  table->type = type;
  table->max = std::min(type.limits.max.value_or(most_elements(type.limits.is64)), kMostTableElements);
  table->store = this;
  return table;
}

GlobalInst* Store::new_global(const GlobalType& type, const Slot value[2]) {
  auto global = std::make_unique<GlobalInst>();
  global->type = type;
  global->value[0] = value[0];
  if (type.type.slots() == 2) global->value[1] = value[1];
  globals_.push_back(std::move(global));
  return globals_.back().get();
}

TagInst* Store::new_tag(TypeId type) {
  tags_.push_back(std::make_unique<TagInst>());
  tags_.back()->type = type;
  tags_.back()->payload_slots = registry_->get(type).func.param_slots;
  return tags_.back().get();
}

FuncRecord* Store::new_host_func(TypeId type, HostFn fn, std::shared_ptr<void> env) {
  need_stack();
  if (env.use_count() != 0) host_envs_.push_back(env);
  auto record = std::make_unique<FuncRecord>();
  record->type = type;
  record->host = fn;
  record->host_env = env.get();
  record->code = host_codes_.emplace_back(std::make_unique<FuncCode>()).get();
  record->code->host = record.get();
  record->code->machine.store(lazy_machine_entry(), std::memory_order_relaxed);
  funcs_.push_back(std::move(record));
  return funcs_.back().get();
}

void Store::share(std::shared_ptr<const SharedFuncs> funcs, std::shared_ptr<void> env) {
  VMRUN_ASSERT(shared_env_ == nullptr && env != nullptr, "a store shares functions once");
  shared_funcs_ = std::move(funcs);
  shared_env_ = std::move(env);
}

bool Store::share_as(const Store& other) {
  if (shared_env_ == nullptr) {
    shared_funcs_ = other.shared_funcs_;
    shared_env_ = other.shared_env_;
  }
  return shared_env_ == other.shared_env_;
}

Ref Store::new_extern(void* value) {
  std::unique_ptr<ExternCell>& cell = externs_[value];
  if (cell == nullptr) {
    cell = std::make_unique<ExternCell>();
    cell->value = value;
  }
  return Ref::of(cell.get());
}

void Store::set_native_stack(void* lowest, size_t bytes) {
  if (vcpu_.activation != nullptr) {
    misuse(
        "a task began or ended whose store has a guest in a call elsewhere: a store is used by one task or thread at a "
        "time");
  }
  const NativeStack stack = lowest != nullptr ? NativeStack::of(lowest, bytes) : NativeStack{};
  vcpu_.fiber_floor = stack.floor;
  named_stack_room_ = stack.room;
  named_stack_reserve_ = stack.reserve;
}

bool Store::owns(const FuncRecord* record) {
  for (; instances_in_ranges_ < instances_.size(); ++instances_in_ranges_) {
    const Instance& instance = *instances_[instances_in_ranges_];
    const size_t own = instance.module->funcs.size() - instance.module->imported_funcs;
    if (own != 0) func_ranges_.emplace(instance.own_funcs, instance.own_funcs + own);
  }
  for (; funcs_in_ranges_ < funcs_.size(); ++funcs_in_ranges_) {
    const FuncRecord* host = funcs_[funcs_in_ranges_].get();
    func_ranges_.emplace(host, host + 1);
  }
  const auto after = func_ranges_.upper_bound(record);
  if (after != func_ranges_.begin()) {
    const auto [begin, end] = *std::prev(after);
    const uint64_t offset = reinterpret_cast<uintptr_t>(record) - reinterpret_cast<uintptr_t>(begin);
    if (record < end) return offset % sizeof(FuncRecord) == 0;
  }
  return shared_funcs_ != nullptr && shared_funcs_->holds(record);
}

bool Store::owns(const ExternCell* cell) const {
  const auto found = externs_.find(cell->value);
  return found != externs_.end() && found->second.get() == cell;
}

void Store::InstanceFree::operator()(Instance* instance) const {
  instance->~Instance();
  std::free(instance);
}

Result<Instance*> Store::new_instance(std::shared_ptr<const Module> module_ptr) {
  if (instances_.size() >= limits_.instances) {
    return limit("more than " + std::to_string(limits_.instances) + " instances");
  }
  need_stack();
  if (stack_error_) return *stack_error_;
  const Module& module = *module_ptr;
  if (instances_.size() == instances_.capacity()) instances_.reserve(std::max<size_t>(16, 2 * instances_.size()));
  if (modules_.empty() || modules_.back() != module_ptr) modules_.push_back(std::move(module_ptr));
  Carver sizes(nullptr);
  carve(sizes, module);
  void* block = std::calloc(1, sizes.used());
  if (block == nullptr) return limit("out of memory for an instance of " + std::to_string(sizes.used()) + " bytes");
  count(tally.instances);
  Carver parts(static_cast<std::byte*>(block));
  Instance* instance = carve(parts, module);
  instances_.emplace_back(instance);

  instance->module = &module;
  instance->store = this;
  instance->vcpu = &vcpu_;
  for (size_t i = module.imported_globals; i < module.globals.size(); ++i) {
    GlobalInst* own = new (instance->own_globals + (i - module.imported_globals)) GlobalInst;
    own->type = module.globals[i].type;
    instance->globals[i] = own;
  }
  for (size_t i = module.imported_tags; i < module.tags.size(); ++i) {
    TagInst* own = new (instance->own_tags + (i - module.imported_tags)) TagInst;
    own->type = module.tags[i].type;
    own->payload_slots = registry_->get(own->type).func.param_slots;
    instance->tags[i] = own;
  }
  for (size_t i = module.imported_funcs; i < module.funcs.size(); ++i) {
    const uint32_t index = static_cast<uint32_t>(i);
    FuncRecord* own = new (instance->own_funcs + (i - module.imported_funcs)) FuncRecord;
    own->type = module.funcs[i].type;
    own->func_index = index;
    own->instance = instance;
    own->code = &module.code(index);
    instance->funcs[i] = own;
  }
  return instance;
}

std::shared_ptr<const Module> Store::module_of(const Instance& instance) const {
  const auto it = std::find_if(modules_.begin(), modules_.end(),
                               [&](const auto& module) { return module.get() == instance.module; });
  VMRUN_ASSERT(it != modules_.end(), "an instance of another store");
  return *it;
}

}  // namespace vmrun::vm
