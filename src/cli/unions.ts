/** `--union`: other servers' trees, bound into the one that is served here. */

import { systemClock } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { Log } from "../base/log.ts"
import type { Identify } from "../capabilities/channels/files/identity.ts"
import { MountTree } from "../capabilities/channels/union/mount-tree.ts"
import { RemoteSession } from "../capabilities/channels/union/remote-session.ts"
import type { Tree } from "../ninep/tree.ts"
import { agentIdentity } from "../store/agent-identity.ts"
import type { CommandCall } from "./command.ts"
import { dialOf, foldersOf, relayFlags, tokenOf } from "./common-flags.ts"
import type { Flags } from "./flags.ts"
import { treeUpstream } from "./tree-upstream.ts"
import type { TreeUpstream } from "./tree-upstream.ts"

const { relay: _, ...trustFlags } = relayFlags

/** The others say who we are there. */
export const unionFlags: Flags = {
  union: {
    kind: "list",
    value: "PREFIX=ADDRESS",
    summary: "Shows another server's tree below PREFIX: /team-b=host:port, /files=tcp://host:564/exported/folder",
  },
  ...trustFlags,
}

export interface Unions {
  /** For each conversation. */
  readonly around: (tree: Tree, identify: Identify) => Tree
  status(): JsonObject[]
  stop(): Promise<void>
}

interface Union {
  readonly prefix: readonly string[]
  readonly aname: string
  readonly upstream: TreeUpstream
}

/** Undefined without `--union`. Throws `usage`. */
export function openUnions(call: CommandCall, log: Log): Unions | undefined {
  const texts = call.flags.values("union").flatMap((text) => text.split(","))
  if (texts.length === 0) return undefined
  const token = tokenOf(call)
  const dial = dialOf(call)
  const parts = texts.map(readUnion)
  for (const { prefix } of parts) refuseOverlap(prefix, parts)
  const unions: Union[] = parts.map(({ prefix, address, aname }) => ({
    prefix,
    aname,
    upstream: treeUpstream({
      address,
      token,
      dial,
      instance: agentIdentity(foldersOf(call).state),
      log,
      tokenInClear: call.flags.on("token-in-clear"),
    }),
  }))
  return {
    around: (tree, identify) => {
      const bindings = unions.map(({ prefix, aname, upstream }) => ({
        prefix,
        session: new RemoteSession({ upstream, aname, clock: systemClock, log }),
      }))
      return new MountTree(tree, bindings, identify)
    },
    status: () => unions.map(({ prefix, upstream }) => ({ prefix: `/${prefix.join("/")}`, ...upstream.status() })),
    stop: async () => void (await Promise.all(unions.map(({ upstream }) => upstream.stop()))),
  }
}

interface UnionText {
  readonly prefix: readonly string[]
  readonly address: string
  readonly aname: string
}

function readUnion(text: string): UnionText {
  const at = text.indexOf("=")
  const prefix = text.slice(0, Math.max(0, at)).split("/").slice(1)
  const isPath = text.startsWith("/") && prefix.length > 0 && prefix.every((name) => /^[^/\0]+$/.test(name))
  if (at < 0 || !isPath || prefix.some((name) => name === "." || name === "..")) {
    throw new RdvError("usage", `--union ${JSON.stringify(text)} binds nothing`, {
      mend: "write PREFIX=ADDRESS, as /team-b=relay-b:5640",
    })
  }
  const whole = text.slice(at + 1)
  // Behind host and port stands what attaches say there; web addresses have paths of their own.
  const match = /^((?:(?:tcp|rdv|tls):\/\/)?[^/]+)(\/.*)$/i.exec(whole)
  if (match === null || /^(unix|https?|wss?):/i.test(whole)) return { prefix, address: whole, aname: "" }
  return { prefix, address: match[1] as string, aname: match[2] as string }
}

function refuseOverlap(prefix: readonly string[], all: readonly UnionText[]): void {
  const others = all.filter((each) => prefix.every((name, at) => each.prefix[at] === name))
  if (others.length < 2) return
  throw new RdvError("usage", `--union binds two trees at or below /${prefix.join("/")}`, { mend: "leave one out" })
}
