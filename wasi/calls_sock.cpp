// Sockets: accepting on inherited listeners, and what connected ones do beyond fd_read and fd_write.
#include <sys/socket.h>

#include "wasi/blocking.h"
#include "wasi/calls_common.h"
#include "wasi/transfer.h"

namespace vmrun::wasi {
namespace {

Errno need_socket(Context& cx, Fd fd, Rights needed, FdRef& out) {
  FdRef d = cx.fds.get(fd.value);
  if (d == nullptr) return Errno::badf;
  if (!d->is_socket()) return Errno::notsock;
  if ((d->base & needed) != needed) return Errno::notcapable;
  out = std::move(d);
  return Errno::success;
}

}  // namespace

Errno sock_accept(Context& cx, Mem memory, Fd fd, FdFlags flags, Out<uint32_t> out) {
  if ((flags.value & ~kFdNonblock) != 0) return Errno::inval;
  FdRef d;
  if (Errno e = need_socket(cx, fd, rights::kSockAccept, d); e != Errno::success) return e;
  Rights inheriting = d->inheriting;
  FdTable::Place place(cx.fds);
  if (!place) return Errno::mfile;  // the connection stays in the queue
  if (d->nonblocking && d->host_waits && !is_ready(d->host, POLLIN)) return Errno::again;
  int64_t r = blocking::accept(*d, SOCK_CLOEXEC | (flags.value & kFdNonblock ? SOCK_NONBLOCK : 0));
  if (r < 0) return errno_of(r);
  uint32_t number;
  Descriptor accepted = describe(HostFd(static_cast<int>(r)), d->type, inheriting);
  if (!cx.fds.insert(std::move(accepted), number, std::move(place))) return Errno::mfile;
  return out.store(memory, number);
}

Errno sock_recv(Context& cx, Mem memory, Fd fd, Iovecs data, MessageFlags flags, Out<uint32_t> bytes,
                Out<uint16_t> out_flags) {
  if ((flags.value & ~(kRecvPeek | kRecvWaitall)) != 0) return Errno::inval;
  FdRef d;
  if (Errno e = need_socket(cx, fd, rights::kFdRead, d); e != Errno::success) return e;
  HostIovecs iov;
  if (Errno e = iov.load(memory, data); e != Errno::success) return e;
  msghdr message{};
  message.msg_iov = iov.data();
  message.msg_iovlen = static_cast<size_t>(iov.count());
  const int host_flags = (flags.value & kRecvPeek ? MSG_PEEK : 0) | (flags.value & kRecvWaitall ? MSG_WAITALL : 0) |
                         (d->nonblocking ? MSG_DONTWAIT : 0);
  int64_t r = blocking::recvmsg(*d, message, host_flags);
  if (r < 0) return errno_of(r);
  Errno e = out_flags.store(memory, message.msg_flags & MSG_TRUNC ? kRecvTruncated : 0);
  return e == Errno::success ? finish_transfer(memory, r, bytes) : e;
}

Errno sock_send(Context& cx, Mem memory, Fd fd, Iovecs data, MessageFlags flags, Out<uint32_t> bytes) {
  if (flags.value != 0) return Errno::inval;  // none are defined
  FdRef d;
  if (Errno e = need_socket(cx, fd, rights::kFdWrite, d); e != Errno::success) return e;
  HostIovecs iov;
  if (Errno e = iov.load(memory, data); e != Errno::success) return e;
  if (d->type == FileType::SocketDgram && iov.more()) return Errno::msgsize;  // a message goes in one piece
  return finish_transfer(memory, write_to(cx, *d, iov.data(), iov.count()), bytes);
}

Errno sock_shutdown(Context& cx, Mem, Fd fd, MessageFlags how) {
  static constexpr int kHow[] = {-1, SHUT_RD, SHUT_WR, SHUT_RDWR};  // by the bits kShutRead, kShutWrite
  if (how.value == 0 || how.value > (kShutRead | kShutWrite)) return Errno::inval;
  FdRef d;
  if (Errno e = need_socket(cx, fd, rights::kSockShutdown, d); e != Errno::success) return e;
  return errno_of(raw([&] { return ::shutdown(d->host, kHow[how.value]); }));
}

}  // namespace vmrun::wasi
