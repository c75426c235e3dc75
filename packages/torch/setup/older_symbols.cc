// Linked into an addon that is built for others, so that it loads with glibc 2.28 and libstdc++ of GCC 8, as PyTorch's
// wheels do. The linker puts `__wrap_x` in the place of each `x` that these libraries have given a new version since
// (-Wl,--wrap=x, see prebuilt.mjs); each calls the version that has always been there.
#include <condition_variable>
#include <csignal>
#include <mutex>

#if defined(__x86_64__)
#define OLDEST "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define OLDEST "GLIBC_2.17"
#endif

#define OLD(name, version) __asm__(".symver old_" #name "," #name "@" version)

extern "C" {

// Of glibc 2.32: whether libstdc++ may count references without atomic instructions. It may not, ever.
__attribute__((visibility("hidden"))) char __libc_single_threaded = 0;

void* old_dlsym(void* handle, const char* name);
OLD(dlsym, OLDEST);
void* __wrap_dlsym(void* handle, const char* name) { return old_dlsym(handle, name); }

double old_pow(double base, double exponent);
OLD(pow, OLDEST);
double __wrap_pow(double base, double exponent) { return old_pow(base, exponent); }

int old_pthread_once(pthread_once_t* control, void (*routine)());
OLD(pthread_once, OLDEST);
int __wrap_pthread_once(pthread_once_t* control, void (*routine)()) { return old_pthread_once(control, routine); }

int old_pthread_sigmask(int how, const sigset_t* set, sigset_t* before);
OLD(pthread_sigmask, OLDEST);
int __wrap_pthread_sigmask(int how, const sigset_t* set, sigset_t* before) {
  return old_pthread_sigmask(how, set, before);
}

// std::condition_variable::wait
void old_wait(std::condition_variable* variable, std::unique_lock<std::mutex>* lock);
__asm__(".symver old_wait,_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE@GLIBCXX_3.4.11");
void __wrap__ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE(std::condition_variable* variable,
                                                                      std::unique_lock<std::mutex>* lock) {
  old_wait(variable, lock);
}
}
