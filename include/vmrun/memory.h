// Memory, Table, Global, Tag: handles to things that live in a store. Copying a handle is cheap and makes no new thing.
// A handle is valid while its store lives, and is used by the thread that uses the store. A reference that enters a
// table, a global or an exception belongs to the same store; another one is a Usage error.
//
// SharedMemory: what several stores, and so guests on several threads, use at the same time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "vmrun/base/result.h"
#include "vmrun/fwd.h"
#include "vmrun/types.h"
#include "vmrun/value.h"

#pragma GCC visibility push(default)
namespace vmrun {

/// A linear memory.
class Memory {
 public:
  /// Errors: Limit, Usage (a type that validation would refuse).
  static Result<Memory> create(Store& store, const MemoryType& type);

  /// The current contents. The base address stays for the memory's life and the size only grows: a span stays good, but
  /// take a new one after the guest has run or the memory has grown. Of a shared memory, guests on other threads may
  /// read and write it meanwhile.
  std::span<std::byte> data() const;
  uint64_t size_bytes() const;
  uint64_t size_pages() const;
  uint64_t page_size() const;
  /// Grows by `delta` pages; returns the previous size in pages. Errors: Limit.
  Result<uint64_t> grow(uint64_t delta);
  /// With the current size as its minimum.
  MemoryType type() const;

  /// `size` bytes at `address`, or an empty span with data() == nullptr when they are not all inside. An empty range
  /// inside gives a non-null data().
  std::span<std::byte> range(uint64_t address, uint64_t size) const;

  /// The same memory, for use in other stores; nothing unless it is shared and of `store`.
  std::optional<SharedMemory> shared(Store& store) const;

  explicit Memory(vm::MemoryInst* impl) : impl_(impl) {}
  vm::MemoryInst* impl() const { return impl_; }
  friend bool operator==(Memory, Memory) = default;

 private:
  vm::MemoryInst* impl_;
};

/// A linear memory of shared type, which stores of one engine use together: guests of each see what the others write, and
/// wait for each other by memory.atomic.wait and notify. It belongs to no store. Each store that it is used in keeps it, and
/// so does each handle; the last one to go frees it. Copies mean the same memory. Any thread.
class SharedMemory {
 public:
  /// `type.shared` is set and there is a maximum. `most_bytes` limits growth below that; the limits of the stores do not
  /// count (those of Memory::create do). Errors: Limit, Usage (a type that validation would refuse).
  static Result<SharedMemory> create(const Engine& engine, const MemoryType& type, uint64_t most_bytes = UINT64_MAX);

  /// The memory as something to import in `store`, which keeps it from now on. By the thread that uses the store. Errors:
  /// Usage (of another engine).
  Result<Memory> in(Store& store) const;

  /// As those of Memory. Guests may read and write the contents, and grow the memory, at the same time.
  std::span<std::byte> data() const;
  uint64_t size_pages() const;
  Result<uint64_t> grow(uint64_t delta);
  MemoryType type() const;

  explicit SharedMemory(std::shared_ptr<vm::MemoryOwner> impl) : impl_(std::move(impl)) {}
  const std::shared_ptr<vm::MemoryOwner>& impl() const { return impl_; }
  friend bool operator==(const SharedMemory&, const SharedMemory&) = default;

 private:
  std::shared_ptr<vm::MemoryOwner> impl_;
};

/// A table of references.
class Table {
 public:
  /// Errors: Limit, Usage.
  static Result<Table> create(Store& store, const TableType& type, const Val& init);

  uint64_t size() const;
  /// Errors: Usage (index beyond the size, a value of the wrong type).
  Result<Val> get(uint64_t index) const;
  Result<void> set(uint64_t index, const Val& value);
  /// Returns the previous size. Errors: Limit, Usage.
  Result<uint64_t> grow(uint64_t delta, const Val& init);
  /// With the current size as its minimum.
  TableType type() const;

  explicit Table(vm::TableInst* impl) : impl_(impl) {}
  vm::TableInst* impl() const { return impl_; }
  friend bool operator==(Table, Table) = default;

 private:
  vm::TableInst* impl_;
};

/// A global variable.
class Global {
 public:
  /// Errors: Usage (`value` is not of the type).
  static Result<Global> create(Store& store, const GlobalType& type, const Val& value);

  GlobalType type() const;
  Val get() const;
  /// Errors: Usage (immutable, or of another type).
  Result<void> set(const Val& value);

  Global(vm::Store* store, vm::GlobalInst* impl) : store_(store), impl_(impl) {}
  vm::GlobalInst* impl() const { return impl_; }
  vm::Store* store() const { return store_; }
  friend bool operator==(Global, Global) = default;

 private:
  vm::Store* store_;
  vm::GlobalInst* impl_;
};

/// The identity and parameter types of a kind of exception.
class Tag {
 public:
  static Result<Tag> create(Store& store, const TagType& type);
  TagType type() const;

  /// A new exception of this tag, for Caller::throw_exception. Keep it (Store::pin) before running guests in between.
  /// Errors: Usage; Limit beyond StoreLimits::exception_bytes.
  Result<Val> exception(std::span<const Val> values) const;
  /// Whether `exnref` is an exception of this store with this tag.
  bool names(Ref exnref) const;
  /// What the exception carries; nothing unless names(exnref).
  std::vector<Val> values(Ref exnref) const;

  Tag(vm::Store* store, vm::TagInst* impl) : store_(store), impl_(impl) {}
  vm::TagInst* impl() const { return impl_; }
  vm::Store* store() const { return store_; }
  friend bool operator==(Tag, Tag) = default;

 private:
  vm::Store* store_;
  vm::TagInst* impl_;
};

}  // namespace vmrun
#pragma GCC visibility pop
