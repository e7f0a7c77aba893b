/** diod, a 9P2000.L server that nobody here wrote (Debian's package of that name), on a socket pair instead of a port. */

import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import type { Socket } from "node:net"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"

/** Why the tests with it cannot run here; false when they can. */
export const diodMissing: string | false =
  spawnSync("diod", ["--help"], { env: withSystemFolders() }).error === undefined ? false : "diod is not installed"

export interface Diod {
  /** The folder that it serves; as an attach name too. */
  readonly folder: string
  /** The conversation's end. */
  readonly socket: Socket
  stop(): Promise<void>
}

export async function startDiod(): Promise<Diod> {
  const folder = await mkdtemp(join(tmpdir(), "rdv-diod-"))
  const words = ["-f", "-n", "--rfdno", "3", "--wfdno", "3", "-e", folder, "-S", "-U", userInfo().username]
  const child = spawn("diod", words, { stdio: ["ignore", "ignore", "ignore", "pipe"], env: withSystemFolders() })
  const socket = child.stdio[3] as Socket
  const exited = once(child, "exit")
  return {
    folder,
    socket,
    async stop() {
      socket.destroy()
      child.kill("SIGKILL")
      await exited
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Debian puts servers where the PATH of users does not look. */
function withSystemFolders(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` }
}
