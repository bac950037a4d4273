// Discards code at the end of test cases: see published.h.
#include "tests/unit/jit/published.h"

#include <doctest/doctest.h>

#include <vector>

namespace vmrun::jit::test {
namespace {

std::vector<const CodeObject*>& objects() {
  static std::vector<const CodeObject*> instance;
  return instance;
}

struct Discard : doctest::IReporter {
  explicit Discard(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {
    for (const CodeObject* object : objects()) CodeSpace::get().discard(object);
    objects().clear();
  }
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

REGISTER_LISTENER("discard code", 1, Discard);

}  // namespace

const CodeObject* until_end_of_case(const CodeObject* object) {
  objects().push_back(object);
  return object;
}

}  // namespace vmrun::jit::test
