// Nothing at all: what a start costs.
int main(void) { return 0; }
