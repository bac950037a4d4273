// The calls, one row each: where they exist, name, function, the parameters' names for traces (an address and its
// length are one parameter).
//   VMRUN_WASI_CALLS(X): X(where, name, function, parameters)    where: Both, Preview1, Unstable
#pragma once

#define VMRUN_WASI_CALLS(X)                                                                                      \
  X(Both, args_get, args_get, "argv argv_buf")                                                                   \
  X(Both, args_sizes_get, args_sizes_get, "argc argv_buf_size")                                                  \
  X(Both, environ_get, environ_get, "environ environ_buf")                                                       \
  X(Both, environ_sizes_get, environ_sizes_get, "environc environ_buf_size")                                     \
  X(Both, clock_res_get, clock_res_get, "id resolution")                                                         \
  X(Both, clock_time_get, clock_time_get, "id precision time")                                                   \
  X(Both, fd_advise, fd_advise, "fd offset len advice")                                                          \
  X(Both, fd_allocate, fd_allocate, "fd offset len")                                                             \
  X(Both, fd_close, fd_close, "fd")                                                                              \
  X(Both, fd_datasync, fd_datasync, "fd")                                                                        \
  X(Both, fd_fdstat_get, fd_fdstat_get, "fd stat")                                                               \
  X(Both, fd_fdstat_set_flags, fd_fdstat_set_flags, "fd flags")                                                  \
  X(Both, fd_fdstat_set_rights, fd_fdstat_set_rights, "fd fs_rights_base fs_rights_inheriting")                  \
  X(Preview1, fd_filestat_get, fd_filestat_get, "fd buf")                                                        \
  X(Unstable, fd_filestat_get, fd_filestat_get_unstable, "fd buf")                                               \
  X(Both, fd_filestat_set_size, fd_filestat_set_size, "fd size")                                                 \
  X(Both, fd_filestat_set_times, fd_filestat_set_times, "fd atim mtim fst_flags")                                \
  X(Both, fd_pread, fd_pread, "fd iovs offset nread")                                                            \
  X(Both, fd_prestat_get, fd_prestat_get, "fd buf")                                                              \
  X(Both, fd_prestat_dir_name, fd_prestat_dir_name, "fd path")                                                   \
  X(Both, fd_pwrite, fd_pwrite, "fd iovs offset nwritten")                                                       \
  X(Both, fd_read, fd_read, "fd iovs nread")                                                                     \
  X(Both, fd_readdir, fd_readdir, "fd buf cookie bufused")                                                       \
  X(Both, fd_renumber, fd_renumber, "fd to")                                                                     \
  X(Preview1, fd_seek, fd_seek, "fd offset whence newoffset")                                                    \
  X(Unstable, fd_seek, fd_seek_unstable, "fd offset whence newoffset")                                           \
  X(Both, fd_sync, fd_sync, "fd")                                                                                \
  X(Both, fd_tell, fd_tell, "fd offset")                                                                         \
  X(Both, fd_write, fd_write, "fd iovs nwritten")                                                                \
  X(Both, path_create_directory, path_create_directory, "fd path")                                               \
  X(Preview1, path_filestat_get, path_filestat_get, "fd flags path buf")                                         \
  X(Unstable, path_filestat_get, path_filestat_get_unstable, "fd flags path buf")                                \
  X(Both, path_filestat_set_times, path_filestat_set_times, "fd flags path atim mtim fst_flags")                 \
  X(Both, path_link, path_link, "old_fd old_flags old_path new_fd new_path")                                     \
  X(Both, path_open, path_open, "fd dirflags path oflags fs_rights_base fs_rights_inheriting fdflags opened_fd") \
  X(Both, path_readlink, path_readlink, "fd path buf bufused")                                                   \
  X(Both, path_remove_directory, path_remove_directory, "fd path")                                               \
  X(Both, path_rename, path_rename, "fd old_path new_fd new_path")                                               \
  X(Both, path_symlink, path_symlink, "old_path fd new_path")                                                    \
  X(Both, path_unlink_file, path_unlink_file, "fd path")                                                         \
  X(Preview1, poll_oneoff, poll_oneoff, "in out nsubscriptions nevents")                                         \
  X(Unstable, poll_oneoff, poll_oneoff_unstable, "in out nsubscriptions nevents")                                \
  X(Both, random_get, random_get, "buf")                                                                         \
  X(Both, sched_yield, sched_yield, "")                                                                          \
  X(Preview1, sock_accept, sock_accept, "fd flags opened_fd")                                                    \
  X(Both, sock_recv, sock_recv, "fd ri_data ri_flags ro_datalen ro_flags")                                       \
  X(Both, sock_send, sock_send, "fd si_data si_flags so_datalen")                                                \
  X(Both, sock_shutdown, sock_shutdown, "fd how")
