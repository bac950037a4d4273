// Instantiation (spec 4.5.4) over the machine's structures; Instance and Linker are its two front ends.
#pragma once

#include <memory>
#include <span>

#include "vm/runtime/instance.h"
#include "vm/runtime/store.h"
#include "vm/wasm/module.h"
#include "vmrun/instance.h"

namespace vmrun::engine {

/// Something to import: a FuncRecord, TableInst, MemoryInst, GlobalInst or TagInst.
struct ImportItem {
  vm::ExternKind kind;
  void* what;
};

ImportItem to_item(const Extern& item);
/// Whether instances of `store` may import it.
bool belongs_to(const Extern& item, const vm::Store& store);
Extern to_extern(vm::Store& store, ImportItem item);
/// The export as an item.
ImportItem exported(const vm::Instance& instance, const vm::Export& item);

/// Whether images with such instructions are executed, and on this processor. Errors: Unsupported.
Result<void> check_supported(const vm::Module& module);
/// Takes back what the store makes while this lives, unless something refers to it.
class Unfinished {
 public:
  explicit Unfinished(vm::Store& store) : store_(store), mark_(store.mark()) {}
  ~Unfinished() {
    if (!kept_) store_.undo(mark_);
  }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  void keep() { kept_ = true; }

 private:
  vm::Store& store_;
  vm::Store::Mark mark_;
  bool kept_ = false;
};
/// Makes an instance of `module` with `imports` in order. From when on others may refer to the instance, `unfinished` is
/// kept. Its start function is still to be run.
Result<vm::Instance*> make_instance(vm::Store& store, std::shared_ptr<const vm::Module> module,
                                    std::span<const ImportItem> imports, Unfinished& unfinished);
/// Calls the start function, if there is one.
Result<void> run_start(vm::Store& store, const vm::Instance& instance);
/// Both.
Result<vm::Instance*> instantiate(vm::Store& store, std::shared_ptr<const vm::Module> module,
                                  std::span<const ImportItem> imports, Unfinished& unfinished);

}  // namespace vmrun::engine
