// Fuzzes the reader of images that the cache keeps: whatever a file's header and tables say, with their checksums right,
// nothing is read outside of the file, and decoding a module by it stays inside of the image. The input is a list of
// changes to a good file, which is sealed again afterwards.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "engine/cache_files.h"
#include "engine/kept_image.h"
#include "vm/base/checksum.h"
#include "vm/wasm/validated.h"

using namespace vmrun;

namespace {

/// As in kept_image.cpp.
constexpr size_t kHeader = 80, kTablesChecksum = 56, kFileBytes = 64, kChecksum = 72, kPage = 4096;
/// A custom section that is left out, and three functions.
std::vector<uint8_t> image_bytes() {
  std::vector<uint8_t> out = {0, 'a', 's', 'm', 1, 0, 0, 0};
  constexpr uint32_t kCustom = 80'000;
  out.insert(out.end(), {0, (kCustom & 0x7f) | 0x80, (kCustom >> 7 & 0x7f) | 0x80, kCustom >> 14, 1, 'x'});
  out.resize(out.size() + kCustom - 2, 0x55);
  for (uint8_t byte : {1, 4, 1, 0x60, 0, 0, 3, 4, 3, 0, 0, 0, 10, 11, 3, 2, 0, 0x0b, 3, 0, 1, 0x0b, 2, 0, 0x0b}) {
    out.push_back(byte);
  }
  return out;
}

[[noreturn]] void wrong(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

struct Good {
  std::vector<uint8_t> image = image_bytes();
  vm::Digest content;
  std::vector<std::byte> file;

  Good() {
    char folder[] = "/tmp/vmrun-fuzz-XXXXXX";
    if (mkdtemp(folder) == nullptr) wrong("no folder");
    const std::string path = std::string(folder) + "/image";
    std::FILE* to = std::fopen(path.c_str(), "wb");
    if (to == nullptr || std::fwrite(image.data(), 1, image.size(), to) != image.size()) wrong("no file");
    std::fclose(to);
    auto opened = vm::Image::open(path);
    if (!opened || (*opened)->left_out().size() != 1) wrong("the image cannot be read");
    auto module = vm::decode_module(*opened, std::make_shared<vm::TypeRegistry>());
    if (!module) wrong(module.error().message.c_str());
    Refusal refusal;
    const engine::FileDescriptor in(engine::open_cache_folder(folder, false, refusal));
    engine::NewFile fresh(in.number);
    engine::ImageKeeper keeper(fresh, **module, content);
    while (keeper.step()) {
    }
    if (!keeper.written() || !fresh.finish("kept")) wrong("no copy was written");
    uint64_t bytes = 0;
    const engine::FileDescriptor kept(engine::open_cache_file(in.number, "kept", bytes, refusal));
    file.resize(bytes);
    if (!engine::read_whole(kept.number, 0, file)) wrong("the copy cannot be read");
    unlinkat(in.number, "kept", 0);
    unlinkat(in.number, "image", 0);
    rmdir(folder);
  }
  using Refusal = engine::Refusal;
};

template <class T>
T get(const std::vector<std::byte>& file, size_t at) {
  T out;
  std::memcpy(&out, file.data() + at, sizeof out);
  return out;
}
template <class T>
void put(std::vector<std::byte>& file, size_t at, T value) {
  std::memcpy(file.data() + at, &value, sizeof value);
}

/// The checksums that it ought to have.
void seal(std::vector<std::byte>& file) {
  const uint64_t size = get<uint32_t>(file, 12), ranges = uint64_t{get<uint32_t>(file, 48)} + get<uint32_t>(file, 52);
  const uint64_t tables = ranges * 8 + (size + 65535) / 65536 * 8;
  if (tables <= file.size() - kPage) put(file, kTablesChecksum, vm::checksum(std::span(file).subspan(kPage, tables)));
  put<uint64_t>(file, kFileBytes, file.size());
  put(file, kChecksum, vm::checksum(std::span(file).first(kChecksum)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Good good;
  std::vector<std::byte> file = good.file;
  // Of each four bytes: where (two), what (one), and in which part.
  for (; size >= 4; data += 4, size -= 4) {
    const size_t at = data[0] | data[1] << 8;
    const std::byte what{data[2]};
    switch (data[3] % 4) {
      case 0: file[8 + at % (kHeader - 8)] = what; break;
      case 1: file[kPage + at % 64] = what; break;
      case 2: file[file.size() - 1 - at % 64] = what; break;
      default: file.resize(std::max<size_t>(2 * kPage, file.size() - at % 64)); break;
    }
  }
  seal(file);
  const engine::FileDescriptor memory(memfd_create("kept", MFD_CLOEXEC));
  if (memory.number < 0 || write(memory.number, file.data(), file.size()) != static_cast<ssize_t>(file.size()))
    return 0;
  auto kept = engine::open_kept_image(memory.number, file.size(), get<vm::Digest>(file, 16));
  if (!kept) return 0;
  const uint64_t bytes = kept->bytes.memory.size();
  for (const vm::ByteRange& body : kept->bodies) {
    if (body.begin > body.end || body.end > bytes) wrong("a body lies outside of the image");
  }
  for (const vm::ByteRange& hole : kept->bytes.left_out) {
    if (hole.begin > hole.end || hole.end > bytes) wrong("what is left out lies outside of the image");
  }
  // What is in the image belongs to checksums that nobody can seal without knowing them: it is taken as it is here.
  for (size_t i = 0; i < kept->bytes.checksums.size(); ++i) {
    const auto piece = kept->bytes.memory.bytes().subspan(i * vm::Image::kPiece);
    kept->bytes.checksums[i] = vm::checksum(piece.first(std::min<size_t>(piece.size(), vm::Image::kPiece)));
  }
  auto module = vm::decode_validated_module(vm::Image::map(std::move(kept->bytes)),
                                            std::make_shared<vm::TypeRegistry>(), {}, {}, kept->bodies);
  if (!module) return 0;
  for (const vm::FuncDecl& func : (*module)->funcs) {
    if (func.body.begin > func.body.end || func.body.end > bytes) wrong("a function lies outside of the image");
  }
  return 0;
}
