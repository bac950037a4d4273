// Names of the machine's own structures. Opaque here: the public API passes pointers to them around and never looks in.
#pragma once

namespace vmrun::vm {
class Module;
class RunClock;
class Store;
class TypeRegistry;
struct FuncRecord;
struct GlobalInst;
struct Instance;
struct MemoryInst;
struct MemoryOwner;
struct TableInst;
struct TagInst;
struct Vcpu;
}  // namespace vmrun::vm

#pragma GCC visibility push(default)
namespace vmrun {
class Caller;
class Engine;
class Func;
class Global;
class Instance;
class Linker;
class Memory;
class Module;
class SharedMemory;
class Store;
class Table;
class Tag;
}  // namespace vmrun
#pragma GCC visibility pop
