// Asking a vmrun that runs for its pages, as an HTTP client does.
#pragma once

#include <map>
#include <string>

namespace vmrun::test {

/// A connection to a port of this machine, or to a socket: "unix:PATH", "@NAME".
class PageClient {
 public:
  explicit PageClient(unsigned port);
  explicit PageClient(const std::string& socket);
  ~PageClient();
  PageClient(const PageClient&) = delete;

  bool connected() const { return fd_ >= 0; }
  /// False when the connection has ended.
  bool send(const std::string& bytes) const;
  /// Everything until its end, for a minute at most.
  std::string rest() const;
  void close();

 private:
  int fd_ = -1;
};

/// All of the answer to GET `path`, with further header lines; empty: there was none.
std::string get_page(unsigned port, const std::string& path, const std::string& headers = {});
std::string body_of(const std::string& answer);

/// Reads the text format of Prometheus strictly: the values by name and labels as they stand there. What is wrong comes
/// under the name "problem".
std::map<std::string, double> read_metrics(const std::string& text);

}  // namespace vmrun::test
