// A library that is no plug-in of vmrun's. Whoever loads it runs this.
#include <stdlib.h>

__attribute__((constructor)) static void run(void) { setenv("VMRUN_TEST_FOREIGN_PLUGIN_RAN", "yes", 1); }
