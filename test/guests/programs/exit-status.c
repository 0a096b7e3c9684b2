// The status that main returns is the status that the machine ends with.
#include "guest.h"

int main(void) {
  print("ending with status 42\n");
  return 42;
}
