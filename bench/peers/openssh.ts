/** OpenSSH `-R`: an own sshd on a loopback port with keys that live as long as the run. */

import { execFileSync } from "node:child_process"
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs"
import { userInfo } from "node:os"
import { join } from "node:path"
import type { System } from "../system.ts"
import { freePort, untilListening } from "../origin.ts"

export const openssh: System = {
  name: "ssh -R",
  side: "peer",
  carries: "bytes",
  note: "OpenSSH as Debian ships it, encrypted",
  async start(children, target) {
    const sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].find((path) => existsSync(path))
    if (sshd === undefined) throw new Error("sshd is not installed")
    const folder = children.folder()
    for (const name of ["host", "user"]) {
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, name)])
    }
    copyFileSync(join(folder, "user.pub"), join(folder, "authorized"))
    const [daemonPort, port] = [await freePort(), await freePort()]
    const config = [
      `ListenAddress 127.0.0.1:${daemonPort}`,
      `HostKey ${join(folder, "host")}`,
      `AuthorizedKeysFile ${join(folder, "authorized")}`,
      `PidFile ${join(folder, "pid")}`,
      "StrictModes no",
      "UsePAM no",
      "PasswordAuthentication no",
      "PermitRootLogin prohibit-password",
      "AllowTcpForwarding yes",
    ]
    writeFileSync(join(folder, "sshd_config"), `${config.join("\n")}\n`)
    // Privilege separation needs this folder, which only a service's start creates.
    if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 })
    const daemon = children.start("sshd", sshd, ["-D", "-e", "-f", join(folder, "sshd_config")])
    await untilListening(
      { host: "127.0.0.1", port: daemonPort },
      () => daemon.running,
      () => daemon.output,
    )
    const client = children.start("ssh", "ssh", [
      "-N",
      "-F",
      "none",
      "-i",
      join(folder, "user"),
      "-p",
      String(daemonPort),
      "-o",
      "StrictHostKeyChecking=no",
      "-o",
      "UserKnownHostsFile=/dev/null",
      "-o",
      "LogLevel=ERROR",
      "-o",
      "BatchMode=yes",
      "-o",
      "ExitOnForwardFailure=yes",
      "-R",
      `127.0.0.1:${port}:${target.host}:${target.port}`,
      `${userInfo().username}@127.0.0.1`,
    ])
    const place = { host: "127.0.0.1", port }
    await untilListening(
      place,
      () => client.running,
      () => `${client.output} ${daemon.output}`,
    )
    return {
      ...place,
      hostHeader: "localhost",
      processes: [
        { role: "relay", pid: daemon.pid },
        { role: "agent", pid: client.pid },
      ],
      async stop() {
        await client.stop()
        await daemon.stop()
      },
    }
  },
}
