#include <containerpilot/agent/version.h>

int main() { return containerpilot::agent::version().substr(0, 2) == "4." ? 0 : 1; }
