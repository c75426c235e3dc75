// A switch with ports of a given rate and cables of a given length, for processes in network namespaces of one machine.
// The kernel's own means for that (tc netem) is not in every kernel; a tun device is.
//
//   wire NAMESPACE ADDRESS NAMESPACE ADDRESS … -- GBIT MILLISECONDS
//
// Each namespace gets a device `wire` with its address (10.77.0.N/24). A packet leaves its port once those before it
// have, at GBIT (0: without limit), arrives MILLISECONDS later, and passes the port of its receiver at GBIT too, so
// that two senders share it. Packets of TCP stay whole up to 64 KiB, as network cards with segmentation offload take
// them.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace {

constexpr size_t kLargest = 1 << 17;
constexpr size_t kHeader = 10;  // struct virtio_net_hdr

using Buffer = std::unique_ptr<char[]>;

struct Packet {
  int64_t due;  // nanoseconds of the monotonic clock
  size_t length;
  Buffer bytes;
};

struct Port {
  int tun = -1;
  uint32_t address = 0;
  int64_t free = 0;          // when what it sends has left
  int64_t taken = 0;         // when what it receives has passed
  std::deque<Packet> queue;  // what is on its way to it, by due time
};

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

int64_t now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

int tun_in(const std::string& space, const std::string& address) {
  const int own = open("/proc/self/ns/net", O_RDONLY);
  const int there = open(("/var/run/netns/" + space).c_str(), O_RDONLY);
  if (there < 0 || setns(there, CLONE_NEWNET) != 0) fail(space.c_str());
  const int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  std::strcpy(request.ifr_name, "wire");
  if (tun < 0 || ioctl(tun, TUNSETIFF, &request) < 0) fail("TUNSETIFF");
  if (ioctl(tun, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) < 0) fail("TUNSETOFFLOAD");
  const std::string up =
      "ip addr add " + address + "/24 dev wire && ip link set wire up mtu 1500 txqueuelen 10000 && ip link set lo up";
  if (std::system(up.c_str()) != 0) fail("ip");
  if (setns(own, CLONE_NEWNET) != 0) fail("setns");
  close(own);
  close(there);
  return tun;
}

}  // namespace

int main(int argc, char** argv) {
  std::deque<Port> ports;
  int at = 1;
  for (; at + 1 < argc && std::strcmp(argv[at], "--") != 0; at += 2) {
    Port& port = ports.emplace_back();
    port.tun = tun_in(argv[at], argv[at + 1]);
    inet_pton(AF_INET, argv[at + 1], &port.address);
  }
  if (argc - at != 3 || ports.size() < 2) return std::fprintf(stderr, "See the head of wire.cc\n"), 2;
  const double bits = std::atof(argv[at + 1]);  // bits a nanosecond
  const auto delay = static_cast<int64_t>(1e6 * std::atof(argv[at + 2]));
  const auto spent = [&](size_t bytes) { return bits > 0 ? static_cast<int64_t>(8.0 * bytes / bits) : 0; };
  prctl(PR_SET_TIMERSLACK, 1);
  std::printf("ready\n");
  std::fflush(stdout);
  std::vector<pollfd> waits(ports.size() + 1);
  for (size_t i = 0; i < ports.size(); ++i) waits[i] = {ports[i].tun, POLLIN, 0};
  waits.back() = {STDIN_FILENO, POLLIN, 0};  // ends with whoever started it
  std::vector<Buffer> spare;
  const auto fresh = [&] {
    if (spare.empty()) return Buffer(new char[kLargest]);
    Buffer buffer = std::move(spare.back());
    spare.pop_back();
    return buffer;
  };
  for (;;) {
    int64_t next = INT64_MAX;
    for (const Port& port : ports)
      if (!port.queue.empty()) next = std::min(next, port.queue.front().due);
    const int64_t rest = next == INT64_MAX ? 1'000'000'000 : std::max<int64_t>(0, next - now());
    const timespec wait{rest / 1'000'000'000, rest % 1'000'000'000};
    if (ppoll(waits.data(), waits.size(), &wait, nullptr) < 0) fail("ppoll");
    if (waits.back().revents & (POLLHUP | POLLIN)) return 0;
    for (size_t i = 0; i < ports.size(); ++i) {
      Port& from = ports[i];
      for (int k = 0; k < 16; ++k) {
        Buffer buffer = fresh();
        const ssize_t length = read(from.tun, buffer.get(), kLargest);
        uint32_t to = 0;
        if (length >= static_cast<ssize_t>(kHeader + 20)) std::memcpy(&to, buffer.get() + kHeader + 16, 4);
        const auto port =
            std::find_if(ports.begin(), ports.end(), [&](const Port& each) { return each.address == to; });
        if (port == ports.end()) {
          spare.push_back(std::move(buffer));
          if (length < 0) break;
          continue;
        }
        const int64_t time = spent(length - kHeader);
        from.free = std::max(from.free, now()) + time;
        port->taken = std::max(port->taken + time, from.free + delay);
        port->queue.push_back({port->taken, static_cast<size_t>(length), std::move(buffer)});
      }
    }
    for (Port& port : ports)
      while (!port.queue.empty() && port.queue.front().due <= now()) {
        Packet& packet = port.queue.front();
        if (write(port.tun, packet.bytes.get(), packet.length) < 0) std::perror("write");
        spare.push_back(std::move(packet.bytes));
        port.queue.pop_front();
      }
  }
}
