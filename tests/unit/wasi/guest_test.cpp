// Compiled C programs on the whole machine: each checks itself and prints "ok".
#include <sys/socket.h>
#include <sys/un.h>

#include <thread>

#include "tests/unit/wasi/host.h"
#include "vmrun/vmrun.h"
#include "vmrun/wasi.h"

using namespace vmrun;
using wasi::HostFd;
using wasi::TempDir;

namespace {

struct Run {
  int status = -1;  // of exit; 0 when the program returned
  std::string error;
  std::string out;
};

/// Runs the program `name`, with standard output and error going to files.
Run run(const char* name, WasiConfig config, const TempDir& t, bool walk = false) {
  Run result;
  HostFd out(::open((t / "stdout").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  HostFd err(::open((t / "stderr").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  config.stdout_fd(out.get()).stderr_fd(err.get());

  Engine engine;
  auto module = Module::compile_file(engine, std::string(VMRUN_FIXTURES "/") + name + ".wasm");
  REQUIRE_MESSAGE(module.ok(), module.error().to_string());
  Store store(engine);
  Linker linker(engine);
  auto context = WasiContext::create(config);
  REQUIRE(context.ok());
  if (walk) context->impl()->resolver.force_walk();
  REQUIRE(add_wasi(linker, *context).ok());
  auto instance = linker.instantiate(store, *module);
  REQUIRE_MESSAGE(instance.ok(), instance.error().to_string());
  auto start = instance->func("_start")->typed<void()>();
  REQUIRE(start.ok());
  auto r = start->call();
  if (r.ok()) {
    result.status = 0;
  } else if (r.error().kind == ErrorKind::Exit) {
    result.status = r.error().exit_status;
  } else {
    result.error = r.error().to_string();
  }
  result.out = t.get("stdout");
  return result;
}

void expect_ok(const char* name, bool walk = false) {
  TempDir t;
  Run r = run(name, WasiConfig().arg(name).preopen_dir(t.box(), "/"), t, walk);
  CHECK(r.error == "");
  CHECK(r.out.substr(r.out.size() < 3 ? 0 : r.out.size() - 3) == "ok\n");
  if (r.status != 0) MESSAGE(r.out);
  CHECK(r.status == 0);
  CHECK(t.get("secret") == "out of bounds");
}

}  // namespace

TEST_CASE("a program works with files") {
  expect_ok("wasi_files");
  expect_ok("wasi_files", true);
}
TEST_CASE("a program works with directories and links") {
  expect_ok("wasi_dirs");
  expect_ok("wasi_dirs", true);
}
TEST_CASE("a program reads clocks, sleeps, polls and draws random bytes") { expect_ok("wasi_time"); }
TEST_CASE("a program uses the predecessor's calls") { expect_ok("wasi_unstable"); }

TEST_CASE("a program gets arguments, variables, input, and sets its exit status") {
  TempDir t;
  t.put("input", "one\ntwo\n");
  HostFd in(::open((t / "input").c_str(), O_RDONLY | O_CLOEXEC));
  Run r = run("wasi_env",
              WasiConfig().args({"prog", "7", "two words"}).env("A", "1").env("B", "x=y").stdin_fd(in.get()), t);
  CHECK(r.error == "");
  CHECK(r.status == 7);
  CHECK(r.out == "arg 0: prog\narg 1: 7\narg 2: two words\nenv A=1\nenv B=x=y\nin one\nin two\n");
  CHECK(t.get("stderr") == "to stderr\n");
  CHECK(run("wasi_env", WasiConfig().args({"prog", "0"}), t).status == 0);
}

TEST_CASE("a raised signal ends the program, or does not") {
  TempDir t;
  auto raise = [&](const char* number) { return run("wasi_raise", WasiConfig().args({"prog", number}), t); };
  CHECK(raise("6").status == 134);
  CHECK(raise("15").status == 143);
  CHECK(raise("0").out == "0\n");
  CHECK(raise("17").out == "0\n");
  CHECK(raise("18").out == "58\n");
  CHECK(raise("31").out == "28\n");
}

TEST_CASE("a program serves a connection on a listener it was given") {
  TempDir t;
  HostFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = t / "sock";
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  std::string echoed;
  std::thread client([&] {
    HostFd s(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(s.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return;
    if (::send(s.get(), "over the wire", 13, MSG_NOSIGNAL) != 13) return;
    ::shutdown(s.get(), SHUT_WR);
    char buffer[64];
    for (ssize_t n; (n = ::recv(s.get(), buffer, sizeof(buffer), 0)) > 0;)
      echoed.append(buffer, static_cast<size_t>(n));
  });
  Run r = run("wasi_echo", WasiConfig().arg("prog").preopen_socket(listener.get()), t);
  client.join();
  CHECK(r.error == "");
  CHECK(r.out == "ok\n");
  CHECK(echoed == "OVER THE WIRE");
}

TEST_CASE("an image does not become the standard input that a process does not have") {
  TempDir t;
  // A large section is left in the file, which stays open.
  std::string image = std::string("\0asm\1\0\0\0", 8) + std::string("\0\x86\x80\x40\5.more", 10);
  t.put("large.wasm", image + std::string(1 << 20, 'x'));
  Engine engine;
  HostFd saved(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  REQUIRE(saved);
  ::close(STDIN_FILENO);
  auto module = Module::compile_file(engine, t / "large.wasm");
  auto context = WasiContext::create(WasiConfig().inherit_stdio());
  const bool closed = ::fcntl(STDIN_FILENO, F_GETFD) < 0;
  ::dup2(saved.get(), STDIN_FILENO);
  REQUIRE_MESSAGE(module.ok(), module.error().to_string());
  REQUIRE(context.ok());
  CHECK(closed);
  CHECK(context->impl()->fds.get(0) == nullptr);
  CHECK(context->impl()->fds.get(1) != nullptr);
}
