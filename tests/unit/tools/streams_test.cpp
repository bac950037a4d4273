// The command's standard streams and directories as a guest gets them: closed ones, shared ones, pipes without a
// reader.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/unit/tools/command.h"

using vmrun::test::fixture;
using vmrun::test::run_vmrun;
using vmrun::test::TemporaryDirectory;

namespace {

struct Shell {
  int status = -1;
  std::string out;
};

/// What the shell prints and answers for `command`, in which $V is the command, $D the directory and $G the guest.
Shell shell(const TemporaryDirectory& dir, const std::string& command) {
  const std::string line = "cd '" + dir.path() + "'; V='" VMRUN_COMMAND "'; D='" + dir.path() + "'; G='" +
                           fixture("wasi_streams") + "'\n" + command;
  Shell result;
  const std::string script = dir.write("script", line);
  std::FILE* pipe = ::popen(("bash '" + script + "'").c_str(), "re");
  REQUIRE(pipe != nullptr);
  char block[4096];
  for (size_t n; (n = std::fread(block, 1, sizeof block, pipe)) > 0;) result.out.append(block, n);
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return result;
}

std::string text_of(const TemporaryDirectory& dir, const std::string& name) {
  std::ifstream in(dir.path() + "/" + name);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A section that is left out of memory, so that the image's file stays open while it runs.
std::string with_large_section(const std::string& image) {
  std::ifstream in(image, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const std::string name = "\x06.extra";
  const uint32_t size = static_cast<uint32_t>(name.size()) + (3 << 20);
  bytes += '\0';
  for (uint32_t left = size; left != 0; left >>= 7) {
    bytes += static_cast<char>((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
  }
  return bytes + name + std::string(3 << 20, 'x');
}

}  // namespace

TEST_CASE("streams that are closed at the start give the guest nothing") {
  TemporaryDirectory dir;
  const std::string small = fixture("wasi_streams"), large = dir.write("large.wasm", with_large_section(small));
  for (const std::string& image : {small, large}) {
    CAPTURE(image);
    CHECK(shell(dir, "$V --dir $D::/ '" + image + "' closed 0<&- 1>&- 2>&-").status == 0);
    CHECK(text_of(dir, "report") == "in closed out closed err closed stat closed\n");
    CHECK(text_of(dir, "first") == "kept\n");
    CHECK(text_of(dir, "second") == "");
    CHECK(shell(dir, "$V --dir $D::/ '" + image + "' closed 0<&- 2>err").out == "out\n");
    CHECK(text_of(dir, "report") == "in closed out open err open stat closed\n");
    CHECK(text_of(dir, "err") == "err\n");
    CHECK(text_of(dir, "first") == "kept\n");
  }
  // Neither do our own messages land in what the guest opens.
  shell(dir, "VMRUN_LOG=wasi=trace $V --stats --dir $D::/ $G closed 0<&- 1>&- 2>&-");
  CHECK(text_of(dir, "first") == "kept\n");
  CHECK(text_of(dir, "second") == "");
  CHECK(text_of(dir, "report") == "in closed out closed err closed stat closed\n");
  // What cannot be printed is not a success.
  CHECK(shell(dir, "$V --invoke add '" + fixture("cli_values") + "' 1 2 1>&- 2>/dev/null").status == 1);
}

TEST_CASE("a log that is appended to cannot be rewritten") {
  TemporaryDirectory dir;
  dir.write("log", "kept\n");
  CHECK(shell(dir, "$V --dir $D::/ $G attack >>log").status == 0);
  CHECK(text_of(dir, "log") == "kept\nguest\n");
  CHECK(text_of(dir, "report") ==
        "flags refused\nseek refused\nsize refused\nallocate refused\ntimes refused\npwrite refused\nwrite done\n"
        "terminals 000\n");
}

TEST_CASE("a directory as standard input gives nothing") {
  TemporaryDirectory dir;
  dir.write("victim", "");
  CHECK(shell(dir, "$V --dir $D::/ $G directory <$D").status == 0);
  CHECK(text_of(dir, "report") ==
        "unlink refused\nmkdir refused\nopen refused\nlist refused\nread refused\nterminals 000\n");
  CHECK(std::filesystem::exists(dir.path() + "/victim"));
  CHECK(!std::filesystem::exists(dir.path() + "/made"));
}

TEST_CASE("flags of streams that others share stay as they are") {
  TemporaryDirectory dir;
  CHECK(shell(dir, "$V --dir $D::/ $G flags 2>&1").out == "");
  CHECK(text_of(dir, "report") == "nonblock done\nseen\nnonblock done\nseen\nnonblock done\nseen\nterminals 000\n");
  // The same pipes before and after the run, as /proc tells.
  const std::string flags = "grep flags /proc/self/fdinfo/0 /proc/self/fdinfo/1; ";
  const Shell r = shell(dir, "sleep 1 | { " + flags + "$V --dir $D::/ $G flags; " + flags + "} | cat");
  REQUIRE(r.out.size() % 2 == 0);
  CHECK(r.out.substr(0, r.out.size() / 2) == r.out.substr(r.out.size() / 2));
  CHECK(r.out.find("flags") != std::string::npos);
}

TEST_CASE("a program whose reader is gone dies as a native one does") {
  TemporaryDirectory dir;
  const Shell r = shell(dir, "env --default-signal=PIPE $V $G flood | head -1; echo ${PIPESTATUS[0]}");
  CHECK(r.out == "a line of many\n141\n");
  // Where the parent has the signal ignored, the guest sees the error.
  const Shell ignored = shell(dir, "trap '' PIPE; { $V $G flood 2>err; echo $? >status; } | head -1; cat err status");
  CHECK(ignored.out == "a line of many\nerrno EPIPE\n3\n");
}

TEST_CASE("--dir names directories, absolutely too, and grants reading alone") {
  TemporaryDirectory dir;
  dir.write("note", "hello\n");
  std::filesystem::create_directory(dir.path() + "/sub");
  dir.write("sub/note", "below\n");
  const auto reads = [&](const std::string& option, const std::string& file) {
    const auto r = run_vmrun({"--dir", option, fixture("cli_guest"), "file:" + file}, dir.path());
    return r.status == 0 ? r.out.substr(r.out.rfind('\n', r.out.size() - 2) + 1) : "status " + std::to_string(r.status);
  };
  CHECK(reads(".", "note") == "hello\n");
  CHECK(reads(".", "/note") == "hello\n");
  CHECK(reads("sub", "sub/note") == "below\n");
  CHECK(reads("./sub//", "/sub/note") == "below\n");
  CHECK(reads(".::/data", "/data/note") == "hello\n");
  CHECK(reads(".::/data::ro", "/data/note") == "hello\n");
  CHECK(reads(".::/data::rw", "/data/note") == "hello\n");

  // The guest writes its report beneath the grant, or not.
  CHECK(shell(dir, "$V --dir .::/::rw $G flags").status == 0);
  CHECK(std::filesystem::remove(dir.path() + "/report"));
  CHECK(shell(dir, "$V --dir .::/::ro $G closed 2>/dev/null").status != 0);
  CHECK(!std::filesystem::exists(dir.path() + "/report"));
  CHECK(!std::filesystem::exists(dir.path() + "/first"));

  const auto refused = [&](const std::string& option) {
    const auto r = run_vmrun({"--dir", option, fixture("cli_guest")}, dir.path());
    CHECK(r.status == 2);
    return r.err;
  };
  const auto contains = [](const std::string& text, const std::string& part) { return text.find(part) != text.npos; };
  CHECK(contains(refused("./:/data"), "'::' stands between HOST and GUEST, as in './::/data'"));
  CHECK(contains(refused(".::ro"), "'.::GUEST::ro'"));
  CHECK(contains(refused(".::/data::rx"), "expected HOST, HOST::GUEST or HOST::GUEST::ro"));
  CHECK(contains(refused(".::/a::ro::b"), "expected HOST"));
  CHECK(contains(refused("::/a"), "expected HOST"));
  std::filesystem::create_directory(dir.path() + "/a:b");
  CHECK(reads("a:b", "/note") == "status 3");  // a name with a colon is a name
}

TEST_CASE("ports and passed sockets are checked") {
  const auto message = [](const std::string& listen) {
    const auto r = run_vmrun({"-S", "tcplisten=" + listen, fixture("cli_empty")});
    CHECK(r.status == 2);
    return r.err;
  };
  const auto contains = [](const std::string& text, const std::string& part) { return text.find(part) != text.npos; };
  CHECK(contains(message("127.0.0.1:99999"), "port 99999 is not between 0 and 65535"));
  CHECK(contains(message("127.0.0.1:65536"), "port 65536"));
  CHECK(contains(message("127.0.0.1:18446744073709551617"), "port 18446744073709551617"));
  CHECK(contains(message("127.0.0.1:"), "the port is missing"));
  CHECK(run_vmrun({"-S", "tcplisten=127.0.0.1:0", fixture("cli_empty")}).status == 0);

  TemporaryDirectory dir;
  const auto passed = [&](const std::string& variables) {
    return shell(dir,
                 "exec 3<&-; LISTEN_PID=$$ " + variables + " exec $V -S listenfd '" + fixture("cli_empty") + "' 2>&1");
  };
  CHECK(contains(passed("LISTEN_FDS=1").out, "descriptor 3 is not open"));
  CHECK(contains(passed("LISTEN_FDS=1x").out, "LISTEN_FDS=1x is not a number"));
  CHECK(contains(passed("LISTEN_FDS=4000000000").out, "descriptor 3 is not open"));
  CHECK(contains(passed("LISTEN_PID=0x1 LISTEN_FDS=1").out, "no sockets were passed"));
}

TEST_CASE("-S max-descriptors limits a guest") {
  TemporaryDirectory dir;
  const auto run = [&](const std::string& n) {
    return run_vmrun({"-S", "max-descriptors=" + n, "--dir", dir.path() + "::/", fixture("wasi_streams"), "flags"});
  };
  CHECK(run("5").status == 0);
  CHECK(run("4").status != 0);  // no report can be opened
  const auto none = run("3");
  CHECK(none.status == 1);
  CHECK(none.err.find("4 descriptors, but may have 3 open") != std::string::npos);
  CHECK(run("99999999").status == 2);
}

TEST_CASE("output that could not be written is an error, however much there is") {
  for (const char* command : {"--help", "help --markdown"}) {
    CAPTURE(command);
    const auto r = vmrun::test::run_script(std::string("\"$vmrun\" ") + command + " > /dev/full");
    CHECK(r.status == 1);
    CHECK(r.err == "vmrun: error: cannot write to standard output\n");
  }
}
