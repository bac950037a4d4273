// Conversions between the host's and the guest's file statistics, times and clocks.
#include "wasi/calls_common.h"

#include <algorithm>
#include <limits>

namespace vmrun::wasi {
namespace {
constexpr uint64_t kSecond = 1'000'000'000;
}

GuestFilestat filestat_of(const struct stat& st, FileType type) {
  GuestFilestat out{};
  out.dev = st.st_dev;
  out.ino = st.st_ino;
  out.filetype = static_cast<uint8_t>(type);
  out.nlink = st.st_nlink;
  out.size = static_cast<uint64_t>(st.st_size);
  out.atim = nanoseconds_of(st.st_atim);
  out.mtim = nanoseconds_of(st.st_mtim);
  out.ctim = nanoseconds_of(st.st_ctim);
  return out;
}

GuestFilestatUnstable unstable(const GuestFilestat& s) {
  GuestFilestatUnstable out{};
  out.dev = s.dev;
  out.ino = s.ino;
  out.filetype = s.filetype;
  out.nlink = static_cast<uint32_t>(std::min<uint64_t>(s.nlink, std::numeric_limits<uint32_t>::max()));
  out.size = s.size;
  out.atim = s.atim;
  out.mtim = s.mtim;
  out.ctim = s.ctim;
  return out;
}

Errno times_of(Time atim, Time mtim, FstFlags flags, timespec out[2]) {
  uint32_t f = flags.value;
  if ((f & ~kFstFlagsAll) != 0 || (f & (kSetAtim | kSetAtimNow)) == (kSetAtim | kSetAtimNow) ||
      (f & (kSetMtim | kSetMtimNow)) == (kSetMtim | kSetMtimNow)) {
    return Errno::inval;
  }
  auto one = [](uint64_t ns, bool set, bool now) {
    if (set) return timespec_of(ns);
    return timespec{0, now ? UTIME_NOW : UTIME_OMIT};
  };
  out[0] = one(atim.value, f & kSetAtim, f & kSetAtimNow);
  out[1] = one(mtim.value, f & kSetMtim, f & kSetMtimNow);
  return Errno::success;
}

timespec timespec_of(uint64_t ns) { return {static_cast<time_t>(ns / kSecond), static_cast<long>(ns % kSecond)}; }

uint64_t nanoseconds_of(const timespec& t) {
  if (t.tv_sec < 0) return 0;  // before 1970: has no representation
  uint64_t s = static_cast<uint64_t>(t.tv_sec);
  if (s >= std::numeric_limits<uint64_t>::max() / kSecond) return std::numeric_limits<uint64_t>::max();
  return s * kSecond + static_cast<uint64_t>(t.tv_nsec);
}

bool host_clock(uint32_t id, clockid_t& out) {
  switch (static_cast<ClockId>(id)) {
    case ClockId::Realtime: out = CLOCK_REALTIME; return true;
    case ClockId::Monotonic: out = CLOCK_MONOTONIC; return true;
    case ClockId::ProcessCpu: out = CLOCK_PROCESS_CPUTIME_ID; return true;
    case ClockId::ThreadCpu: out = CLOCK_THREAD_CPUTIME_ID; return true;
  }
  return false;
}

}  // namespace vmrun::wasi
