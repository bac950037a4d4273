// How soon a large module that is loaded from stored code answers its first call.
//
//   first_call [--megabytes N] [--runs N] [IMAGE.cwasm EXPORT]
//
// Without an image it makes one of N megabytes (10): functions of some 550 bytes, as compilers make them, a data
// segment of a megabyte, and an export that calls ten of the functions. Each run is a process of its own, which has an
// engine already, loads the compiled image from its file, makes an instance and calls the export. An export has no
// parameters; imports trap.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "vmrun/vmrun.h"

namespace {

using namespace vmrun;
using Bytes = std::vector<uint8_t>;

void number(Bytes& out, uint64_t value) {
  do {
    out.push_back(static_cast<uint8_t>((value & 0x7f) | (value > 0x7f ? 0x80 : 0)));
  } while ((value >>= 7) != 0);
}
void append(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }
void section(Bytes& out, uint8_t id, const Bytes& body) {
  out.push_back(id);
  number(out, body.size());
  append(out, body);
}
void sized(Bytes& out, const Bytes& body) {
  number(out, body.size());
  append(out, body);
}

/// Functions of (i32) -> i32, and `first`: () -> i32, which calls ten of them that lie far apart.
Bytes make_image(size_t megabytes) {
  constexpr size_t kBody = 550;
  const size_t funcs = megabytes * 1'000'000 / kBody;
  Bytes types{2, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 1, 0x7f}, kinds, exports, code, datas,
      image{0, 'a', 's', 'm', 1, 0, 0, 0};
  number(kinds, funcs + 1);
  number(code, funcs + 1);
  for (size_t i = 0; i < funcs; ++i) {
    kinds.push_back(0);
    Bytes body{0, 0x20, 0};  // local.get 0
    while (body.size() < kBody - 10) {
      body.insert(body.end(), {0x20, 0, 0x41});  // local.get 0; i32.const
      number(body, (i * 7 + body.size()) & 0x3f);
      body.insert(body.end(), {0x6a, 0x73});  // i32.add; i32.xor
    }
    body.push_back(0x0b);
    sized(code, body);
  }
  kinds.push_back(1);
  Bytes first{0, 0x41, 1};
  for (size_t i = 0; i < 10; ++i) {
    first.push_back(0x10);  // call
    number(first, i * (funcs / 10));
  }
  first.push_back(0x0b);
  sized(code, first);
  exports = {1, 5, 'f', 'i', 'r', 's', 't', 0};
  number(exports, funcs);
  datas = {1, 0, 0x41, 0, 0x0b};
  sized(datas, Bytes(1'000'000, 0x55));
  section(image, 1, types);
  section(image, 3, kinds);
  section(image, 5, {1, 0, 32});
  section(image, 7, exports);
  section(image, 10, code);
  section(image, 11, datas);
  return image;
}

/// In a process of its own, whose engines die with it.
template <class F>
bool in_child(F&& f) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    f();
    std::fflush(stdout);
    _exit(0);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && status == 0;
}

struct Times {
  double load, instantiate, call;
  double all() const { return load + instantiate + call; }
};

Times measure(const std::string& file, const std::string& name) {
  using Clock = std::chrono::steady_clock;
  const Engine engine;
  const auto t0 = Clock::now();
  const Module module = Module::deserialize_file(engine, file).value();
  const auto t1 = Clock::now();
  Store store(engine);
  Linker linker(engine);
  linker.unknown_imports_trap(true);
  const Instance instance = linker.instantiate(store, module).value();
  const auto t2 = Clock::now();
  const auto done = instance.func(name).value().call({});
  const auto t3 = Clock::now();
  if (!done && done.error().kind != ErrorKind::Trap) (void)done.value();
  const auto us = [](auto time) { return std::chrono::duration<double, std::micro>(time).count(); };
  return {us(t1 - t0), us(t2 - t1), us(t3 - t2)};
}

}  // namespace

int main(int argc, char** argv) {
  size_t megabytes = 10, runs = 21;
  int at = 1;
  for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
    size_t& value = std::strcmp(argv[at], "--runs") == 0 ? runs : megabytes;
    value = std::max<size_t>(1, std::strtoull(argv[at + 1], nullptr, 10));
  }
  std::string file, name = "first";
  const bool made = at + 1 >= argc;
  if (made) {
    file = (std::filesystem::temp_directory_path() / ("first_call-" + std::to_string(getpid()) + ".cwasm")).string();
    if (!in_child([&] {
          const Engine engine;
          const Bytes image = make_image(megabytes);
          const Bytes compiled = Module::compile(engine, image).value().serialize().value();
          std::ofstream(file, std::ios::binary)
              .write(reinterpret_cast<const char*>(compiled.data()), static_cast<std::streamsize>(compiled.size()));
          std::printf("an image of %zu bytes, compiled %zu\n", image.size(), compiled.size());
        })) {
      return 1;
    }
  } else {
    file = argv[at];
    name = argv[at + 1];
  }
  int channel[2];
  if (pipe(channel) != 0) return 1;
  std::vector<Times> all;
  for (size_t i = 0; i < runs; ++i) {
    Times times;
    if (!in_child([&] {
          const Times mine = measure(file, name);
          if (write(channel[1], &mine, sizeof mine) != sizeof mine) _exit(1);
        }) ||
        read(channel[0], &times, sizeof times) != sizeof times) {
      return 1;
    }
    all.push_back(times);
  }
  if (made) std::filesystem::remove(file);
  std::sort(all.begin(), all.end(), [](const Times& a, const Times& b) { return a.all() < b.all(); });
  for (const auto& [what, t] : {std::pair{"best", all.front()}, std::pair{"median", all[all.size() / 2]}}) {
    std::printf("%s: load %.0f us, instantiate %.0f us, first call %.0f us; together %.0f us\n", what, t.load,
                t.instantiate, t.call, t.all());
  }
  return 0;
}
