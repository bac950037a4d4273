// The part of the C++ runtime that throws and catches, for guests compiled with -fwasm-exceptions: the packaged
// libc++abi for WebAssembly is built without it. Single-threaded. Follows the Itanium C++ ABI's exception handling
// chapter as far as guests need (no exception specifications, no foreign exceptions).
//
// How it works: `throw` is the WebAssembly instruction with the tag __cpp_exception and the address of the object's
// header. A landing pad of the compiler stores its index and its function's table (LSDA) into __wasm_lpad_context and
// calls _Unwind_CallPersonality, which decides which catch clause matches and leaves its number in the context.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <typeinfo>

// The tag every thrown C++ exception carries: one address.
__asm__(
    ".globl __cpp_exception\n"
    ".tagtype __cpp_exception i32\n"
    "__cpp_exception:\n");

namespace {

// The head of every type_info of this library's ABI: can_catch is its fifth virtual function.
class CatchableType : public std::type_info {
 public:
  virtual void noop1() const;
  virtual void noop2() const;
  virtual bool can_catch(const CatchableType* thrown, void*& object) const = 0;
};

struct Exception {
  const std::type_info* type;
  void* (*destructor)(void*);  // destructors return their object in this ABI
  Exception* next_caught;
  void* adjusted;  // the object as the matching clause sees it
  int handlers;    // catch blocks it is in; negative while rethrown from them
};
constexpr size_t kHeader = 32;  // keeps the object aligned to 16
static_assert(sizeof(Exception) <= kHeader);

Exception* header_of(void* object) { return reinterpret_cast<Exception*>(static_cast<char*>(object) - kHeader); }
void* object_of(Exception* e) { return reinterpret_cast<char*>(e) + kHeader; }

Exception* caught = nullptr;  // innermost first

void release(Exception* e) {
  if (e->destructor) e->destructor(object_of(e));
  std::free(e);
}

uint32_t uleb(const uint8_t*& p) {
  uint32_t value = 0;
  for (int shift = 0;; shift += 7) {
    uint8_t byte = *p++;
    value |= static_cast<uint32_t>(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return value;
  }
}

int32_t sleb(const uint8_t*& p) {
  uint32_t value = 0;
  for (int shift = 0;;) {
    uint8_t byte = *p++;
    value |= static_cast<uint32_t>(byte & 0x7f) << shift;
    shift += 7;
    if (byte & 0x80) continue;
    if (shift < 32 && byte & 0x40) value |= ~0u << shift;
    return static_cast<int32_t>(value);
  }
}

constexpr uint8_t kOmitted = 0xff;

}  // namespace

extern "C" {

struct LandingPadContext {
  uint32_t index;
  const uint8_t* lsda;
  uint32_t selector;
};
LandingPadContext __wasm_lpad_context = {};

// Chooses among the catch clauses of the landing pad in __wasm_lpad_context; selector 0 means a cleanup only.
int _Unwind_CallPersonality(void* thrown) {
  auto* e = static_cast<Exception*>(thrown);
  __wasm_lpad_context.selector = 0;
  const uint8_t* p = __wasm_lpad_context.lsda;
  if (!p) {  // catch (...) and nothing else
    e->adjusted = object_of(e);
    return 0;
  }
  if (*p++ != kOmitted) std::abort();  // no landing-pad base is ever given
  const uint8_t* types = nullptr;
  if (*p++ != kOmitted) {
    uint32_t distance = uleb(p);
    types = p + distance;
  }
  p++;  // call sites are unsigned LEB128
  uint32_t sites = uleb(p);
  const uint8_t* actions = p + sites;
  for (uint32_t i = 0; i < __wasm_lpad_context.index; i++) {
    uleb(p);
    uleb(p);
  }
  uleb(p);
  uint32_t action = uleb(p);
  if (action == 0) return 0;
  for (const uint8_t* a = actions + action - 1;;) {
    int32_t filter = sleb(a);
    const uint8_t* link = a;
    int32_t next = sleb(a);
    if (filter > 0) {
      auto* wanted = reinterpret_cast<const CatchableType* const*>(types)[-filter];
      void* object = object_of(e);
      if (!wanted || wanted->can_catch(static_cast<const CatchableType*>(e->type), object)) {
        e->adjusted = object;
        __wasm_lpad_context.selector = static_cast<uint32_t>(filter);
        return 0;
      }
    }
    if (next == 0) return 0;
    a = link + next;
  }
}

// Named by compiled functions as their personality; never called, for the landing pads call the function above.
int __gxx_wasm_personality_v0(int) { return 0; }

void* __cxa_allocate_exception(size_t size) noexcept {
  void* memory = std::calloc(1, kHeader + size);
  if (!memory) std::abort();
  return static_cast<char*>(memory) + kHeader;
}

void __cxa_free_exception(void* object) noexcept { std::free(header_of(object)); }

[[noreturn]] void __cxa_throw(void* object, std::type_info* type, void* (*destructor)(void*)) {
  Exception* e = header_of(object);
  e->type = type;
  e->destructor = destructor;
  __builtin_wasm_throw(0, e);
}

void* __cxa_begin_catch(void* thrown) noexcept {
  auto* e = static_cast<Exception*>(thrown);
  e->handlers = (e->handlers < 0 ? -e->handlers : e->handlers) + 1;
  if (caught != e) {
    e->next_caught = caught;
    caught = e;
  }
  return e->adjusted;
}

void __cxa_end_catch() {
  Exception* e = caught;
  if (e->handlers < 0) {  // it is on its way out again, by `throw;`
    if (++e->handlers == 0) caught = e->next_caught;
    return;
  }
  if (--e->handlers == 0) {
    caught = e->next_caught;
    release(e);
  }
}

[[noreturn]] void __cxa_rethrow() {
  Exception* e = caught;
  if (!e) std::terminate();
  e->handlers = -e->handlers;
  __builtin_wasm_throw(0, e);
}

void* __cxa_get_exception_ptr(void* thrown) noexcept { return static_cast<Exception*>(thrown)->adjusted; }

}  // extern "C"
