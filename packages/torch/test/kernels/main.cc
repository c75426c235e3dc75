// Runs the tests of the kernels, a line for each: its name, and what was wrong after a tab.
#include "check.h"

int main() {
  int failed = 0;
  for (const auto& [name, test] : kernels::tests()) {
    std::string problem = "ok";
    try {
      test();
    } catch (const std::string& what) {
      problem = what;
      ++failed;
    }
    std::printf("%s\t%s\n", name.c_str(), problem.c_str());
    std::fflush(stdout);
  }
  return failed > 0;
}
