// How many threads want to run, as Linux says it: the fourth word of /proc/loadavg is that number and that of all threads,
// with a '/' between.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "tiering/processors.h"

namespace vmrun::tiering {

unsigned own_processors() {
  cpu_set_t set;
  // More processors than fit are more than enough.
  return sched_getaffinity(0, sizeof set, &set) != 0 ? CPU_SETSIZE : static_cast<unsigned>(CPU_COUNT(&set));
}

unsigned runnable_threads() {
  const int file = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[128];
  const ssize_t size = read(file, text, sizeof text);
  close(file);
  std::string_view words(text, size > 0 ? static_cast<size_t>(size) : 0);
  for (int i = 0; i < 3 && !words.empty(); ++i) words.remove_prefix(std::min(words.find(' '), words.size() - 1) + 1);
  unsigned running = 0;
  std::from_chars(words.data(), words.data() + words.size(), running);
  return running;
}

}  // namespace vmrun::tiering
