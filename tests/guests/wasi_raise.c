// proc_raise with the signal number of the first argument; prints its answer when it comes back.
#include <stdio.h>
#include <stdlib.h>

__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_raise"))) int proc_raise(int signal);

int main(int argc, char** argv) {
  printf("%d\n", proc_raise(atoi(argv[1])));
  return argc - 2;
}
