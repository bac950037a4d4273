#include "engine/process_linux.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <cstring>

namespace vmrun::engine {
namespace {

double seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// Fills in what /proc/self/stat says.
void read_stat(ProcessFigures& out) {
  char text[2048];
  const int file = ::open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  const ssize_t size = ::read(file, text, sizeof text - 1);
  ::close(file);
  if (size <= 0) return;
  text[size] = 0;
  // The program's name is in brackets, and may hold any character.
  const char* rest = std::strrchr(text, ')');
  if (rest == nullptr) return;
  // From the third field on, which is the state: 20 (threads), 22 (start), 23 (bytes), 24 (pages).
  constexpr size_t kFirst = 3, kFields = 24;
  uint64_t fields[kFields + 1] = {};
  const char* const end = text + size;
  const char* at = rest + 1;
  for (size_t i = kFirst; i <= kFields && at < end; ++i) {
    while (at < end && *at == ' ') ++at;
    const char* const field = at;
    while (at < end && *at != ' ') ++at;
    std::from_chars(field, at, fields[i]);  // what is no such number stays 0
  }
  out.threads = fields[20];
  out.virtual_bytes = fields[23];
  out.resident_bytes = fields[24] * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const double since_boot = static_cast<double>(fields[22]) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  out.start_seconds = seconds(CLOCK_REALTIME) - seconds(CLOCK_BOOTTIME) + since_boot;
}

uint64_t open_descriptors() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  uint64_t count = 0;
  while (const dirent* entry = ::readdir(folder)) count += entry->d_name[0] != '.';
  ::closedir(folder);
  return count > 0 ? count - 1 : 0;  // without that of the folder
}

}  // namespace

ProcessFigures process_figures() {
  ProcessFigures out;
  out.cpu_seconds = seconds(CLOCK_PROCESS_CPUTIME_ID);
  read_stat(out);
  out.open_descriptors = open_descriptors();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) out.most_descriptors = limit.rlim_cur;
  return out;
}

}  // namespace vmrun::engine
