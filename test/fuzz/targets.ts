/** What the network can reach, as functions of bytes. Each throws only what is a finding. */

import { crc32 } from "node:zlib"
import { RdvError } from "../../src/base/error.ts"
import { isJsonObject } from "../../src/base/json.ts"
import { readClientHello } from "../../src/capabilities/balance/preface/client-hello.ts"
import { readProxyHeader } from "../../src/capabilities/balance/preface/proxy-header.ts"
import { writeProxyHeader } from "../../src/capabilities/balance/preface/write-proxy-header.ts"
import { parseCode } from "../../src/capabilities/share/code/code.ts"
import { ChunkTable } from "../../src/capabilities/share/content/chunk-table.ts"
import { decodeManifest, encodeManifest } from "../../src/capabilities/share/content/manifest-codec.ts"
import { portableHash } from "../../src/capabilities/share/content/portable-crypto.ts"
import {
  readMemberMessage,
  readRelayMessage as readShareRelayMessage,
  readShareHeader,
} from "../../src/capabilities/share/protocol/read-control.ts"
import { checkProof } from "../../src/capabilities/tab/identity/proof.ts"
import { readCall } from "../../src/capabilities/tab/relay/peer-calls.ts"
import { readPublishedFile } from "../../src/capabilities/tab/relay/published-file.ts"
import { answerStun } from "../../src/capabilities/tab/relay/stun-message.ts"
import { ChunkedDecoder } from "../../src/http1/chunked.ts"
import { badRequest, HttpError } from "../../src/http1/http-error.ts"
import { readRequestHead, readResponseHead } from "../../src/http1/read-head.ts"
import { RequestReader } from "../../src/http1/request-reader.ts"
import { ResponseReader } from "../../src/http1/response-reader.ts"
import { readAgentMessage, readRelayMessage } from "../../src/host/control.ts"
import { readPrivateCall, readPrivateCaller } from "../../src/host/private-call.ts"
import { decode, encode } from "../../src/ninep/codec.ts"
import { Frames } from "../../src/ninep/frames.ts"
import type { Dialect } from "../../src/ninep/message.ts"
import { NinepProtocolError } from "../../src/ninep/protocol-error.ts"
import { LinkReader } from "../../src/mux/link-reader.ts"
import { CheckReader } from "../../src/wire/check.ts"
import { FrameDecoder } from "../../src/wire/decode.ts"
import { encodeCheck, encodeFrame } from "../../src/wire/encode.ts"
import { frameType } from "../../src/wire/frame.ts"
import { readHello } from "../../src/wire/hello.ts"
import { readOpenPayload } from "../../src/wire/open.ts"
import { shareVectors } from "../vectors/share-vectors.ts"
import { channelStreams, serveChannel } from "./channel-server.ts"
import { ninepConversations, serveNinep } from "./ninep-server.ts"

export interface FuzzTarget {
  readonly name: string
  readonly seeds: readonly Uint8Array[]
  /** Throws a finding; errors that a stranger may cause are not. */
  run(input: Uint8Array): void
}

const text = (value: string): Uint8Array => Buffer.from(value, "latin1")

/** Runs it and lets the errors pass that bad input may have. */
function allowing(run: () => void): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof RdvError || error instanceof HttpError)) throw error
  }
}

/** The same result, however the bytes are cut. */
function sameWhenCut(input: Uint8Array, read: (chunks: readonly Uint8Array[]) => string): void {
  const whole = read([input])
  const middle = Math.floor(input.length / 2)
  const halves = read([input.subarray(0, middle), input.subarray(middle)])
  const bytes = read(Array.from(input, (_byte, at) => input.subarray(at, at + 1)))
  if (whole !== halves || whole !== bytes)
    throw new Error(`cut input reads differently: ${whole} / ${halves} / ${bytes}`)
}

/** A reader of a growing buffer: it judges as soon as it can, and asks for no byte that it does not need to judge. */
function sameWhenGrown(input: Uint8Array, read: (bytes: Uint8Array) => { kind: string; least?: number }): void {
  const whole = JSON.stringify(read(input))
  for (let length = 0; length <= input.length;) {
    const result = read(input.subarray(0, length))
    if (result.kind !== "more") {
      if (JSON.stringify(result) !== whole) throw new Error(`grown input reads differently: ${whole}`)
      return
    }
    if (result.least === undefined || result.least <= length) throw new Error(`asks for what it has: ${result.least}`)
    const early = read(input.subarray(0, Math.min(result.least - 1, input.length)))
    if (early.kind !== "more") throw new Error(`could have judged before ${result.least} bytes`)
    length = result.least
  }
}

function outcome(run: () => string): string {
  try {
    return run()
  } catch (error) {
    if (error instanceof RdvError) return `error ${error.code}`
    if (error instanceof HttpError) return `error ${error.status}`
    if (error instanceof NinepProtocolError) return `error ${error.flaw}`
    throw error
  }
}

const open = encodeFrame(
  frameType.open,
  1,
  Buffer.concat([Buffer.from([0, 4, 0, 0, 4]), text("http"), Buffer.from([0, 2]), text("{}first")]),
)
const data = encodeFrame(frameType.data, 1, text("hello"))
const frames = Buffer.concat([open, data, encodeFrame(frameType.end, 1, new Uint8Array(0))])

/** Of JSON that the other side has sent. */
const readers = [
  readHello,
  readAgentMessage,
  readRelayMessage,
  readPrivateCall,
  readPrivateCaller,
  readRequestHead,
  readResponseHead,
  readShareHeader,
  readMemberMessage,
  readShareRelayMessage,
  readPublishedFile,
  readCall,
]

const versions = shareVectors.versions as readonly { readonly encoded: string; readonly table: string }[]

const ends = { source: { host: "10.1.2.3", port: 12345 }, destination: { host: "2001:db8::1", port: 443 } }
const proxyFacts = { ...ends, authority: "a.test", alpn: "h2", custom: text("token") }

/** TLS 1.2 and 1.3, for the name a.test, with ALPN, over two records. */
const hello = Buffer.from(
  "1603010032010000600303000000000000000000000000000000000000000000000000000000000000000000000413011302" +
    "0100003300160301003200000b0009000006612e74657374001000050003026832002b00050403040303000a00040002001d" +
    "000d0006000404030804",
  "hex",
)

const qid = { type: 0x80, version: 1, path: 2 }
const ninepStat = { type: 0, dev: 0, qid, mode: 0o755, atime: 1, mtime: 2, length: 3 }
const ninepNames = { name: "a", uid: "u", gid: "g", muid: "", extension: "x" }
const ninepSeeds: readonly Uint8Array[] = [
  encode({ type: "Tversion", tag: 0xffff, msize: 8192, version: "9P2000" }, "9P2000"),
  encode({ type: "Tattach", tag: 1, fid: 1, afid: 2, uname: "u", aname: "a", nUname: 3 }, "9P2000.u"),
  encode({ type: "Twalk", tag: 1, fid: 1, newfid: 2, wname: ["a", "ü"] }, "9P2000"),
  encode({ type: "Rwalk", tag: 1, wqid: [qid, qid] }, "9P2000"),
  encode({ type: "Twrite", tag: 1, fid: 1, offset: 2n ** 60n, data: text("hello") }, "9P2000"),
  encode({ type: "Rerror", tag: 1, ename: "no", errno: 2 }, "9P2000.u"),
  encode({ type: "Rstat", tag: 1, stat: { ...ninepStat, ...ninepNames } }, "9P2000"),
  encode({ type: "Twstat", tag: 1, fid: 1, stat: { ...ninepStat, ...ninepNames } }, "9P2000.u"),
  encode({ type: "Rreaddir", tag: 1, entries: [{ qid, offset: 1, type: 4, name: "d" }] }, "9P2000.L"),
  encode({ type: "Tfsync", tag: 1, fid: 1, datasync: 1 }, "9P2000.L"),
  encode({ type: "Tlcreate", tag: 1, fid: 1, name: "n", flags: 1, mode: 2, gid: 3 }, "9P2000.L"),
]

export const targets: readonly FuzzTarget[] = [
  {
    name: "share code",
    seeds: shareVectors.codes.flatMap(({ code, link }) => [text(code), text(link)]),
    run: (input) => allowing(() => parseCode(Buffer.from(input).toString())),
  },
  {
    name: "manifest",
    seeds: [...versions.map(({ encoded }) => encoded), ...shareVectors.refusedManifests.map(({ hex }) => hex)].map(
      (hex) => Buffer.from(hex, "hex"),
    ),
    run: (input) =>
      allowing(() => {
        if (Buffer.compare(encodeManifest(decodeManifest(input)), input) !== 0)
          throw new Error("two encodings of a manifest")
      }),
  },
  {
    name: "chunk table",
    seeds: versions.map(({ table }) => Buffer.from(table, "hex")),
    run: (input) => allowing(() => ChunkTable.decode(input, portableHash)),
  },
  {
    name: "decoder",
    seeds: [frames, data],
    run: (input) =>
      sameWhenCut(input, (chunks) => {
        const events: string[] = []
        let piece = ""
        const decoder = new FrameDecoder({
          data(stream, bytes, start, end, left) {
            piece += Buffer.from(bytes.subarray(start, end)).toString("hex")
            if (left === 0) events.push(`data ${stream} ${piece}`)
            if (left === 0) piece = ""
          },
          frame: (type, stream, bytes, start, end) =>
            void events.push(`${type} ${stream} ${Buffer.from(bytes.subarray(start, end)).toString("hex")}`),
        })
        const ended = outcome(() => {
          for (const chunk of chunks) decoder.push(chunk)
          return "more"
        })
        return `${events.join("|")} ${ended} ${piece}`
      }),
  },
  {
    name: "check",
    seeds: [Buffer.concat([data, encodeCheck(crc32(data)), open, encodeCheck(crc32(open))])],
    run: (input) =>
      sameWhenCut(input, (chunks) => {
        let delivered = ""
        const reader = new CheckReader(
          (bytes, seed) => crc32(bytes, seed),
          (bytes) => {
            delivered += Buffer.from(bytes).toString("hex")
            return false
          },
        )
        const ended = outcome(() => {
          for (const chunk of chunks) reader.push(chunk)
          return "more"
        })
        return `${delivered} ${ended}`
      }),
  },
  {
    name: "link",
    seeds: [frames],
    run: (input) =>
      allowing(() => {
        const reader = new LinkReader({ piece: () => false, apply: () => undefined }, (bytes, seed) =>
          crc32(bytes, seed),
        )
        reader.start(false, () => undefined)
        reader.push(input)
      }),
  },
  {
    name: "open",
    seeds: [open.subarray(8)],
    run: (input) => allowing(() => void (input.length >= 7 && readOpenPayload(input, 0, input.length))),
  },
  {
    name: "json",
    seeds: [
      text('{"kind":"new","versions":[1],"agent":"x","limits":{"window":131072,"streams":10},"check":true}'),
      text('{"kind":"resume","versions":[1],"session":"a","nonce":"AAAAAAAAAAAAAAAAAAAAAA","check":true}'),
      text('{"do":"announce","id":1,"service":"http/x","expose":{"kind":"http","name":"blog"}}'),
      text('{"do":"announce","id":2,"service":"box/one","expose":{"kind":"private","name":"box/one"}}'),
      text('{"name":"box/one","header":{"a":[1]}}'),
      text('{"from":"1.2.3.4:5","header":{}}'),
      text('{"do":"exposed","id":1,"url":"http://x","name":"x"}'),
      text('{"method":"GET","target":"/","minor":1,"headers":["Host","x"],"body":"none"}'),
      text('{"status":200,"reason":"OK","headers":["A","b"]}'),
    ],
    run(input) {
      let value: unknown
      try {
        value = JSON.parse(Buffer.from(input).toString())
      } catch {
        return
      }
      if (!isJsonObject(value)) return
      const json = value
      for (const read of readers) allowing(() => void read(json))
    },
  },
  {
    name: "request",
    seeds: [
      text("GET / HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\n\r\n"),
      text("POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello"),
      text("POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
      text("GET http://b.test:80/?q HTTP/1.0\r\n\r\n"),
    ],
    run: (input) =>
      sameWhenCut(input, (chunks) =>
        outcome(() => {
          const reader = new RequestReader()
          for (const chunk of chunks) {
            const read = reader.push(chunk)
            if (read !== undefined) return JSON.stringify([read.head, read.framing])
          }
          return "more"
        }),
      ),
  },
  {
    name: "response",
    seeds: [
      text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
      text("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
    ],
    run: (input) =>
      sameWhenCut(input, (chunks) =>
        outcome(() => {
          const reader = new ResponseReader()
          for (const chunk of chunks) {
            const read = reader.push(chunk)
            if (read !== undefined) return JSON.stringify(read.head)
          }
          return "more"
        }),
      ),
  },
  {
    name: "chunked",
    seeds: [text("5\r\nhello\r\n0\r\n\r\n"), text('3;a="b"\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n')],
    run: (input) =>
      sameWhenCut(input, (chunks) => {
        let body = ""
        const decoder = new ChunkedDecoder(badRequest)
        const ended = outcome(() => {
          let trailers = "more"
          for (const chunk of chunks) {
            decoder.push(chunk, {
              data: (sub) => void (body += Buffer.from(sub).toString("hex")),
              end: (fields) => void (trailers = JSON.stringify(fields)),
            })
            if (decoder.done) break
          }
          return trailers
        })
        return `${body} ${ended}`
      }),
  },
  {
    name: "proxy-header",
    seeds: [
      writeProxyHeader("v1", proxyFacts),
      writeProxyHeader("v2", proxyFacts),
      writeProxyHeader("v2", { ...proxyFacts, tls: { version: "TLSv1.3", commonName: "alice" } }),
      writeProxyHeader("v1", { source: undefined, destination: undefined }),
      writeProxyHeader("v2", { source: undefined, destination: undefined }),
    ],
    run: (input) => sameWhenGrown(input, readProxyHeader),
  },
  {
    name: "stun",
    seeds: [
      Buffer.from("000100002112a442b7e7a701bc34d686fa87dfae", "hex"),
      Buffer.from("000100082112a442b7e7a701bc34d686fa87dfae7fff0002abcd0000", "hex"),
    ],
    run(input) {
      const answer = answerStun(input, { address: "2001:db8::1", port: 4242 })
      if (answer !== undefined && answer.length > input.length + 24)
        throw new Error("it answers more than it was asked")
    },
  },
  {
    name: "proof",
    seeds: [text("A".repeat(160)), text("guest"), text("_".repeat(160))],
    run(input) {
      const check = { app: "any", domain: "example.test", now: 0, verify: () => false }
      allowing(() => void checkProof({ ...check, text: Buffer.from(input).toString("latin1") }))
    },
  },
  {
    name: "client-hello",
    seeds: [hello],
    run: (input) => sameWhenGrown(input, readClientHello),
  },
  {
    name: "ninep",
    seeds: ninepSeeds,
    run: (input) =>
      sameWhenCut(input, (chunks) => {
        const events: string[] = []
        const frames = new Frames(8192, (bytes, start, end) => events.push(...readNinep(bytes.slice(start, end))))
        const ended = outcome(() => {
          for (const chunk of chunks) frames.push(chunk)
          return "more"
        })
        return `${events.join("|")} ${ended}`
      }),
  },
  {
    name: "ninep-server",
    seeds: ninepConversations,
    run: (input) => sameWhenCut(input, serveNinep),
  },
  {
    name: "channel-server",
    seeds: channelStreams,
    run: (input) => sameWhenCut(input, serveChannel),
  },
]

/** What each dialect makes of one message; a message that was read is written the same. */
function readNinep(bytes: Uint8Array): string[] {
  const hex = Buffer.from(bytes).toString("hex")
  return (["9P2000", "9P2000.u", "9P2000.L"] as const).flatMap((dialect: Dialect) =>
    (["T", "R"] as const).map((direction) =>
      outcome(() => {
        const message = direction === "T" ? decode(bytes, dialect, "T") : decode(bytes, dialect, "R")
        const again = Buffer.from(encode(message, dialect)).toString("hex")
        if (again !== hex) throw new Error(`${dialect} ${message.type} is written differently: ${hex} / ${again}`)
        return `${dialect} ${message.type} ${hex}`
      }),
    ),
  )
}
