/**
 * One question to a target over a connection that was just made: does it do what its clients want of it? Each probe reads a
 * bounded amount and says in a few words what it found. The connection's end is its caller's.
 */

import { isIP } from "node:net"
import type { Duplex } from "node:stream"
import * as tls from "node:tls"
import { RdvError } from "../../../base/error.ts"
import { latin1Encode } from "../../../base/text.ts"
import { ResponseReader } from "../../../http1/response-reader.ts"
import { requestHeadBytes } from "../../../http1/write-head.ts"
import { addressText } from "../target/target.ts"
import type { Target } from "../target/target.ts"
import type { HealthCheck } from "../config/settings.ts"
import { failureText, oneLine } from "./failure-text.ts"

/** A target that sends without end is not read without end. */
const mostBytes = 64 * 1024
/** 100 Continue, 103 Early Hints: more than this in a row is no answer. */
const mostInterim = 8

/**
 * Resolves with what was found, for people; rejects with an error whose `failureText` says what was wrong. It ends when
 * `connection` is destroyed, which is how a time-out ends it. Nobody else may read from it.
 */
export function probe(check: HealthCheck, connection: Duplex, target: Target): Promise<string> {
  switch (check.kind) {
    case "tcp":
      return Promise.resolve("connected")
    case "expect":
      return expectText(connection, check)
    case "http":
      return askHttp(connection, check, target)
    case "tls":
      return shakeHands(connection, target)
  }
}

function expectText(connection: Duplex, { send, expect }: HealthCheck & { kind: "expect" }): Promise<string> {
  if (expect === "") {
    return exchange(connection, latin1Encode(send), () => undefined, { whenSent: "sent" })
  }
  const wanted = Buffer.from(expect, "latin1")
  let shown = ""
  let tail: Buffer = Buffer.alloc(0)
  const look = (chunk: Buffer) => {
    if (shown.length < 40) shown += chunk.toString("latin1", 0, 40)
    const text = tail.length === 0 ? chunk : Buffer.concat([tail, chunk])
    if (text.includes(wanted)) return "answered as expected"
    // The beginning of what is wanted may be at the end of what has come.
    tail = Buffer.from(text.subarray(Math.max(0, text.length - wanted.length + 1)))
    return undefined
  }
  return exchange(connection, latin1Encode(send), look, {
    whenEnded: () =>
      shown === "" ? "it closed without an answer" : `it answered something else: ${oneLine(shown.slice(0, 40))}`,
  })
}

function askHttp(connection: Duplex, check: HealthCheck & { kind: "http" }, target: Target): Promise<string> {
  const { method, path, statuses } = check
  const headers = ["Host", check.host ?? hostOf(target), "User-Agent", "rdv", "Accept", "*/*", "Connection", "close"]
  const reader = new ResponseReader({ fieldBytes: 16 * 1024 })
  let interim = 0
  const look = (chunk: Buffer) => {
    let from = 0
    for (;;) {
      const answer = reader.push(chunk, from)
      if (answer === undefined) return undefined
      const { status } = answer.head
      if (statuses.some(([least, most]) => status >= least && status <= most)) return `HTTP ${status}`
      // 101 is the last head of a connection as far as HTTP goes.
      if (status >= 200 || status === 101) throw new RdvError("bad_response", `HTTP ${status}`)
      if (++interim > mostInterim) throw new RdvError("bad_response", `HTTP ${status} again and again`)
      from = answer.used
    }
  }
  return exchange(connection, requestHeadBytes({ method, target: path, minor: 1, headers }), look, {
    whenEnded: () => (reader.started ? "it closed within its answer" : "it closed without an answer"),
  })
}

/** A finished handshake shows that it is alive; certificates are judged where connections are made. */
function shakeHands(connection: Duplex, target: Target): Promise<string> {
  // The target has TLS settings of its own: the handshake has been made, with verification.
  if (connection instanceof tls.TLSSocket) return Promise.resolve(`${connection.getProtocol() ?? "TLS"}`)
  const { address, tls: settings } = target.settings
  const host = address.kind === "tcp" ? address.host : ""
  const servername = settings?.serverName ?? (isIP(host) === 0 ? host : "")
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ socket: connection, servername, rejectUnauthorized: false })
    const fail = (thrown: unknown) => {
      socket.destroy()
      const text = failureText(thrown)
      reject(new RdvError("unreachable", text.startsWith("TLS") ? text : `TLS: ${text}`))
    }
    socket.once("secureConnect", () => {
      const version = socket.getProtocol() ?? "TLS"
      socket.destroy()
      resolve(version)
    })
    socket.on("error", fail)
    socket.once("close", () => fail(new Error("it closed the connection")))
  })
}

interface ExchangeOptions {
  /** The answer when the question has been taken, if none is to be read. */
  readonly whenSent?: string
  /** What is wrong when the other side ended first. */
  readonly whenEnded?: () => string
}

/** Sends, then hands over what comes until `look` is content or throws. */
function exchange(
  connection: Duplex,
  question: Uint8Array,
  look: (chunk: Buffer) => string | undefined,
  { whenSent, whenEnded = () => "it closed the connection" }: ExchangeOptions,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let read = 0
    const fail = (thrown: unknown) => settle(() => reject(thrown as Error))
    const ended = () => fail(new RdvError("unreachable", whenEnded()))
    const hear = (chunk: Buffer) => {
      read += chunk.length
      try {
        const found = look(chunk)
        if (found !== undefined) settle(() => resolve(found))
        else if (read > mostBytes && whenSent === undefined) {
          fail(new RdvError("bad_response", `no answer within the first ${mostBytes >> 10} KiB that it sent`))
        }
      } catch (error) {
        fail(error)
      }
    }
    const settle = (tell: () => void) => {
      connection.off("data", hear).off("end", ended).off("close", ended).off("error", fail)
      tell()
    }
    connection.on("data", hear).on("end", ended).on("close", ended).on("error", fail)
    // It comes paused from a dial, and a listener alone does not change that.
    connection.resume()
    const sent = () => {
      if (whenSent !== undefined) settle(() => resolve(whenSent))
    }
    if (question.length === 0) sent()
    else connection.write(question, (error) => (error ? undefined : sent()))
  })
}

function hostOf(target: Target): string {
  const { address } = target.settings
  return address.kind === "tcp" ? addressText(address) : address.kind === "rdv" ? address.name : "localhost"
}
