// A small HTTP/1.1 server for pages about this process: metrics, and what vmrun top shows.
//
// One thread does all of it, and no guest waits for it. A connection gets one page and is closed. What clients may take is
// bounded: connections of a listener (a further one ends the oldest), bytes of a request, time for all of it. Pages are made
// one at a time, and one that was made a moment ago is given again, so that no number of requests takes more than a part of
// one processor.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "vmrun/base/result.h"

namespace vmrun::tools {

struct PageRequest {
  std::string path;           // without what follows a question mark
  std::string query;          // that
  bool open_metrics = false;  // the client takes OpenMetrics
};

struct Page {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

/// Makes pages: on the server's thread.
using PageMaker = std::function<Page(const PageRequest&)>;

class PageServer {
 public:
  static constexpr size_t kMostConnections = 8;  // of each listener
  static constexpr size_t kMostHead = 8 << 10;   // bytes of a request
  /// From the connection's begin to its end.
  static constexpr int kPatienceMs = 5000;
  /// A page that was made for the same request so long ago at most is given again.
  static constexpr int kFreshMs = 100;

  PageServer();
  /// Ends the thread and all connections, and closes the listeners.
  ~PageServer();
  PageServer(const PageServer&) = delete;
  PageServer& operator=(const PageServer&) = delete;

  /// Before start(). Takes over the listening socket `listener`. `own_user`: connections of other users, but root's, are
  /// closed at once; for local sockets.
  void add(int listener, bool own_user, PageMaker maker);
  /// Before start(): `work` is called on the thread now and then. It returns after how many milliseconds it wants to be called
  /// again at the latest; -1: when there was something else to do.
  void whenever(std::function<int()> work);
  /// Errors: Limit (no thread, no descriptor).
  Result<void> start();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vmrun::tools
