// Loading images; see image.h. What a wrong file is gets looked at only after the library refused it.
#include "tools/image.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "tools/report.h"

namespace vmrun::tools {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view bytes;
  const char* meaning;
};
constexpr Signature kSignatures[] = {
    {"\0asm\x0d\0\1\0"sv,
     "is a WebAssembly component; vmrun runs core modules: extract one with 'wasm-tools component unbundle'"},
    {"\x7f"
     "ELF"sv,
     "is an ELF file, a native program or library; give the .wasm image instead"},
    {"\x1f\x8b"sv, "is compressed with gzip; unpack it first: gunzip"},
    {"\x28\xb5\x2f\xfd"sv, "is compressed with zstd; unpack it first: unzstd"},
    {"PK\3\4"sv, "is a zip archive; unpack it first: unzip"},
    {"BC\xc0\xde"sv, "is LLVM bitcode; link it with wasm-ld first"},
    {"!<arch>\n"sv, "is an archive of object files; link it with wasm-ld first"},
    {"#!"sv, "is a script, not a WebAssembly image"},
};

/// The first bytes of the file; shorter when the file is.
std::string head_of(const std::string& path) {
  std::string head(512, '\0');
  std::FILE* file = std::fopen(path.c_str(), "rb");
  head.resize(file ? std::fread(head.data(), 1, head.size(), file) : 0);
  if (file) std::fclose(file);
  return head;
}

/// True when `head` looks like the text format: after blanks and comments an opening parenthesis.
bool is_text_format(std::string_view head) {
  const size_t first = head.find_first_not_of(" \t\r\n");
  return first != head.npos && (head[first] == '(' || head.substr(first).starts_with(";;"));
}

/// What the file is instead of an image, or "" when it does begin like one.
std::string explain(const std::string& path, std::string_view head) {
  if (head.empty()) return "is empty";
  for (const Signature& signature : kSignatures) {
    if (head.starts_with(signature.bytes)) return signature.meaning;
  }
  if (head.starts_with("\0asm"sv)) return {};
  if (is_text_format(head)) {
    return "is WebAssembly text; translate it first: wat2wasm '" + path + "' -o image.wasm";
  }
  if (std::string_view("\0asm"sv).starts_with(head)) return "is truncated: it ends inside the first four bytes";
  std::string bytes;
  for (unsigned char c : head.substr(0, 4)) bytes += strf("%s%02x", bytes.empty() ? "" : " ", c);
  return "is not a WebAssembly image: it begins with the bytes " + bytes + " instead of 00 61 73 6d";
}

Error io_error(const std::string& path, int number) {
  std::string message = "cannot open '" + path + "': " + std::strerror(number);
  if (number == ENOENT) message += "; check the path";
  if (number == EACCES) message += "; it must be readable by the user who runs vmrun";
  return Error(ErrorKind::Io, std::move(message));
}

}  // namespace

Result<Module> load_image(const Engine& engine, const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return io_error(path, errno);
  if (S_ISDIR(info.st_mode)) {
    return Error(ErrorKind::Io, "'" + path + "' is a directory; name a .wasm file in it");
  }
  if (!S_ISREG(info.st_mode)) {
    return Error(ErrorKind::Io, "'" + path + "' is not a regular file; copy the image into one");
  }
  auto module = Module::compile_file(engine, path);
  if (module) return module;

  Error error = std::move(module).error();
  if (error.kind == ErrorKind::Malformed) {
    if (std::string why = explain(path, head_of(path)); !why.empty()) {
      return Error(ErrorKind::Malformed, "'" + path + "' " + why);
    }
  }
  if (error.message.find(path) == std::string::npos) {
    const char* verb = error.kind == ErrorKind::Io ? "cannot be read" : "cannot be loaded";
    std::string message = "'" + path + "' " + verb + ": " + error.message;
    if (error.offset) message += strf(" (at offset 0x%llx)", static_cast<unsigned long long>(*error.offset));
    // The bytes run out before the image does: say what that usually means.
    if (error.kind == ErrorKind::Malformed && error.message.find("unexpected end") != std::string::npos) {
      message += "; the file may be truncated: compare it with the original";
    }
    error.message = std::move(message);
  }
  return error;
}

}  // namespace vmrun::tools
