/** What our encoder writes, as a decoder that nobody here wrote reads it: each message of each dialect. */

import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, test } from "node:test"
import { encode } from "../../src/ninep/codec.ts"
import { layouts, type Kind } from "../../src/ninep/layout.ts"
import { messageType, type Dialect, type Message, type MessageName } from "../../src/ninep/message.ts"
import { temporaryFolder } from "../kit/command.ts"

const dialects: readonly Dialect[] = ["9P2000", "9P2000.u", "9P2000.L"]
const skip = spawnSync("tshark", ["--version"]).error === undefined ? false : "tshark is not installed"

const qid = { type: 0x80, version: 3, path: 0x1122334455 }
const stat = {
  type: 1,
  dev: 2,
  qid,
  mode: 0o644,
  atime: 5,
  mtime: 6,
  length: 7,
  name: "n",
  uid: "u",
  gid: "g",
  muid: "m",
}
const values: { readonly [K in Kind]: unknown } = {
  u8: 1,
  u16: 2,
  u32: 3,
  u64: 4,
  text: "tëxt",
  name: "name",
  names: ["usr", "glenda"],
  qid,
  qids: [qid, qid],
  data: new Uint8Array([1, 2, 3]),
  stat: { ...stat, extension: "x", nUid: 8, nGid: 9, nMuid: 10 },
  entries: [{ qid, offset: 1, type: 4, name: "entry" }],
  later: 1,
}

function example(dialect: Dialect, type: MessageName, tag: number): Message {
  const fields = (layouts[dialect][type] ?? []).map(([key, kind]) => [key, values[kind]])
  return { type, tag, ...Object.fromEntries(fields) } as Message
}

/**
 * Known elsewhere. tshark 4.0 looks for flags in Tgetlock and Rgetlock, which only Tlock has: Linux's kernel sends none, and
 * diod reads and answers what we write (ninep-diod.test.ts).
 */
const elsewhere = /version$|^[TR]getlock$/

describe("tshark reads", { skip }, () => {
  for (const dialect of dialects) {
    test(`every message of ${dialect} as what it is`, () => {
      using folder = temporaryFolder()
      const file = join(folder.path, "conversation.pcap")
      const names = (Object.keys(layouts[dialect]) as MessageName[]).filter((name) => !elsewhere.test(name))
      const messages: Message[] = [
        { type: "Tversion", tag: 0xffff, msize: 8192, version: dialect },
        { type: "Rversion", tag: 0xffff, msize: 8192, version: dialect },
        ...names.map((name, at) => example(dialect, name, at + 1)),
      ]
      writeFileSync(file, capture(messages.map((message) => [message.type.startsWith("T"), encode(message, dialect)])))
      const words = ["-r", file, "-d", "tcp.port==5640,9p", "-T", "fields", "-E", "separator=,"]
      const fields = ["9p.msgtype", "9p.tag", "_ws.malformed", "_ws.expert.message"].flatMap((field) => ["-e", field])
      const { stdout, stderr, status } = spawnSync("tshark", [...words, ...fields], { encoding: "utf8" })
      assert.equal(status, 0, stderr)
      assert.deepEqual(
        stdout.trimEnd().split("\n"),
        messages.map(({ type, tag }) => `${messageType[type]},${tag},,`),
      )
    })
  }
})

/** A file of packets (libpcap's format) of one TCP connection to port 5640, a packet for each message. */
function capture(packets: readonly (readonly [fromClient: boolean, bytes: Uint8Array])[]): Buffer {
  const head = Buffer.alloc(24)
  head.writeUInt32LE(0xa1b2c3d4, 0)
  head.writeUInt16LE(2, 4)
  head.writeUInt16LE(4, 6)
  head.writeUInt32LE(65535, 16)
  // LINKTYPE_RAW: packets begin with IPv4.
  head.writeUInt32LE(101, 20)
  const parts = [head]
  const sent = { client: 1, server: 1 }
  for (const [fromClient, bytes] of packets) {
    const ip = Buffer.alloc(40)
    ip[0] = 0x45
    ip.writeUInt16BE(40 + bytes.length, 2)
    ip[8] = 64
    ip[9] = 6
    ip.set(fromClient ? [10, 0, 0, 1, 10, 0, 0, 2] : [10, 0, 0, 2, 10, 0, 0, 1], 12)
    ip.writeUInt16BE(fromClient ? 40_000 : 5640, 20)
    ip.writeUInt16BE(fromClient ? 5640 : 40_000, 22)
    ip.writeUInt32BE(fromClient ? sent.client : sent.server, 24)
    ip.writeUInt32BE(fromClient ? sent.server : sent.client, 28)
    // A header of five words, PSH and ACK.
    ip.writeUInt16BE(0x5018, 32)
    ip.writeUInt16BE(65535, 34)
    sent[fromClient ? "client" : "server"] += bytes.length
    const record = Buffer.alloc(16)
    record.writeUInt32LE(ip.length + bytes.length, 8)
    record.writeUInt32LE(ip.length + bytes.length, 12)
    parts.push(record, ip, Buffer.from(bytes))
  }
  return Buffer.concat(parts)
}
