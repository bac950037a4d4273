#include "engine/process_linux.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
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
  long long threads = 0, resident = 0;
  unsigned long long start = 0, bytes = 0;
  // Fields 20 (threads), 22 (start), 23 (bytes), 24 (pages); the third is the first behind the name.
  if (std::sscanf(rest + 1,
                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %lld %*d %llu %llu %lld",
                  &threads, &start, &bytes, &resident) != 4) {
    return;
  }
  out.threads = static_cast<uint64_t>(threads);
  out.virtual_bytes = bytes;
  out.resident_bytes = static_cast<uint64_t>(resident) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const double since_boot = static_cast<double>(start) / static_cast<double>(::sysconf(_SC_CLK_TCK));
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
