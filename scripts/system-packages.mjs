/**
 * The programs beside Node that tests and benchmarks call. On a Debian-like system and as root the missing ones are
 * installed; elsewhere one line says what will be skipped. Nothing here is needed to run the product.
 */

import { spawnSync } from "node:child_process"
import { existsSync, rmSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { setUpKernels } from "./kernels.mjs"
import { say } from "./setup.mjs"

/** `command` or `file`: what is looked for; `apt`: the package that brings it; `for`: what is skipped without it. */
const programs = {
  test: [
    { command: "curl", apt: "curl", for: "the tests that call curl" },
    { command: "python3", apt: "python3", for: "the tests of the Python implementation" },
    { command: "openssl", apt: "openssl", for: "the tests that make certificates" },
    { command: "chromium", apt: "chromium", for: "the tests in a browser" },
    { command: "firefox-esr", apt: "firefox-esr", for: "the tests in Firefox" },
    { command: "go", apt: "golang-go", for: "the tests of programs in Go" },
    { command: "ip", apt: "iproute2", for: "the tests that change the machine's address" },
    { command: "qemu-system-x86_64", apt: "qemu-system-x86", for: "the tests with a real Linux kernel" },
    { command: "busybox", apt: "busybox-static", for: "the tests with a real Linux kernel" },
    { command: "xz", apt: "xz-utils", for: "the tests with a real Linux kernel" },
    { command: "perl", apt: "perl", for: "the tutorial of channels" },
    { command: "cc", apt: "gcc", for: "the tutorial of channels" },
    { file: "/usr/include/stdio.h", apt: "libc6-dev", for: "the tutorial of channels" },
    { command: "diodcat", apt: "diod", for: "the tests with a foreign 9P client" },
    { command: "tshark", apt: "tshark", for: "the tests that have 9P decoded by Wireshark" },
  ],
  bench: [
    { command: "wrk", apt: "wrk", for: "all load figures" },
    { command: "nginx", apt: "nginx-light", for: "the comparison with nginx" },
    { command: "hey", apt: "hey", for: "the comparison with hey" },
    { command: "h2load", apt: "nghttp2-client", for: "the comparison with h2load" },
    { command: "sshd", apt: "openssh-server", for: "the comparison with OpenSSH" },
    { command: "ssh", apt: "openssh-client", for: "the comparison with OpenSSH" },
    { command: "cc", apt: "gcc", for: "all figures of the balancer" },
    { file: "/usr/include/stdio.h", apt: "libc6-dev", for: "all figures of the balancer" },
    { command: "haproxy", apt: "haproxy", for: "all figures of the balancer" },
    {
      file: "/usr/lib/nginx/modules/ngx_stream_module.so",
      apt: "libnginx-mod-stream",
      for: "the balancer's comparison with nginx",
    },
    { command: "socat", apt: "socat", for: "the balancer's comparison with socat" },
    { command: "nats-server", apt: "nats-server", for: "the channels' comparison with NATS" },
    { command: "redis-server", apt: "redis-server", for: "the channels' comparison with Redis" },
    { command: "rabbitmq-server", apt: "rabbitmq-server", for: "the channels' comparison with RabbitMQ" },
    { command: "curl", apt: "curl", for: "sharing's comparison with nginx and curl" },
    { command: "b3sum", apt: "b3sum", for: "sharing's comparison with nginx and curl" },
    { command: "openssl", apt: "openssl", for: "sharing's comparison with nginx and curl" },
    { command: "aria2c", apt: "aria2", for: "sharing's comparison with aria2" },
    { command: "opentracker", apt: "opentracker", for: "sharing's comparison with aria2 and libtorrent" },
    { command: "mktorrent", apt: "mktorrent", for: "sharing's comparison with aria2 and libtorrent" },
    {
      file: "/usr/lib/python3/dist-packages/libtorrent.egg-info",
      apt: "python3-libtorrent",
      for: "sharing's comparison with libtorrent",
    },
    { command: "ip", apt: "iproute2", for: "sharing with hosts of a network" },
  ],
}

/** Installs what `use` ("test" or "bench") is missing, or says what will be skipped. Never fails. */
export function setUpSystem(use) {
  installPrograms(use)
  if (use === "test") setUpKernels()
}

function installPrograms(use) {
  let missing = programs[use].filter((program) => !present(program))
  if (missing.length === 0) return
  if (process.platform === "linux" && process.getuid?.() === 0 && present({ command: "apt-get" })) {
    const packages = [...new Set(missing.map(({ apt }) => apt))]
    say(`installing ${packages.join(", ")} with apt-get …`)
    withoutServices(() => {
      apt(["update"])
      apt(["install", "--yes", "--no-install-recommends", ...packages])
    })
    missing = missing.filter((program) => !present(program))
  }
  if (missing.length === 0) return
  const skipped = [...new Set(missing.map((program) => program.for))].join(", ")
  say(`not installed: ${missing.map(({ command, file }) => command ?? file).join(", ")}; skipped: ${skipped}`)
}

function present({ command, file }) {
  if (file !== undefined) return existsSync(file)
  const places = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"]
  const endings = process.platform === "win32" ? [".exe", ".cmd"] : [""]
  return places.some((place) => place !== "" && endings.some((ending) => existsSync(join(place, command + ending))))
}

function apt(args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  const result = spawnSync("apt-get", ["--quiet", ...args], { env, encoding: "utf8" })
  if (result.status === 0) return
  const lines = `${result.error?.message ?? result.stderr}`.trim().split("\n")
  say(`apt-get ${args[0]} failed: ${lines.at(-1)}`)
}

/** Debian starts a server when its package is installed; this policy forbids it for the time of the call. */
function withoutServices(call) {
  const policy = "/usr/sbin/policy-rc.d"
  if (existsSync(policy)) return call()
  writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 })
  try {
    call()
  } finally {
    rmSync(policy, { force: true })
  }
}
