// The page that bench/serve asks for, as a WASI program: one line about the request.
#include <stdio.h>
#include <stdlib.h>

int main(void) { printf("Content-Type: text/plain\n\nHello %s %s\n", getenv("REQUEST_METHOD"), getenv("PATH_INFO")); }
