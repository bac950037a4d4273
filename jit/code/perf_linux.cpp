// What perf reads: its map and its jitdump. Sources: tools/perf/Documentation/jit-interface.txt and
// jitdump-specification.txt of the Linux kernel.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <vector>

#include "jit/code/announce.h"
#include "vm/wasm/module.h"
#include "vmrun/base/text.h"

namespace vmrun::jit {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

/// A new file. What stands at the path already, a link that somebody planted among it, is neither followed nor changed.
File create(const std::string& path, std::string* why) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) {
    *why = "cannot write " + path + ": " + std::strerror(errno);
    if (errno == EEXIST) *why += "; remove it if it is left from an earlier process";
    return nullptr;
  }
  File file(fdopen(fd, "w+"));
  if (file == nullptr) {
    *why = "cannot write " + path + ": " + std::strerror(errno);
    close(fd);
  }
  return file;
}

class PerfMap final : public Announcer {
 public:
  explicit PerfMap(File file) : file_(std::move(file)) {}
  void added(const CodeObject& code, const std::string& name) override {
    std::fprintf(file_.get(), "%lx %x %s\n", reinterpret_cast<unsigned long>(code.begin), code.size, name.c_str());
    std::fflush(file_.get());  // a process may end without warning
  }
  void removed(const CodeObject&) override {}  // samples of the past still want the name

 private:
  File file_;
};

// ---- jitdump --------------------------------------------------------------------------------------------------------

struct DumpHeader {
  uint32_t magic = 0x4a695444, version = 1, total_size = sizeof(DumpHeader);
#if defined(__x86_64__)
  uint32_t machine = 62;  // EM_X86_64
#elif defined(__aarch64__)
  uint32_t machine = 183;  // EM_AARCH64
#endif
  uint32_t padding = 0, pid = 0;
  uint64_t timestamp = 0, flags = 0;
};
static_assert(sizeof(DumpHeader) == 40);
struct RecordHeader {
  uint32_t id, total_size;
  uint64_t timestamp;
};
constexpr uint32_t kCodeLoad = 0, kDebugInfo = 2;
struct CodeLoad {
  uint32_t pid, tid;
  uint64_t vma, code_addr, code_size, code_index;
};
struct DebugInfo {
  uint64_t code_addr, entries;
};
struct DebugEntry {
  uint64_t code_addr;
  uint32_t line, discriminator;
};

/// The clock of `perf record -k mono`.
uint64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

class JitDump final : public Announcer {
 public:
  explicit JitDump(File file) : file_(std::move(file)) {
    DumpHeader header;
    header.pid = static_cast<uint32_t>(getpid());
    header.timestamp = now();
    put(header);
    flush();
    // perf learns of the file by this mapping.
    marker_ = mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fileno(file_.get()), 0);
  }
  ~JitDump() override {
    if (marker_ != MAP_FAILED) munmap(marker_, 4096);
  }

  void added(const CodeObject& code, const std::string& name) override {
    const auto begin = reinterpret_cast<uint64_t>(code.begin);
    if (code.func != nullptr && !code.marks.empty()) {
      const std::string file = printable(code.func->module->display_name());
      const size_t entry = sizeof(DebugEntry) + file.size() + 1;
      put(RecordHeader{kDebugInfo,
                       static_cast<uint32_t>(sizeof(RecordHeader) + sizeof(DebugInfo) + entry * code.marks.size()),
                       now()});
      put(DebugInfo{begin, code.marks.size()});
      for (const SourceMark& mark : code.marks) {
        put(DebugEntry{begin + mark.pc, code.offset_of(mark.place), 0});
        put(file.c_str(), file.size() + 1);
      }
    }
    put(RecordHeader{kCodeLoad,
                     static_cast<uint32_t>(sizeof(RecordHeader) + sizeof(CodeLoad) + name.size() + 1 + code.size),
                     now()});
    put(CodeLoad{static_cast<uint32_t>(getpid()), static_cast<uint32_t>(syscall(SYS_gettid)), begin, begin, code.size,
                 index_++});
    put(name.c_str(), name.size() + 1);
    put(code.begin, code.size);
    flush();
  }
  void removed(const CodeObject&) override {}

 private:
  void put(const void* bytes, size_t size) {
    const auto* from = static_cast<const std::byte*>(bytes);
    buffer_.insert(buffer_.end(), from, from + size);
  }
  template <class T>
  void put(const T& value) {
    put(&value, sizeof value);
  }
  void flush() {
    std::fwrite(buffer_.data(), 1, buffer_.size(), file_.get());
    std::fflush(file_.get());
    buffer_.clear();
  }

  File file_;
  void* marker_ = MAP_FAILED;
  uint64_t index_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace

std::unique_ptr<Announcer> make_perf_map(std::string* why) {
  File file = create("/tmp/perf-" + std::to_string(getpid()) + ".map", why);
  return file == nullptr ? nullptr : std::make_unique<PerfMap>(std::move(file));
}

std::unique_ptr<Announcer> make_jitdump(std::string* why) {
  File file = create("jit-" + std::to_string(getpid()) + ".dump", why);
  return file == nullptr ? nullptr : std::make_unique<JitDump>(std::move(file));
}

}  // namespace vmrun::jit
