// The calls of WASI preview 1 as functions over a context and the guest's memory. Names are those of the witx file;
// those ending in _unstable are the predecessor's where it differs. proc_exit and proc_raise, which end the guest, are
// in linker.cpp.
#pragma once

#include "wasi/args.h"
#include "wasi/context.h"

namespace vmrun::wasi {

using Mem = const GuestMemory&;

// calls_process.cpp
Errno args_get(Context&, Mem, Ptr argv, Ptr buffer);
Errno args_sizes_get(Context&, Mem, Out<uint32_t> count, Out<uint32_t> bytes);
Errno environ_get(Context&, Mem, Ptr environ, Ptr buffer);
Errno environ_sizes_get(Context&, Mem, Out<uint32_t> count, Out<uint32_t> bytes);
Errno clock_res_get(Context&, Mem, Clock id, Out<uint64_t> resolution);
Errno clock_time_get(Context&, Mem, Clock id, Time precision, Out<uint64_t> time);
Errno random_get(Context&, Mem, Buffer buffer);
Errno sched_yield(Context&, Mem);

// calls_fd.cpp: descriptors
Errno fd_advise(Context&, Mem, Fd, Size64 offset, Size64 length, Advice);
Errno fd_allocate(Context&, Mem, Fd, Size64 offset, Size64 length);
Errno fd_close(Context&, Mem, Fd);
Errno fd_datasync(Context&, Mem, Fd);
Errno fd_fdstat_get(Context&, Mem, Fd, Out<GuestFdstat> stat);
Errno fd_fdstat_set_flags(Context&, Mem, Fd, FdFlags);
Errno fd_fdstat_set_rights(Context&, Mem, Fd, RightsArg base, RightsArg inheriting);
Errno fd_filestat_get(Context&, Mem, Fd, Out<GuestFilestat> stat);
Errno fd_filestat_get_unstable(Context&, Mem, Fd, Out<GuestFilestatUnstable> stat);
Errno fd_filestat_set_size(Context&, Mem, Fd, Size64 size);
Errno fd_filestat_set_times(Context&, Mem, Fd, Time atim, Time mtim, FstFlags);
Errno fd_prestat_get(Context&, Mem, Fd, Out<GuestPrestat> prestat);
Errno fd_prestat_dir_name(Context&, Mem, Fd, Buffer name);
Errno fd_renumber(Context&, Mem, Fd from, Fd to);
Errno fd_sync(Context&, Mem, Fd);

// calls_io.cpp: reading, writing, positions
Errno fd_pread(Context&, Mem, Fd, Iovecs, Size64 offset, Out<uint32_t> bytes);
Errno fd_pwrite(Context&, Mem, Fd, Iovecs, Size64 offset, Out<uint32_t> bytes);
Errno fd_read(Context&, Mem, Fd, Iovecs, Out<uint32_t> bytes);
Errno fd_write(Context&, Mem, Fd, Iovecs, Out<uint32_t> bytes);
Errno fd_seek(Context&, Mem, Fd, Delta, Whence, Out<uint64_t> position);
Errno fd_seek_unstable(Context&, Mem, Fd, Delta, Whence, Out<uint64_t> position);
Errno fd_tell(Context&, Mem, Fd, Out<uint64_t> position);
Errno fd_readdir(Context&, Mem, Fd, Buffer buffer, Cookie, Out<uint32_t> bytes);

// calls_path.cpp
Errno path_create_directory(Context&, Mem, Fd, PathArg);
Errno path_filestat_get(Context&, Mem, Fd, LookupFlags, PathArg, Out<GuestFilestat> stat);
Errno path_filestat_get_unstable(Context&, Mem, Fd, LookupFlags, PathArg, Out<GuestFilestatUnstable> stat);
Errno path_filestat_set_times(Context&, Mem, Fd, LookupFlags, PathArg, Time atim, Time mtim, FstFlags);
Errno path_link(Context&, Mem, Fd old_fd, LookupFlags, PathArg old_path, Fd new_fd, PathArg new_path);
Errno path_open(Context&, Mem, Fd, LookupFlags, PathArg, OFlags, RightsArg base, RightsArg inheriting, FdFlags,
                Out<uint32_t> fd);
Errno path_readlink(Context&, Mem, Fd, PathArg, Buffer buffer, Out<uint32_t> bytes);
Errno path_remove_directory(Context&, Mem, Fd, PathArg);
Errno path_rename(Context&, Mem, Fd old_fd, PathArg old_path, Fd new_fd, PathArg new_path);
Errno path_symlink(Context&, Mem, PathArg content, Fd, PathArg);
Errno path_unlink_file(Context&, Mem, Fd, PathArg);

// calls_poll.cpp
Errno poll_oneoff(Context&, Mem, Ptr subscriptions, Ptr events, Count, Out<uint32_t> stored);
Errno poll_oneoff_unstable(Context&, Mem, Ptr subscriptions, Ptr events, Count, Out<uint32_t> stored);

// calls_sock.cpp
Errno sock_accept(Context&, Mem, Fd, FdFlags, Out<uint32_t> fd);
Errno sock_recv(Context&, Mem, Fd, Iovecs, MessageFlags, Out<uint32_t> bytes, Out<uint16_t> flags);
Errno sock_send(Context&, Mem, Fd, Iovecs, MessageFlags, Out<uint32_t> bytes);
Errno sock_shutdown(Context&, Mem, Fd, MessageFlags how);

}  // namespace vmrun::wasi
