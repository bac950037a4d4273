// Numbers and layouts of WASI preview 1 and of its predecessor (witx files snapshot_preview1 and preview0): what guests
// see. Layouts are little-endian images in guest memory, without any alignment guarantee.
#pragma once

#include <cstdint>

namespace vmrun::wasi {

/// A call's result. The order is the witx enumeration's.
// clang-format off
#define VMRUN_WASI_ERRNOS(X)                                                                                    \
  X(success) X(toobig) X(acces) X(addrinuse) X(addrnotavail) X(afnosupport) X(again) X(already) X(badf)         \
  X(badmsg) X(busy) X(canceled) X(child) X(connaborted) X(connrefused) X(connreset) X(deadlk) X(destaddrreq)    \
  X(dom) X(dquot) X(exist) X(fault) X(fbig) X(hostunreach) X(idrm) X(ilseq) X(inprogress) X(intr) X(inval)      \
  X(io) X(isconn) X(isdir) X(loop) X(mfile) X(mlink) X(msgsize) X(multihop) X(nametoolong) X(netdown)           \
  X(netreset) X(netunreach) X(nfile) X(nobufs) X(nodev) X(noent) X(noexec) X(nolck) X(nolink) X(nomem) X(nomsg) \
  X(noprotoopt) X(nospc) X(nosys) X(notconn) X(notdir) X(notempty) X(notrecoverable) X(notsock) X(notsup)       \
  X(notty) X(nxio) X(overflow) X(ownerdead) X(perm) X(pipe) X(proto) X(protonosupport) X(prototype) X(range)    \
  X(rofs) X(spipe) X(srch) X(stale) X(timedout) X(txtbsy) X(xdev) X(notcapable)
// clang-format on

enum class Errno : uint16_t {
#define VMRUN_WASI_X(name) name,
  VMRUN_WASI_ERRNOS(VMRUN_WASI_X)
#undef VMRUN_WASI_X
};
static_assert(static_cast<int>(Errno::badf) == 8 && static_cast<int>(Errno::inval) == 28 &&
              static_cast<int>(Errno::noent) == 44 && static_cast<int>(Errno::notcapable) == 76);

using Rights = uint64_t;
namespace rights {
inline constexpr Rights kFdDatasync = 1 << 0, kFdRead = 1 << 1, kFdSeek = 1 << 2, kFdFdstatSetFlags = 1 << 3,
                        kFdSync = 1 << 4, kFdTell = 1 << 5, kFdWrite = 1 << 6, kFdAdvise = 1 << 7, kFdAllocate = 1 << 8,
                        kPathCreateDirectory = 1 << 9, kPathCreateFile = 1 << 10, kPathLinkSource = 1 << 11,
                        kPathLinkTarget = 1 << 12, kPathOpen = 1 << 13, kFdReaddir = 1 << 14, kPathReadlink = 1 << 15,
                        kPathRenameSource = 1 << 16, kPathRenameTarget = 1 << 17, kPathFilestatGet = 1 << 18,
                        kPathFilestatSetSize = 1 << 19, kPathFilestatSetTimes = 1 << 20, kFdFilestatGet = 1 << 21,
                        kFdFilestatSetSize = 1 << 22, kFdFilestatSetTimes = 1 << 23, kPathSymlink = 1 << 24,
                        kPathRemoveDirectory = 1 << 25, kPathUnlinkFile = 1 << 26, kPollFdReadwrite = 1 << 27,
                        kSockShutdown = 1 << 28, kSockAccept = 1 << 29;
inline constexpr Rights kAll = (1 << 30) - 1;

/// Rights that mean something for a descriptor of each type; others are dropped when it is opened.
inline constexpr Rights kDirectory =
    kFdFdstatSetFlags | kFdSync | kFdDatasync | kFdAdvise | kPathCreateDirectory | kPathCreateFile | kPathLinkSource |
    kPathLinkTarget | kPathOpen | kFdReaddir | kPathReadlink | kPathRenameSource | kPathRenameTarget |
    kPathFilestatGet | kPathFilestatSetSize | kPathFilestatSetTimes | kFdFilestatGet | kFdFilestatSetTimes |
    kPathSymlink | kPathRemoveDirectory | kPathUnlinkFile | kPollFdReadwrite;
inline constexpr Rights kRegularFile = kFdDatasync | kFdRead | kFdSeek | kFdFdstatSetFlags | kFdSync | kFdTell |
                                       kFdWrite | kFdAdvise | kFdAllocate | kFdFilestatGet | kFdFilestatSetSize |
                                       kFdFilestatSetTimes | kPollFdReadwrite;
inline constexpr Rights kTerminal =
    kFdRead | kFdWrite | kFdFdstatSetFlags | kFdFilestatGet | kFdFilestatSetTimes | kPollFdReadwrite;
inline constexpr Rights kStream = kTerminal | kFdSync | kFdDatasync;
inline constexpr Rights kSocket =
    kFdRead | kFdWrite | kFdFdstatSetFlags | kFdFilestatGet | kPollFdReadwrite | kSockShutdown | kSockAccept;
/// What a standard stream may do, whatever it is on the host: neither its position nor its size or times are the
/// guest's.
inline constexpr Rights kStandardStream =
    kFdRead | kFdWrite | kFdFdstatSetFlags | kFdSync | kFdDatasync | kFdFilestatGet | kPollFdReadwrite;
}  // namespace rights

enum class FileType : uint8_t {
  Unknown,
  BlockDevice,
  CharacterDevice,
  Directory,
  RegularFile,
  SocketDgram,
  SocketStream,
  SymbolicLink,
};

inline constexpr uint32_t kFdAppend = 1, kFdDsync = 2, kFdNonblock = 4, kFdRsync = 8, kFdSyncFlag = 16,
                          kFdFlagsAll = 31;
inline constexpr uint32_t kOCreat = 1, kODirectory = 2, kOExcl = 4, kOTrunc = 8, kOFlagsAll = 15;
inline constexpr uint32_t kSymlinkFollow = 1;
inline constexpr uint32_t kSetAtim = 1, kSetAtimNow = 2, kSetMtim = 4, kSetMtimNow = 8, kFstFlagsAll = 15;
inline constexpr uint32_t kRecvPeek = 1, kRecvWaitall = 2, kRecvTruncated = 1;
inline constexpr uint32_t kShutRead = 1, kShutWrite = 2;

enum class ClockId : uint32_t { Realtime, Monotonic, ProcessCpu, ThreadCpu };
inline constexpr uint32_t kEventClock = 0, kEventRead = 1, kEventWrite = 2;
inline constexpr uint16_t kAbsTime = 1, kHangup = 1;

/// The signals of proc_raise; numbers as in the witx file.
enum class Signal : uint8_t {
  None,
  Hup,
  Int,
  Quit,
  Ill,
  Trap,
  Abrt,
  Bus,
  Fpe,
  Kill,
  Usr1,
  Segv,
  Usr2,
  Pipe,
  Alrm,
  Term,
  Chld,
  Cont,
  Stop,
  Tstp,
  Ttin,
  Ttou,
  Urg,
  Xcpu,
  Xfsz,
  Vtalrm,
  Prof,
  Winch,
  Poll,
  Pwr,
  Sys
};

// Structures in guest memory. Preview 1 unless the name says otherwise.
struct GuestIovec {
  uint32_t buf, len;
};
struct GuestPrestat {
  uint8_t tag, pad[3];
  uint32_t name_len;
};
struct GuestFdstat {
  uint8_t filetype, pad0;
  uint16_t flags;
  uint32_t pad1;
  uint64_t rights_base, rights_inheriting;
};
struct GuestFilestat {
  uint64_t dev, ino;
  uint8_t filetype, pad[7];
  uint64_t nlink, size, atim, mtim, ctim;
};
struct GuestFilestatUnstable {
  uint64_t dev, ino;
  uint8_t filetype, pad[3];
  uint32_t nlink;
  uint64_t size, atim, mtim, ctim;
};
struct GuestDirent {
  uint64_t next, ino;
  uint32_t namlen;
  uint8_t type, pad[3];
};
struct GuestSubscription {
  uint64_t userdata;
  uint8_t tag, pad0[7];
  uint32_t id_or_fd, pad1;
  uint64_t timeout, precision;
  uint16_t flags, pad2[3];
};
struct GuestSubscriptionUnstable {
  uint64_t userdata;
  uint8_t tag, pad0[7];
  union {
    uint64_t identifier;
    uint32_t fd;
  };
  uint32_t id, pad1;
  uint64_t timeout, precision;
  uint16_t flags, pad2[3];
};
struct GuestEvent {
  uint64_t userdata;
  uint16_t error;
  uint8_t type, pad0[5];
  uint64_t nbytes;
  uint16_t flags, pad1[3];
};
static_assert(sizeof(GuestIovec) == 8 && sizeof(GuestPrestat) == 8 && sizeof(GuestFdstat) == 24 &&
              sizeof(GuestFilestat) == 64 && sizeof(GuestFilestatUnstable) == 56 && sizeof(GuestDirent) == 24 &&
              sizeof(GuestSubscription) == 48 && sizeof(GuestSubscriptionUnstable) == 56 && sizeof(GuestEvent) == 32);

}  // namespace vmrun::wasi
