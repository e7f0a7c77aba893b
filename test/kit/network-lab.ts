/**
 * Machines on one switch, as network namespaces of Linux: each with an interface `eth0` on a bridge that has a namespace of
 * its own, so that nothing of the real network is touched. Needs root. Whatever it makes carries the number of this process
 * in its name and is removed at the end.
 */

import { execFile } from "node:child_process"
import type { Socket } from "node:net"
import { promisify } from "node:util"

const run = promisify(execFile)
const patienceMs = 10_000

export class NetworkLab implements AsyncDisposable {
  /** Addresses of the machines, in order. */
  readonly addresses: string[] = []
  readonly #prefix: string

  private constructor(prefix: string) {
    this.#prefix = prefix
  }

  /** Why there can be none here; undefined: there can. */
  static async refusal(): Promise<string | undefined> {
    if (process.platform !== "linux") return "network namespaces are Linux's"
    if (process.getuid?.() !== 0) return "network namespaces need root"
    const name = `rdv-${process.pid}-try`
    try {
      await run("ip", ["netns", "add", name], { timeout: patienceMs })
      await run("ip", ["-n", name, "link", "add", "rdvtry", "type", "bridge"], { timeout: patienceMs })
      await run("ip", ["-n", name, "link", "add", "rdvveth", "type", "veth"], { timeout: patienceMs })
      return undefined
    } catch (error) {
      return `no network namespaces here: ${(error as Error).message.split("\n").at(-2) ?? ""}`
    } finally {
      await run("ip", ["netns", "del", name]).catch(() => undefined)
    }
  }

  static async create(machines: number, tag = "lab"): Promise<NetworkLab> {
    const lab = new NetworkLab(`rdv-${process.pid}-${tag}`)
    try {
      const hub = lab.hub
      await run("ip", ["netns", "add", hub])
      await ip(hub, ["link add br0 type bridge", "link set br0 up"])
      for (let at = 0; at < machines; at++) {
        await run("ip", ["netns", "add", lab.name(at)])
        const address = `10.77.0.${at + 1}`
        await ip(hub, [
          `link add v${at} type veth peer name eth0 netns ${lab.name(at)}`,
          `link set v${at} master br0`,
          `link set v${at} up`,
        ])
        await ip(lab.name(at), [`addr add ${address}/24 brd + dev eth0`, "link set eth0 up", "link set lo up"])
        lab.addresses.push(address)
      }
    } catch (error) {
      await lab[Symbol.asyncDispose]()
      throw error
    }
    return lab
  }

  /** The namespace of the switch, where `v0` leads to the first machine. */
  get hub(): string {
    return `${this.#prefix}-hub`
  }

  /**
   * Takes two machines from the switch: what one sends goes nowhere unless somebody carries it between `v0` and `v1`
   * (`network-wire.py`). Their frames are those of a real wire, whole and with check sums.
   */
  async unplug(): Promise<void> {
    await ip(this.hub, ["link set v0 nomaster", "link set v1 nomaster"])
    for (const machine of [0, 1]) {
      await ip(this.name(machine), ["link set eth0 gso_max_size 1500 gso_max_segs 1"])
      await run("ip", [...this.on(machine), "python3", "-c", plainFrames])
    }
  }

  /** Of a machine's namespace. */
  name(machine: number): string {
    return `${this.#prefix}-${machine}`
  }

  /** Words behind `ip` that run a command on a machine. */
  on(machine: number): readonly string[] {
    return ["netns", "exec", this.name(machine)]
  }

  /** Drops this share of what comes in to a machine, by chance. Needs `cls_bpf`. */
  async lose(machine: number, share: number): Promise<void> {
    const dev = ["dev", "eth0"]
    const tc = (...words: string[]) => run("tc", ["-n", this.name(machine), ...words])
    await tc("qdisc", "replace", ...dev, "clsact").catch(() => undefined)
    await tc("filter", "del", ...dev, "ingress").catch(() => undefined)
    if (share === 0) return
    // Classic BPF: a random word (offset 56 of the ancillary data); at or above the limit -1, "go on", else 2, "drop".
    const limit = Math.round(share * 2 ** 32)
    const code = `4,32 0 0 4294963256,53 0 1 ${limit},6 0 0 4294967295,6 0 0 2`
    await tc("filter", "add", ...dev, "ingress", "bpf", "da", "bytecode", code)
  }

  /** Bytes that a machine has sent, with Ethernet's headers. */
  async sentBytes(machine: number): Promise<number> {
    const { stdout } = await run("ip", ["-n", this.name(machine), "-j", "-s", "link", "show", "dev", "eth0"])
    const [link] = JSON.parse(stdout) as { stats64: { tx: { bytes: number } } }[]
    return link?.stats64.tx.bytes ?? 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const names = [...this.addresses.keys(), this.addresses.length].map((at) => this.name(at))
    for (const name of [...names, this.hub]) await run("ip", ["netns", "del", name]).catch(() => undefined)
  }
}

/** ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO and ETHTOOL_SGRO: 0. */
const plainFrames = `
import ctypes, fcntl, socket, struct
s = socket.socket()
for command in (0x17, 0x1f, 0x24, 0x2c):
    value = ctypes.create_string_buffer(struct.pack("II", command, 0))
    try:
        fcntl.ioctl(s, 0x8946, struct.pack("16sP", b"eth0", ctypes.addressof(value)) + bytes(16))
    except OSError:
        pass
`

async function ip(namespace: string, commands: readonly string[]): Promise<void> {
  const batch = run("ip", ["-n", namespace, "-batch", "-"], { timeout: patienceMs })
  const input = batch.child.stdin as unknown as Socket
  input.end(`${commands.join("\n")}\n`)
  await batch
}
