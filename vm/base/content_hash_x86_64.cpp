// The chunk function with vectors of 256 bits.
#include "vm/base/content_hash_lanes.h"

namespace vmrun::vm {
namespace {

__attribute__((target("avx2"))) void hash_chunks_avx2(const std::byte* chunks, uint64_t counter, ChainingValues& out) {
  hash_chunks(chunks, counter, out);
}

}  // namespace

HashChunks hash_chunks_of_processor() { return __builtin_cpu_supports("avx2") != 0 ? &hash_chunks_avx2 : nullptr; }

}  // namespace vmrun::vm
