// What the handlers need of an x86-64 processor: they are compiled for x86-64-v3 (see CMakeLists.txt here).
#include "interp/interp.h"

namespace vmrun::interp {

const char* missing_host_feature() {
#if defined(__x86_64__)
  // The parts of v3 that compilers use of their own accord; processors that have these have the rest.
  if (!__builtin_cpu_supports("avx2")) return "AVX2";
  if (!__builtin_cpu_supports("bmi")) return "BMI1";
  if (!__builtin_cpu_supports("bmi2")) return "BMI2";
  if (!__builtin_cpu_supports("fma")) return "FMA";
#endif
  return nullptr;
}

}  // namespace vmrun::interp
