// Loading images; see image.h. What a wrong file is gets looked at only after the library refused it.
#include "tools/image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>

#include "tools/grants.h"
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

constexpr size_t kHead = 512;  // bytes that tell what a file is

/// The first bytes of the file; shorter when the file is.
std::string head_of(const std::string& path) {
  std::string head(kHead, '\0');
  std::FILE* file = std::fopen(path.c_str(), "rb");
  head.resize(file ? std::fread(head.data(), 1, head.size(), file) : 0);
  if (file) std::fclose(file);
  return head;
}

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

/// True when `head` looks like the text format: after blanks and comments an opening parenthesis.
bool is_text_format(std::string_view head) {
  const size_t first = head.find_first_not_of(" \t\r\n");
  return first != head.npos && (head[first] == '(' || head.substr(first).starts_with(";;"));
}

/// What the file is instead of an image, or "" when it does begin like one.
std::string explain(const std::string& path, std::string_view head) {
  if (head.empty()) return "is empty";
  if (is_compiled_image(bytes_of(head))) return {};
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

/// How messages call the image.
std::string shown(const std::string& path) { return is_standard_input(path) ? "standard input" : "'" + path + "'"; }

Error io_error(const std::string& path, int number) {
  std::string message = "cannot open " + shown(path) + ": " + std::strerror(number);
  if (number == ENOENT) message += "; check the path";
  if (number == EACCES) message += "; it must be readable by the user who runs vmrun";
  return Error(ErrorKind::Io, std::move(message));
}

/// `error` with the image's name, and with what the file is instead of an image, where its first bytes say that.
Error explained(Error error, const std::string& path, std::string_view head) {
  if (error.kind == ErrorKind::Malformed) {
    if (std::string why = explain(path, head); !why.empty()) {
      return Error(ErrorKind::Malformed, shown(path) + " " + why);
    }
  }
  if (error.message.find(path) != std::string::npos && !is_standard_input(path)) return error;
  const char* verb = error.kind == ErrorKind::Io ? "cannot be read" : "cannot be loaded";
  std::string message = shown(path) + " " + verb + ": " + error.message;
  if (error.offset) message += strf(" (at offset 0x%llx)", static_cast<unsigned long long>(*error.offset));
  // The bytes run out before the image does: say what that usually means.
  if (error.kind == ErrorKind::Malformed && error.message.find("unexpected end") != std::string::npos) {
    message += "; the file may be truncated: compare it with the original";
  }
  error.message = std::move(message);
  return error;
}

/// Has more bytes than `limit`, which -W max-image-size can only lower.
Error too_large(const std::string& path, uint64_t limit) {
  const char* option = limit < Config().max_image_bytes ? " (-W max-image-size)" : "";
  return Error(ErrorKind::Limit, shown(path) + strf(" has more than the %llu bytes that an image may have%s",
                                                    static_cast<unsigned long long>(limit), option));
}

struct Descriptor {
  int number;
  bool owned;
  ~Descriptor() {
    if (owned && number >= 0) close(number);
  }
};

/// All bytes up to the end of a pipe, a terminal or the like, of which `limit` are accepted. What does not begin like an
/// image is not read further.
Result<std::string> read_stream(const std::string& path, uint64_t limit) {
  const bool standard = is_standard_input(path);
  const Descriptor file{standard ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC), !standard};
  if (file.number < 0) return io_error(path, errno);
  // What vmrun opens in the place of a standard stream that is closed (streams.h) names something, and no more.
  if (const int flags = fcntl(file.number, F_GETFL); standard && (flags < 0 || (flags & O_PATH) != 0)) {
    return Error(ErrorKind::Io, shown(path) + " is closed; send an image into it: vmrun - < IMAGE");
  }
  if (isatty(file.number)) {
    return Error(ErrorKind::Io, shown(path) + " is a terminal; send an image into it: vmrun - < IMAGE");
  }
  std::string bytes;
  constexpr size_t kPiece = 1 << 16;
  while (true) {
    const size_t had = bytes.size();
    bytes.resize(had + kPiece);
    const ssize_t n = read(file.number, bytes.data() + had, kPiece);
    const int number = errno;
    bytes.resize(had + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0) return bytes;
    if (n < 0 && number != EINTR) {
      return Error(ErrorKind::Io, shown(path) + " cannot be read: " + std::strerror(number));
    }
    if (bytes.size() >= kHead) {
      if (std::string why = explain(path, std::string_view(bytes).substr(0, kHead)); !why.empty()) {
        return Error(ErrorKind::Malformed, shown(path) + " " + why);
      }
    }
    if (bytes.size() > limit) return too_large(path, limit);
  }
}

/// `key`: null for none.
Result<Module> load_stream(const Engine& engine, const std::string& path, StoredTrust trust, const MacKey* key) {
  auto bytes = read_stream(path, engine.config().max_image_bytes);
  if (!bytes) return bytes.error();
  const std::span<const uint8_t> span = bytes_of(*bytes);
  auto module = key != nullptr            ? Module::deserialize(engine, span, image_name(path), *key)
                : is_compiled_image(span) ? Module::deserialize(engine, span, image_name(path), trust)
                                          : Module::compile(engine, span, image_name(path));
  if (module) return module;
  return explained(std::move(module).error(), path, std::string_view(*bytes).substr(0, kHead));
}

Result<Module> load(const Engine& engine, const std::string& path, StoredTrust trust, const MacKey* key) {
  if (is_standard_input(path)) return load_stream(engine, path, trust, key);
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return io_error(path, errno);
  if (S_ISDIR(info.st_mode)) {
    return Error(ErrorKind::Io, "'" + path + "' is a directory; name a .wasm file in it");
  }
  if (!S_ISREG(info.st_mode)) return load_stream(engine, path, trust, key);
  const uint64_t limit = engine.config().max_image_bytes;
  const bool compiled = key != nullptr || is_compiled(path);
  if (!compiled && static_cast<uint64_t>(info.st_size) > limit) return too_large(path, limit);
  auto module = key != nullptr ? Module::deserialize_file(engine, path, *key)
                : compiled     ? Module::deserialize_file(engine, path, trust)
                               : Module::compile_file(engine, path);
  if (module) return module;
  return explained(std::move(module).error(), path, head_of(path));
}

}  // namespace

bool is_standard_input(std::string_view path) {
  return path == "-" || path == "/dev/stdin" || path == "/dev/fd/0" || path == "/proc/self/fd/0";
}

std::string image_name(std::string_view path) {
  if (is_standard_input(path)) return "stdin";
  const size_t slash = path.rfind('/');
  return std::string(path.substr(slash == path.npos ? 0 : slash + 1));
}

bool is_compiled(const std::string& path) {
  struct stat info;  // a pipe is not to be read from
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && is_compiled_image(bytes_of(head_of(path)));
}

Result<Module> load_image_beside(const Engine& engine, const std::string& path, const RunOptions& options) {
  if (options.mac_key) return load(engine, path, StoredTrust::Code, &*options.mac_key);
  if (is_standard_input(path) || !is_compiled(path)) return load_image(engine, path);
  const bool called_so = path.ends_with(".cwasm");
  if (called_so || options.allow_precompiled) {
    // What is looked at and what is loaded is one open file.
    auto module = load_image(engine, path, StoredTrust::Program);
    if (module || module.error().kind != ErrorKind::Usage) return module;
  }
  std::string why;
  if (options.allow_precompiled) {
    const auto dir = granted_above(options.dirs, path, Access::write);
    if (!dir) return load_image(engine, path, StoredTrust::Code);
    why = "lies in '" + *dir +
          "', where the guest may write, and its mode is not that of a program that nobody may write";
  } else if (called_so) {
    why = "could have been written by a guest: its mode is not that of a program that nobody may write";
  } else {
    why = "is a compiled image, though it is not called NAME.cwasm";
  }
  auto module = load_image(engine, path, StoredTrust::Image);
  if (!module || engine.config().tiers == Tiers::Interp) return module;
  const std::string trusted = called_so || options.allow_precompiled ? "'chmod a=rx FILE' lets it run"
                                                                     : "name it so, or say --allow-precompiled";
  warn(shown(path) + " " + why +
       ": its machine code is not run, and the image in it is compiled anew. If you know who made it, " + trusted +
       "; a MAC (--mac-key) proves who did");
  return module;
}

Result<Module> load_image(const Engine& engine, const std::string& path, StoredTrust trust) {
  return load(engine, path, trust, nullptr);
}

}  // namespace vmrun::tools
