/** Conversations with the 9P server as a function of bytes: its answers, and a finding when it loses something. */

import { encode } from "../../src/ninep/codec.ts"
import { silentLog } from "../../src/base/log.ts"
import { NinepConnection } from "../../src/ninep/connection.ts"
import { NOFID, NOTAG } from "../../src/ninep/message.ts"
import type { Dialect, Request } from "../../src/ninep/message.ts"
import { RamTree } from "../kit/ram-tree.ts"

const end = { tag: 1, fid: 1 } as const
const io = [
  { type: "Twrite", tag: 1, fid: 1, offset: 0, data: Uint8Array.of(104, 105) },
  { type: "Tread", tag: 1, fid: 1, offset: 0, count: 10 },
  { type: "Tflush", tag: 2, oldtag: 1 },
  { type: "Tclunk", ...end },
] as const satisfies readonly Request[]
const wname = ["file"]

const conversations: readonly (readonly [Dialect, readonly Request[]])[] = [
  ["9P2000.L", [{ type: "Tlopen", ...end, flags: 2 }, ...io, { type: "Tgetattr", ...end, requestMask: 1 }]],
  ["9P2000.u", [{ type: "Topen", ...end, mode: 2 }, ...io, { type: "Tstat", ...end }]],
  ["9P2000", [{ type: "Topen", ...end, mode: 0x12 }, ...io, { type: "Tremove", ...end }]],
  ["9P2000.L", [{ type: "Tlcreate", ...end, name: "n", flags: 1, mode: 2, gid: 3 }]],
  [
    "9P2000.L",
    [
      { type: "Tread", tag: 1, fid: 2, offset: 0, count: 9 },
      { type: "Tclunk", tag: 3, fid: 2 },
    ],
  ],
]

export const ninepConversations: readonly Uint8Array[] = conversations.map(([dialect, messages]) => {
  const start: Request[] = [
    { type: "Tversion", tag: NOTAG, msize: 8192, version: dialect },
    { type: "Tattach", tag: 1, fid: 0, afid: NOFID, uname: "u", aname: "", nUname: 0 },
    { type: "Twalk", tag: 1, fid: 0, newfid: 1, wname: messages[0]?.type === "Tlcreate" ? [] : wname },
    { type: "Twalk", tag: 1, fid: 0, newfid: 2, wname: ["pipe"] },
    dialect === "9P2000.L" ? { type: "Tlopen", tag: 1, fid: 2, flags: 0 } : { type: "Topen", tag: 1, fid: 2, mode: 0 },
  ]
  return Buffer.concat([...start, ...messages].map((message) => encode(message, dialect)))
})

/** The answers as hexadecimal, and how it ended. Throws when the server fails by itself or leaks. */
export function serveNinep(chunks: readonly Uint8Array[]): string {
  const tree = new RamTree()
  tree.root.add("file", "file", "content")
  tree.root.add("pipe", "pipe")
  let heard = ""
  let ended = "more"
  const output = {
    write(bytes: Uint8Array): boolean {
      heard += Buffer.from(bytes).toString("hex")
      return true
    },
  }
  const failed = (event: string, fields = {}) => {
    throw new Error(`${event} ${JSON.stringify(fields)}`)
  }
  const clock = { now: () => 0, wall: () => 0, after: () => ({ cancel: () => undefined }) }
  const connection = new NinepConnection({ tree, output, log: { ...silentLog, error: failed }, clock })
  connection.onEnd = (reason) => (ended = reason)
  for (const chunk of chunks) connection.receive(chunk)
  connection.closed()
  const { opened, closed, gone } = tree.counts
  if (opened !== closed + gone) throw new Error(`${opened} handles were opened, ${closed} + ${gone} closed`)
  return `${heard} ${ended}`
}
