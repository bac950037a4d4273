// The official suite's verdicts on images: every module of a script must be accepted, and every assert_invalid and
// assert_malformed of a binary refused. Needs the suite in JSON form: VMRUN_TESTSUITE names its directory.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "vm/wasm/image.h"
#include "vm/wasm/module.h"

namespace {

namespace fs = std::filesystem;
using namespace vmrun;

fs::path suite_directory() {
  if (const char* dir = std::getenv("VMRUN_TESTSUITE")) return dir;
#ifdef VMRUN_TESTSUITE
  return VMRUN_TESTSUITE;
#else
  return "";
#endif
}

/// The scripts of the threads proposal come from before there could be several memories or tables.
vm::Features features_of(const fs::path& script) {
  vm::Features features;
  if (script.string().find("proposals/threads") != std::string::npos)
    features.remove(vm::Feature::multi_memory).remove(vm::Feature::reference_types);
  return features;
}

struct Tally {
  int accepted = 0, refused = 0, same_words = 0;
};

/// The first words of two messages agree: the suite's text is what an error begins with, or the other way round.
bool same_words(const std::string& message, const std::string& text) {
  return message.find(text.substr(0, text.find_first_of("0123456789"))) != std::string::npos;
}

void run_script(const fs::path& script, Tally& tally) {
  std::ifstream in(script);
  nlohmann::json json = nlohmann::json::parse(in);
  auto registry = std::make_shared<vm::TypeRegistry>();
  for (const auto& command : json.at("commands")) {
    std::string type = command.at("type");
    bool wants_module = type == "module" || type == "module_definition";
    bool wants_error = type == "assert_invalid" || type == "assert_malformed";
    if (!wants_module && !wants_error && type != "assert_unlinkable" && type != "assert_uninstantiable") continue;
    if (!command.contains("filename") || command.value("module_type", "binary") != "binary") continue;

    fs::path file = script.parent_path() / command.at("filename").get<std::string>();
    CAPTURE(script.string());
    CAPTURE(command.at("line").get<int>());
    auto image = vm::Image::open(file);
    REQUIRE(image);
    vm::DecodeOptions options;
    options.features = features_of(script);
    auto module = vm::decode_module(*image, registry, options);
    if (wants_error) {
      std::string text = command.value("text", "");
      CAPTURE(text);
      CHECK_FALSE(module.ok());
      if (!module.ok()) {
        ++tally.refused;
        const Error& error = module.error();
        CHECK((error.kind == ErrorKind::Malformed || error.kind == ErrorKind::Invalid ||
               error.kind == ErrorKind::Limit || error.kind == ErrorKind::Unsupported));
        CHECK(error.offset.has_value());
        if (same_words(error.message, text)) {
          ++tally.same_words;
        } else if (std::getenv("VMRUN_TEST_WORDS")) {
          std::printf("%s:%d: \"%s\" is told as \"%s\"\n", script.filename().c_str(), command.at("line").get<int>(),
                      text.c_str(), error.message.c_str());
        }
      }
    } else {
      CHECK_MESSAGE(module.ok(), module.error().message);
      tally.accepted += module.ok();
    }
  }
}

TEST_CASE("the suite's images are accepted and refused as it says") {
  fs::path root = suite_directory();
  if (root.empty() || !fs::is_directory(root)) {
    MESSAGE("skipped: no test suite at '" << root.string() << "' (set VMRUN_TESTSUITE to its directory)");
    return;
  }
  std::set<fs::path> scripts;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const fs::path& path = entry.path();
    // Custom descriptors are a proposal that is not decoded.
    if (path.extension() == ".json" && path.string().find("custom-descriptors") == std::string::npos)
      scripts.insert(path);
  }
  Tally tally;
  for (const fs::path& script : scripts) run_script(script, tally);
  MESSAGE(scripts.size() << " scripts: " << tally.accepted << " images accepted, " << tally.refused << " refused, "
                         << tally.same_words << " of them in the suite's words");
  CHECK(tally.accepted > 0);
}

}  // namespace
