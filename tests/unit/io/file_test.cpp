// Files: at positions and at their own; those that prove slow, by io_uring and by threads; faults on the way.
#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>
#include <numeric>

#include "io/epoll_linux.h"
#include "io/ring_linux.h"
#include "tests/unit/io/fixture.h"

using namespace vmrun;
using namespace vmrun::test;
using io::Descriptor;
using io::Op;
using io::Until;
using io::sys::Call;

namespace {

/// With every file slow from its third call on.
std::vector<io::Options> all_slow() {
  auto all = all_backends();
  for (io::Options& options : all) options.slow = -1;
  return all;
}

Descriptor new_file(World& w) {
  char name[] = "/tmp/vmrun-io-XXXXXX";
  const int fd = ::mkostemp(name, O_CLOEXEC);
  REQUIRE(fd >= 0);
  ::unlink(name);
  return w.adopt(fd);
}

int64_t write_at(io::Reactor& r, const Descriptor& d, const void* data, size_t size, int64_t at) {
  const iovec one{const_cast<void*>(data), size};
  return r.writev_at(d, &one, 1, at);
}
int64_t read_at(io::Reactor& r, const Descriptor& d, void* data, size_t size, int64_t at, const Until& until = {}) {
  const iovec one{data, size};
  return r.readv_at(d, &one, 1, at, until);
}

/// Writes and reads pages of a file, at positions and without, and checks what comes.
void write_and_read(World& w) {
  io::Reactor& r = w.reactor();
  Descriptor d = new_file(w);
  constexpr int pages = 16, size = 4096;
  std::vector<uint8_t> page(size);
  for (int i = 0; i < pages; ++i) {
    std::iota(page.begin(), page.end(), static_cast<uint8_t>(i));
    REQUIRE(write_at(r, d, page.data(), size, i * size) == size);
  }
  REQUIRE(r.sync(d, true) == 0);
  REQUIRE(r.sync(d, false) == 0);
  REQUIRE(r.sync(d, false) == 0);
  std::vector<uint8_t> got(size);
  for (int i = pages; i-- != 0;) {
    std::iota(page.begin(), page.end(), static_cast<uint8_t>(i));
    int64_t done = 0;
    while (done < size) {
      const int64_t n = read_at(r, d, got.data() + done, static_cast<size_t>(size - done), i * size + done);
      REQUIRE(n > 0);
      done += n;
    }
    REQUIRE(got == page);
  }
  CHECK(read_at(r, d, got.data(), size, pages * size) == 0);
  CHECK(read_at(r, d, got.data(), size, -1) == -EINVAL);
  int64_t total = 0;
  for (int64_t n; (n = r.read(d, got.data(), 1000)) != 0; total += n) REQUIRE(n > 0);
  CHECK(total == pages * size);
  iovec two[2] = {{page.data(), 3}, {page.data(), 4}};
  CHECK(r.writev(d, two, 2) == 7);
  CHECK(r.write(d, page.data(), 5) == 5);
  struct stat st{};
  REQUIRE(::fstat(d.fd(), &st) == 0);
  CHECK(st.st_size == pages * size + 12);
}

}  // namespace

TEST_CASE("files, quick and slow, from tasks and from a thread") {
  everywhere([](World& w) {
    w.spawn([&] { write_and_read(w); }).join();
    write_and_read(w);
  });
  for (const io::Options& options : all_slow()) {
    for (const unsigned workers : worker_counts) {
      World w(workers, options);
      CAPTURE(w.reactor().backend());
      std::vector<sched::Task> tasks;
      for (int i = 0; i < 8; ++i) tasks.push_back(w.spawn([&] { write_and_read(w); }));
      for (auto& t : tasks) t.join();
    }
  }
}

TEST_CASE(
    "a file is closed while calls use it: an adopted one's number goes with the last call, a borrowed one's stays") {
  everywhere([](World& w) {
    io::Reactor& r = w.reactor();
    for (const bool owned : {true, false, true, false}) {
      char name[] = "/tmp/vmrun-io-XXXXXX";
      const int fd = ::mkostemp(name, O_CLOEXEC);
      REQUIRE(fd >= 0);
      ::unlink(name);
      REQUIRE(::write(fd, "file", 4) == 4);
      Descriptor d = owned ? w.adopt(fd) : w.borrow(fd);
      std::atomic<int> reads{0}, wrong{0};
      std::vector<sched::Task> tasks;
      for (int i = 0; i < 4; ++i) {
        tasks.push_back(w.spawn([&] {
          char bytes[4];
          int64_t got;
          while ((got = read_at(r, d, bytes, sizeof bytes, 0)) == 4) {
            wrong += std::memcmp(bytes, "file", 4) != 0;
            ++reads;
            sched::yield();
          }
          wrong += got != -EBADF;
        }));
      }
      while (reads < 100) std::this_thread::sleep_for(10us);
      CHECK(r.close(d) == 0);
      CHECK(r.close(d) == -EBADF);
      for (auto& t : tasks) t.join();
      CHECK(wrong == 0);
      char byte;
      CHECK(r.read(d, &byte, 1) == -EBADF);
      CHECK(r.write(d, "x", 1) == -EBADF);
      CHECK((::fcntl(fd, F_GETFD) == -1) == owned);
      if (!owned) ::close(fd);
    }
  });
}

TEST_CASE("interrupted and short transfers of files are made whole") {
  for (const io::Options& options : all_slow()) {
    World w(2, options);
    Faults faults;
    for (const Call call : {Call::Read, Call::ReadAt, Call::Write, Call::WriteAt, Call::Sync})
      faults.give(call, -EINTR, 5);
    w.spawn([&] { write_and_read(w); }).join();
    faults.shorten(Call::WriteAt, 100, 10).shorten(Call::Write, 1, 2).shorten(Call::ReadAt, 50, 10);
    w.spawn([&] { write_and_read(w); }).join();
    faults.give(Call::ReadAtNow, -EAGAIN, 1'000).give(Call::ReadNow, -EOPNOTSUPP, 1'000);
    w.spawn([&] { write_and_read(w); }).join();
  }
}

TEST_CASE("errors of files are results") {
  for (io::Options options : {all_backends()[0], all_slow()[0]}) {
    World w(1, options);
    io::Reactor& r = w.reactor();
    w.spawn([&] {
       Descriptor d = new_file(w);
       char byte = 1;
       Faults faults;
       faults.give(Call::WriteAt, -ENOSPC).give(Call::ReadAt, -EIO).give(Call::Sync, -EIO);
       CHECK(write_at(r, d, &byte, 1, 0) == -ENOSPC);
       CHECK(read_at(r, d, &byte, 1, 0) == -EIO);
       CHECK(r.sync(d, true) == -EIO);
       faults.give(Call::WriteAt, -ENOSPC, 1, 1).shorten(Call::Write, 1, 0);
       CHECK(write_at(r, d, &byte, 1, 0) == 1);
       CHECK(write_at(r, d, &byte, 1, 0) == -ENOSPC);
     }).join();
  }
}

TEST_CASE("a ring that is full, or that the kernel takes nothing from, is done without") {
  auto options = all_slow()[1];
  options.ring_entries = 2;
  for (const Call call : {Call::RingSlot, Call::RingSubmit}) {
    World w(2, options);
    REQUIRE(std::string(w.reactor().backend()) == "uring");
    Faults faults;
    faults.give(call, -EBUSY, 30);
    std::vector<sched::Task> tasks;
    for (int i = 0; i < 8; ++i) tasks.push_back(w.spawn([&] { write_and_read(w); }));
    for (auto& t : tasks) t.join();
    CHECK(Faults::left(call) == 0);
    faults.give(Call::RingSubmit, -EINTR, 3);
    w.spawn([&] { write_and_read(w); }).join();
    CHECK(Faults::left(Call::RingSubmit) == 0);
  }
}

TEST_CASE("without a thread to be had, slow files are read on the worker's") {
  World w(2, all_slow()[0]);
  Faults faults;
  faults.give(Call::Thread, -EAGAIN, 1'000'000);
  w.spawn([&] { write_and_read(w); }).join();
}

TEST_CASE("where io_uring is refused there is epoll") {
  for (const auto kind : {io::BackendKind::Auto, io::BackendKind::Ring}) {
    Faults faults;
    faults.give(Call::RingSetup, -EPERM);
    auto options = all_slow()[1];
    options.backend = kind;
    World w(2, options);
    CHECK(std::string(w.reactor().backend()) == "epoll");
    w.spawn([&] { write_and_read(w); }).join();
  }
}

TEST_CASE("the environment chooses the backend") {
  auto named = [](const char* value) {
    ::setenv("VMRUN_IO", value, 1);
    int64_t error = 0;
    auto r = io::Reactor::create({}, error);
    ::unsetenv("VMRUN_IO");
    REQUIRE(error == 0);
    return std::string(r->backend());
  };
  CHECK(named("epoll") == "epoll");
  CHECK(named("uring") == "uring");
  CHECK(named("auto") == "uring");
}

namespace {

/// Counts what a backend reports.
struct Heard : io::Sink {
  std::atomic<int> changes{0}, finishes{0};
  int ready(uint64_t, uint32_t) noexcept override { return ++changes, 1; }
  int finished(Op&) noexcept override { return ++finishes, 1; }
};

Op read_of(int fd, const iovec& into, int64_t offset) {
  Op op;
  op.kind = Op::Kind::Read;
  op.fd = fd;
  op.iov = &into;
  op.count = 1;
  op.offset = offset;
  return op;
}

}  // namespace

TEST_CASE("the end of the thread that submitted an operation does not end the operation; cancelling does") {
  Heard heard;
  io::RingBackend ring(all_backends()[1], heard);
  bool refused = false;
  REQUIRE(ring.open(refused) == 0);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  char byte = 0;
  const iovec into{&byte, 1};
  Op op = read_of(ends[0], into, 0);  // a pipe waits at a position too
  std::thread([&] { REQUIRE(ring.start(op) == 0); }).join();
  for (int i = 0; i < 5; ++i) ring.reap(sched::now() + 2'000'000);
  CHECK(heard.finishes == 0);
  REQUIRE(::write(ends[1], "x", 1) == 1);
  while (heard.finishes == 0) ring.reap(sched::now() + 2'000'000);
  CHECK(op.result == 1);
  CHECK(byte == 'x');

  Op other = read_of(ends[0], into, 0);
  REQUIRE(ring.start(other) == 0);
  ring.cancel(other);
  while (heard.finishes == 1) ring.reap(sched::now() + 2'000'000);
  CHECK(other.result == -ECANCELED);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("threads for files: bounded, cancellable until they begin, gone when idle") {
  Heard heard;
  auto options = all_backends()[0];
  options.file_threads = 2;
  options.thread_idle = 20'000'000;
  io::FilePool pool(options, heard);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  char bytes[5] = {};
  iovec into[5];
  std::vector<Op> ops(5);
  for (size_t i = 0; i < 5; ++i) {
    into[i] = {&bytes[i], 1};
    ops[i] = read_of(ends[0], into[i], -1);
    REQUIRE(pool.start(ops[i]) == 0);
  }
  CHECK(pool.threads() == 2);
  pool.cancel(ops[4]);
  CHECK(ops[4].result == -ECANCELED);
  CHECK(heard.finishes == 1);
  REQUIRE(::write(ends[1], "abcd", 4) == 4);
  while (heard.finishes != 5) std::this_thread::sleep_for(100us);
  for (size_t i = 0; i < 4; ++i) CHECK(ops[i].result == 1);
  pool.cancel(ops[0]);  // over already
  CHECK(heard.finishes == 5);
  for (int i = 0; i < 2'000 && pool.threads() != 0; ++i) std::this_thread::sleep_for(5ms);
  CHECK(pool.threads() == 0);
  Op again = read_of(ends[0], into[0], -1);
  REQUIRE(::write(ends[1], "e", 1) == 1);
  REQUIRE(pool.start(again) == 0);
  while (heard.finishes != 6) std::this_thread::sleep_for(100us);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("a slow read that is cancelled or late gives its buffer back first") {
  // A transfer of a FIFO's bytes as if it were a file's, so that it takes as long as is wanted.
  for (const io::Options& options : all_slow()) {
    World w(2, options);
    io::Reactor& r = w.reactor();
    auto [in, out] = w.pipe();
    CAPTURE(r.backend());
    if (std::string(r.backend()) == "epoll") continue;  // a thread that has begun is not ended: the next test
    const int flags = ::fcntl(in.fd(), F_GETFL);
    REQUIRE(::fcntl(in.fd(), F_SETFL, flags & ~O_NONBLOCK) == 0);
    char byte;
    {
      Faults faults;
      faults.give(Call::ReadAt, -EIO, 2);  // two calls that prove slow
      w.spawn([&] {
         for (int i = 0; i < 2; ++i) CHECK(read_at(r, in, &byte, 1, 0) == -EIO);
       }).join();
    }
    w.spawn([&] { CHECK(read_at(r, in, &byte, 1, 0, Until::after(2ms)) == -ETIMEDOUT); }).join();
    auto cancelled = w.spawn([&] { CHECK(read_at(r, in, &byte, 1, 0) == -ECANCELED); });
    io::Stop stop;
    auto stopped = w.spawn([&] { CHECK(read_at(r, in, &byte, 1, 0, {.stop = &stop}) == -ECANCELED); });
    auto reader = w.spawn([&] { CHECK(read_at(r, in, &byte, 1, 0) == 1); });
    while (r.counts().transfers != 3) std::this_thread::sleep_for(100us);
    cancelled.cancel();
    stop.stop();
    cancelled.join();
    stopped.join();
    CHECK(r.counts().transfers == 1);
    CHECK(r.write(out, "x", 1) == 1);
    reader.join();
    CHECK(byte == 'x');
  }
}

TEST_CASE("a slow read that a thread has begun ends when it is done, whoever cancels it") {
  World w(2, all_slow()[0]);
  io::Reactor& r = w.reactor();
  auto [in, out] = w.pipe();
  Descriptor file = new_file(w);
  char byte = 0;
  // The own position of a file whose plain calls wait: a FIFO opened as if it were one.
  REQUIRE(::dup3(in.fd(), file.fd(), O_CLOEXEC) == file.fd());
  REQUIRE(::fcntl(file.fd(), F_SETFL, 0) == 0);
  {
    Faults faults;
    faults.give(Call::Read, -EIO, 2);
    w.spawn([&] {
       for (int i = 0; i < 2; ++i) CHECK(r.read(file, &byte, 1) == -EIO);
     }).join();
  }
  Faults faults;
  faults.shorten(Call::Read, 100, 1);  // no fault: it tells when the thread makes the call
  auto reader = w.spawn([&] { CHECK(r.read(file, &byte, 1) == 1); });
  while (Faults::left(Call::Read) != 0) std::this_thread::sleep_for(100us);
  reader.cancel();
  std::this_thread::sleep_for(2ms);
  CHECK_FALSE(reader.done());
  CHECK(r.write(out, "x", 1) == 1);
  reader.join();
  CHECK(byte == 'x');
}
