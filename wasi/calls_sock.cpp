// Sockets: accepting on inherited listeners, and what connected ones do beyond fd_read and fd_write.
#include <sys/socket.h>

#include "wasi/blocking.h"
#include "wasi/calls_common.h"

namespace vmrun::wasi {
namespace {

Errno need_socket(Context& cx, Fd fd, Rights needed, Descriptor*& out) {
  Descriptor* d = cx.fds.get(fd.value);
  if (d == nullptr) return Errno::badf;
  if (d->type != FileType::SocketStream && d->type != FileType::SocketDgram) return Errno::notsock;
  if ((d->base & needed) != needed) return Errno::notcapable;
  out = d;
  return Errno::success;
}

}  // namespace

Errno sock_accept(Context& cx, Mem memory, Fd fd, FdFlags flags, Out<uint32_t> out) {
  if ((flags.value & ~kFdNonblock) != 0) return Errno::inval;
  Descriptor* d;
  if (Errno e = need_socket(cx, fd, rights::kSockAccept, d); e != Errno::success) return e;
  Rights inheriting = d->inheriting;
  int64_t r = blocking::accept(d->host, SOCK_CLOEXEC | (flags.value & kFdNonblock ? SOCK_NONBLOCK : 0));
  if (r < 0) return errno_of(r);
  uint32_t number;
  if (!cx.fds.insert(describe(static_cast<int>(r), true, inheriting), number)) return Errno::mfile;
  return out.store(memory, number);
}

Errno sock_recv(Context& cx, Mem memory, Fd fd, Iovecs data, MessageFlags flags, Out<uint32_t> bytes,
                Out<uint16_t> out_flags) {
  if ((flags.value & ~(kRecvPeek | kRecvWaitall)) != 0) return Errno::inval;
  Descriptor* d;
  if (Errno e = need_socket(cx, fd, rights::kFdRead, d); e != Errno::success) return e;
  HostIovecs iov;
  if (Errno e = iov.load(memory, data); e != Errno::success) return e;
  msghdr message{};
  message.msg_iov = iov.data();
  message.msg_iovlen = static_cast<size_t>(iov.count());
  int64_t r = blocking::recvmsg(
      d->host, message, (flags.value & kRecvPeek ? MSG_PEEK : 0) | (flags.value & kRecvWaitall ? MSG_WAITALL : 0));
  if (r < 0) return errno_of(r);
  Errno e = out_flags.store(memory, message.msg_flags & MSG_TRUNC ? kRecvTruncated : 0);
  return e == Errno::success ? finish_transfer(memory, r, bytes) : e;
}

Errno sock_send(Context& cx, Mem memory, Fd fd, Iovecs data, MessageFlags flags, Out<uint32_t> bytes) {
  if (flags.value != 0) return Errno::inval;  // none are defined
  Descriptor* d;
  if (Errno e = need_socket(cx, fd, rights::kFdWrite, d); e != Errno::success) return e;
  HostIovecs iov;
  if (Errno e = iov.load(memory, data); e != Errno::success) return e;
  msghdr message{};
  message.msg_iov = iov.data();
  message.msg_iovlen = static_cast<size_t>(iov.count());
  return finish_transfer(memory, blocking::sendmsg(d->host, message, MSG_NOSIGNAL), bytes);
}

Errno sock_shutdown(Context& cx, Mem, Fd fd, MessageFlags how) {
  static constexpr int kHow[] = {-1, SHUT_RD, SHUT_WR, SHUT_RDWR};  // by the bits kShutRead, kShutWrite
  if (how.value == 0 || how.value > (kShutRead | kShutWrite)) return Errno::inval;
  Descriptor* d;
  if (Errno e = need_socket(cx, fd, rights::kSockShutdown, d); e != Errno::success) return e;
  return errno_of(raw([&] { return ::shutdown(d->host, kHow[how.value]); }));
}

}  // namespace vmrun::wasi
