// Prints a line and ends with status 0.
#include "guest.h"

int main(void) {
  print("Hello from a guest at EL%lu.\n", read_sysreg(CurrentEL) >> 2 & 3);
  return 0;
}
