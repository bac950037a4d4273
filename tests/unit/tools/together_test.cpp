// Options that do nothing beside others, names given twice, values that are no values: each is answered, and none is
// taken silently.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/unit/tools/command.h"
#include "tests/unit/tools/image.h"

namespace vmrun::test {
namespace {

/// The command line is wrong, and the message says all of `parts`.
void refused(const std::vector<std::string>& args, const std::vector<std::string>& parts) {
  std::string line;
  for (const std::string& arg : args) line += arg + " ";
  CAPTURE(line);
  const auto r = run_vmrun(args);
  CAPTURE(r.err);
  CHECK(r.status == 2);
  CHECK(r.out == "");
  CHECK(r.err.starts_with("vmrun: "));
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(r.err.find(part) != std::string::npos);
  }
}

void accepted(std::vector<std::string> args) {
  args.push_back(fixture("cli_empty"));
  const auto r = run_vmrun(args);
  CAPTURE(r.err);
  CHECK(r.status == 0);
}

TEST_CASE("options of which a tier makes nothing") {
  const std::string image = fixture("cli_empty"), out = "leave one of them out";
  refused({"-O", "tier=interp,eager=baseline", image}, {"tier=interp", "eager=baseline", out});
  refused({"-O", "eager=baseline", "-O", "tier=opt", image}, {"tier=opt", "eager=baseline", out});
  refused({"--stats", "-O", "tier=interp,profile", image}, {"tier=interp", "profile", out});
  refused({"--stats", "-O", "tier=opt,profile", image}, {"tier=opt", "profile", out});
  refused({"-O", "profile", image}, {"profile", "add --stats"});
  for (const char* tier : {"interp", "baseline", "interp+baseline"}) {
    refused({"-O", std::string("inline=all,tier=") + tier, image}, {"inline=all", out});
  }
  refused({"-O", "inline=some", image}, {"some", "on, off and all"});
  accepted({"-O", "tier=opt,inline=all"});
  accepted({"-O", "tier=baseline,inline=off"});
  refused({"-O", "tier=interp,compile-threads=2", image}, {"tier=interp", "compile-threads", out});
  refused({"-O", "tier=baseline,compile-threads=2", image}, {"tier=baseline", "compile-threads", "eager=baseline"});
  refused({"-O", "tier=interp", "--profile", "perfmap", image}, {"--profile", "tier=interp", out});
  refused({"-O", "tier=interp", "-D", "gdb", image}, {"-D gdb", "tier=interp", out});
  accepted({"-O", "eager=baseline"});
  accepted({"-O", "tier=baseline,eager=baseline,compile-threads=2"});
  accepted({"-O", "tier=interp,eager=n,profile=n,compile-threads=0"});
}

TEST_CASE("the limit of dense memories is for dense memories, and within theirs") {
  const std::string image = fixture("cli_empty");
  refused({"-O", "dense-memory-max=1M", image}, {"dense-memory-max", "add dense-memory", "-W max-memory-size"});
  refused({"-O", "dense-memory-max=64M,dense-memory=n", image}, {"add dense-memory"});
  for (const char* size : {"0", "1", "4095", "64G", "4294967297"}) {
    refused({"-O", std::string("dense-memory,dense-memory-max=") + size, image}, {"must be between 4K and 4G"});
  }
  accepted({"-O", "dense-memory,dense-memory-max=4K"});
  accepted({"-O", "dense-memory-max=4G,dense-memory"});
  refused({"-W", "max-image-size=2G", image}, {"must be at most 1G"});
}

TEST_CASE("what the system interface would give, without it") {
  const std::vector<std::vector<std::string>> grants = {
      {"--dir", "."},     {"--env", "A=1"},       {"--argv0", "name"},         {"-S", "inherit-env"},
      {"-S", "listenfd"}, {"-S", "tcplisten=:0"}, {"-S", "max-descriptors=9"}, {"-S", "random-seed=1"},
  };
  for (std::vector<std::string> args : grants) {
    const std::string option = args[0] == "-S" ? "-S " + args[1].substr(0, args[1].find('=')) : args[0];
    args.insert(args.end(), {"-S", "wasi=n", fixture("cli_empty")});
    refused(args, {option + " is for the system interface", "-S wasi=n"});
  }
  accepted({"-S", "wasi=n,inherit-env=n"});
}

TEST_CASE("two directories have two names") {
  TemporaryDirectory a, b;
  const std::string image = fixture("cli_empty");
  refused({"--dir", a.path() + "::/x", "--dir", b.path() + "::/x", image}, {"the name '/x'", "--dir HOST::GUEST"});
  refused({"--dir", a.path() + "::/x", "--dir", a.path() + "::/x/::ro", image}, {"the name '/x/'"});
  accepted({"--dir", a.path() + "::/x", "--dir", b.path() + "::/y"});
  accepted({"--dir", a.path() + "::/x", "--dir", a.path() + "::/x"});
}

TEST_CASE("a directory's name that was not asked for gives way") {
  TemporaryDirectory dir;
  const auto names = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"-D", "log=wasi=trace"});
    args.push_back(fixture("cli_guest"));
    const auto r = run_vmrun(args, dir.path());
    CHECK(r.status == 0);
    size_t count = 0;
    for (size_t at = 0; (at = r.err.find("trace: fd_prestat_dir_name(", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  CHECK(names({"--dir", "."}) == 2);
  CHECK(names({"--dir", ".", "--dir", "/tmp::/"}) == 2);  // "." and "/", which is /tmp
  CHECK(names({"--dir", "/tmp::/", "--dir", "."}) == 2);
  CHECK(names({"--dir", ".", "--dir", "./"}) == 3);  // ".", "./" and one "/"
}

TEST_CASE("what can be given once") {
  const std::string image = fixture("cli_empty");
  refused({"--preload", "a=" + image, "--preload", "a=" + image, image}, {"--preload", "module 'a'", "another NAME"});
  refused({"--preload", "a=-", "-"}, {"standard input is named as 2 images", "files"});
  refused({"--preload", "a=/dev/stdin", "--preload", "b=-", image}, {"standard input is named as 2 images"});
}

TEST_CASE("times that are none") {
  const std::string image = fixture("cli_empty");
  refused({"-W", "timeout=0.3ns", image}, {"'0.3ns' is too short: the least is 1ns"});
  for (const char* time : {"inf", "nan", "0", "-1s", "infs"}) {
    refused({"-W", std::string("timeout=") + time, image}, {"is not a length of time such as"});
  }
}

TEST_CASE("ports that are none") {
  const std::string image = fixture("cli_empty");
  for (const char* port : {"-1", "+1", "65536"}) {
    refused({"-S", std::string("tcplisten=127.0.0.1:") + port, image},
            {std::string("port ") + port + " is not between"});
  }
  refused({"-S", "tcplisten=127.0.0.1:nosuch", image}, {"port nosuch is neither a number up to 65535 nor the name of"});
}

TEST_CASE("a bad VMRUN_LOG does not keep help back") {
  for (const char* command : {"help", "help run", "--help", "-h", "--version", "-V", "run --help", "wast -h"}) {
    CAPTURE(command);
    const auto r = run_script(std::string("VMRUN_LOG=bogus \"$vmrun\" ") + command);
    CHECK(r.status == 0);
    CHECK(r.err == "");
    CHECK(r.out != "");
  }
  const auto r = run_script("VMRUN_LOG=bogus \"$vmrun\" \"$1\"", {fixture("cli_empty")});
  CHECK(r.status == 2);
  CHECK(r.err.starts_with("vmrun: error: VMRUN_LOG: "));
  CHECK(r.err.find("vmrun help") == std::string::npos);
}

TEST_CASE("an image has no such function: a wrong command line, as for --invoke") {
  refused({"objdump", "-f", "nope", fixture("cli_values")}, {"no function of its own called 'nope'"});
  refused({"--invoke", "nope", fixture("cli_values")}, {"no function 'nope'"});
}

TEST_CASE("standard input that is closed is called that") {
  const auto r = run_script("\"$vmrun\" - <&-");
  CHECK(r.status == 1);
  CHECK(r.err == "vmrun: error: standard input is closed; send an image into it: vmrun - < IMAGE\n");
}

}  // namespace
}  // namespace vmrun::test
