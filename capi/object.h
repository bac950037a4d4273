// What handles of the C API name beside a store's own things: objects that are counted, each with the host's information.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "vmrun/base/error.h"
#include "vmrun/module.h"

namespace vmrun::capi {

enum class Kind : uint8_t { Func, Global, Table, Memory, Tag, Instance, Module, Trap, Foreign, Opaque };
inline bool is_extern(Kind kind) { return kind <= Kind::Tag; }

/// A pointer of the host's on a thing. Its finalizer is called when it goes: with the thing, or for another one.
class HostInfo {
 public:
  HostInfo() = default;
  ~HostInfo() { set(nullptr, nullptr); }
  HostInfo(const HostInfo&) = delete;
  HostInfo& operator=(const HostInfo&) = delete;

  void* get() const { return info_; }
  void set(void* info, void (*finalizer)(void*)) {
    void* const old = std::exchange(info_, info);
    auto* const finish = std::exchange(finalizer_, finalizer);
    if (finish != nullptr) finish(old);
  }

 private:
  void* info_ = nullptr;
  void (*finalizer_)(void*) = nullptr;
};

/// Something with an identity of its own. A guest that gets it as an externref holds its address.
struct Object {
  explicit Object(Kind k, void* t = nullptr) : kind(k), thing(t) {}
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  const Kind kind;
  void* const thing;  // for one of a store's own things: which
  HostInfo info;
};
using ObjectPtr = std::shared_ptr<Object>;

struct ModuleObject : Object {
  explicit ModuleObject(Module m) : Object(Kind::Module), module(std::move(m)) {}
  const Module module;
};

struct StoreState;

/// Why a call ended. An exception in it is pinned in its store for as long as both live.
struct TrapObject : Object {
  TrapObject(const std::shared_ptr<StoreState>& state, Error e);
  ~TrapObject() override;
  Error error;

 private:
  const std::weak_ptr<StoreState> store_;
};

}  // namespace vmrun::capi
