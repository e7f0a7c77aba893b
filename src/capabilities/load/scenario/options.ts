/**
 * Everything that can be said about a run, once for flags and files: `--when-busy drop` and `when-busy: drop` are the same.
 * Defaults stand here and nowhere else.
 */

import { isAbsolute, join } from "node:path"
import { readHost } from "../../../config/host-port.ts"
import {
  aboveZero,
  readByteRate,
  readBytes,
  readDuration,
  readRate,
  wholeFrom,
  wrong,
} from "../../../config/quantity.ts"
import type { TextReader } from "../../../config/quantity.ts"
import { readFileBytes, readTextFile } from "../../../config/text-file.ts"
import { parseCondition, parseThreshold } from "../judge/threshold.ts"
import { readExpectation, readFraming } from "./answer-text.ts"
import { readResolution } from "./read-target.ts"
import { readSequence, readTemplate } from "./sequence-file.ts"
import { readPhase } from "./shape-text.ts"
import type { SettingName, SettingValues } from "./settings.ts"

/** Paths are relative to `folder`. */
export type OptionReader<Value> = (text: string, folder: string) => Value

interface SwitchOption {
  readonly kind: "switch"
  readonly summary: string
}

interface TextOption<Value> {
  readonly kind: "text"
  /** As help shows it. */
  readonly value: string
  readonly summary: string
  readonly default?: string
  readonly read: OptionReader<Value>
}

interface ListOption<Item> {
  readonly kind: "list"
  readonly value: string
  readonly summary: string
  readonly read: OptionReader<Item>
}

/** In brackets, so that a value of several forms has one reader. */
type OptionOf<Value> = [Value] extends [true]
  ? SwitchOption
  : [Value] extends [readonly (infer Item)[]]
    ? ListOption<Item>
    : TextOption<Value>

export type OptionTable = { readonly [Name in SettingName]: OptionOf<SettingValues[Name]> }

const mostMessageBytes = 16 * 1024 * 1024
const mostCaBytes = 1024 * 1024

const longSpan = aboveZero(readDuration)
const plain: TextReader<string> = (text) => {
  if (text.trim() !== "") return text
  throw wrong(text, "is empty", "write something, or leave it out")
}

export const options: OptionTable = {
  name: { kind: "text", value: "NAME", summary: "Names the run in reports", read: plain },
  model: {
    kind: "text",
    value: "MODEL",
    summary: "closed: each connection waits for its answer; open: messages start when the plan says. Open with a rate",
    read: oneOf("open", "closed"),
  },
  rate: {
    kind: "text",
    value: "RATE",
    summary: "Messages per second in all: 500, 300/m, or a shape such as 'ramp 0..1000 for 30s'",
    read: readPhase,
  },
  connections: {
    kind: "text",
    value: "N",
    summary:
      "To each target: how many, or a shape (default 1); with a rate, the most there may be (default 1000 in all)",
    read: readPhase,
  },
  phase: {
    kind: "list",
    value: "SHAPE",
    summary: "One phase of the plan, several in a row: of the rate, or of connections with --model closed",
    read: readPhase,
  },
  each: {
    kind: "text",
    value: "N",
    summary: "Messages of each connection (default 10 with a file of Apps, when nothing else ends the run)",
    read: wholeFrom(1, 1e12),
  },
  duration: {
    kind: "text",
    value: "TIME",
    summary: "Ends the run (default 10s, when nothing else does)",
    read: longSpan,
  },
  count: { kind: "text", value: "N", summary: "Ends the run after so many messages in all", read: wholeFrom(1, 1e12) },
  arrivals: {
    kind: "text",
    value: "KIND",
    summary: "With a rate: even, or poisson as independent visitors come",
    default: "even",
    read: oneOf("even", "poisson"),
  },
  "when-busy": {
    kind: "text",
    value: "KIND",
    summary: "No connection is free at the planned instant: queue (the wait counts) or drop (counted)",
    default: "queue",
    read: oneOf("queue", "drop"),
  },
  "queue-limit": {
    kind: "text",
    value: "N",
    summary: "Messages that the queue holds; those beyond are dropped and counted",
    default: "100000",
    read: wholeFrom(1, 10_000_000),
  },
  "max-rate": {
    kind: "text",
    value: "RATE",
    summary: "With a rate: never more, whatever the shape says",
    read: aboveZero(readRate),
  },
  message: {
    kind: "text",
    value: "TEXT",
    summary: "What is sent, with {{counter}}, {{uuid}} and {{time}} (default: hello world)",
    read: (text) => ({ kind: "text", text: readTemplate(text) }),
  },
  hex: { kind: "text", value: "HEX", summary: "Bytes to send: '00 ff 0a'", read: readHex },
  file: {
    kind: "text",
    value: "FILE",
    summary: "Sends what is in the file",
    read: (text, folder) => ({ kind: "bytes", base64: readBase64(at(text, folder)) }),
  },
  size: {
    kind: "text",
    value: "BYTES",
    summary: "Sends random bytes, so many: 512, 64KiB",
    read: (text) => ({ kind: "random", bytes: messageBytes(text) }),
  },
  sequence: {
    kind: "text",
    value: "FILE",
    summary:
      "JSON Lines with text, or for HTTP method, path, headers and body, and with weight and expect, from which messages are chosen",
    read: (text, folder) => ({ kind: "sequence", entries: readSequence(at(text, folder)) }),
  },
  framing: {
    kind: "text",
    value: "KIND",
    summary: "What stands around a message and an answer: none, newline, length:1, length:2, length:4 or fixed:BYTES",
    default: "none",
    read: readFraming,
  },
  expect: {
    kind: "text",
    value: "ANSWER",
    summary: "echo, any, size:BYTES, /pattern/i, status:200,204 (default echo; with HTTP any status below 400)",
    read: readExpectation,
  },
  method: {
    kind: "text",
    value: "METHOD",
    summary: "Of HTTP requests (default GET, with a body POST)",
    read: (text) => {
      if (/^[A-Z]{1,20}$/i.test(text)) return text.toUpperCase()
      throw wrong(text, "is no method", "write GET, POST or another word")
    },
  },
  header: { kind: "list", value: "HEADER", summary: "Of HTTP requests: 'Accept: text/html'", read: readHeader },
  body: {
    kind: "text",
    value: "TEXT",
    summary: "Of HTTP requests; @FILE takes it from a file",
    read: (text, folder) =>
      text.startsWith("@") ? readBase64(at(text.slice(1), folder)) : Buffer.from(text).toString("base64"),
  },
  "read-rate": {
    kind: "text",
    value: "RATE",
    summary: "A slow client: each connection reads at most 64KiB/s, 10MB/s, 8Mbit/s",
    read: readByteRate,
  },
  "write-rate": { kind: "text", value: "RATE", summary: "The same for writing", read: readByteRate },
  "pause-before": {
    kind: "text",
    value: "TIME",
    summary: "Between connecting and the first message",
    default: "0",
    read: readDuration,
  },
  think: {
    kind: "text",
    value: "TIME",
    summary: "Between an answer and the next message of a connection",
    default: "0",
    read: readDuration,
  },
  "pause-after": {
    kind: "text",
    value: "TIME",
    summary: "Between the last answer and the end of the connection",
    default: "0",
    read: readDuration,
  },
  burst: {
    kind: "text",
    value: "BURST",
    summary: "Each connection sends so many messages at once, then pauses: '10 every 1s'",
    read: readBurst,
  },
  lifetime: {
    kind: "text",
    value: "TIME",
    summary: "An older connection is replaced by a new one after its answer",
    read: longSpan,
  },
  "no-keep-alive": { kind: "switch", summary: "A new connection for each message" },
  drain: {
    kind: "text",
    value: "TIME",
    summary: "How long answers are waited for at the end; then they are cut and counted",
    default: "5s",
    read: readDuration,
  },
  timeout: {
    kind: "text",
    value: "TIME",
    summary: "A later answer is given up and counted",
    default: "30s",
    read: longSpan,
  },
  "connect-timeout": {
    kind: "text",
    value: "TIME",
    summary: "A connection that is not ready by then is given up and counted",
    default: "10s",
    read: longSpan,
  },
  "warm-up": {
    kind: "text",
    value: "TIME",
    summary: "Runs before the plan and is not counted",
    default: "0",
    read: readDuration,
  },
  "stop-when": {
    kind: "list",
    value: "CONDITION",
    summary: "Ends the run early: 'errors>5%'",
    read: checked(parseCondition),
  },
  fail: {
    kind: "list",
    value: "THRESHOLD",
    summary: "Has to hold, or the exit code is 99: 'p99<20ms', 'rate>=5000'",
    read: checked(parseThreshold),
  },
  seed: {
    kind: "text",
    value: "N",
    summary: "Of everything random: the same seed, the same run",
    default: "1",
    read: wholeFrom(0, Number.MAX_SAFE_INTEGER),
  },
  insecure: { kind: "switch", summary: "Takes any certificate" },
  ca: { kind: "text", value: "FILE", summary: "Takes certificates of this authority (PEM)", read: readAuthority },
  "server-name": {
    kind: "text",
    value: "NAME",
    summary: "The name that TLS asks for and checks",
    read: (text) => readHost(text),
  },
  resolve: {
    kind: "list",
    value: "HOST=ADDR",
    summary: "Connects to the address instead of the host; HOST:PORT=ADDR for one port",
    read: readResolution,
  },
  host: {
    kind: "text",
    value: "HOST",
    summary: "With a file of Apps: where their ports are",
    default: "127.0.0.1",
    read: (text) => readHost(text),
  },
}

/** The value of an option that was not given and has a default. */
export function defaultOf<Name extends SettingName>(name: Name): SettingValues[Name] {
  const option = options[name] as TextOption<SettingValues[Name]>
  return option.read(option.default as string, "")
}

function oneOf<Choice extends string>(...choices: readonly Choice[]): OptionReader<Choice> {
  return (text) => {
    if (choices.includes(text as Choice)) return text as Choice
    throw wrong(text, "is not known here", `use ${choices.join(" or ")}`)
  }
}

/** Kept as it is written, for the report. */
function checked(parse: (text: string) => unknown): OptionReader<string> {
  return (text) => {
    parse(text)
    return text.trim()
  }
}

function readHex(text: string): { readonly kind: "bytes"; readonly base64: string } {
  const digits = text.replace(/\s+/g, "")
  if (/^([0-9a-f]{2})+$/i.test(digits)) return { kind: "bytes", base64: Buffer.from(digits, "hex").toString("base64") }
  throw wrong(text, "is not hexadecimal", "write two digits for each byte: 00 ff 0a")
}

function messageBytes(text: string): number {
  const bytes = aboveZero(readBytes)(text)
  if (bytes <= mostMessageBytes) return bytes
  throw wrong(text, "is too large for a message", `give at most ${mostMessageBytes} bytes`)
}

function readBase64(path: string): string {
  return Buffer.from(readFileBytes(path, mostMessageBytes)).toString("base64")
}

function readAuthority(text: string, folder: string): string {
  const pem = readTextFile(at(text, folder), mostCaBytes)
  if (pem.includes("-----BEGIN CERTIFICATE-----")) return pem
  throw wrong(text, "has no certificate in PEM", "name a file with -----BEGIN CERTIFICATE-----")
}

function readHeader(text: string): readonly [name: string, value: string] {
  const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:\s*(.*?)\s*$/s.exec(text) ?? []
  // RFC 9110 section 5.5.
  if (name === undefined || value === undefined || /[\0-\x08\x0a-\x1f\x7f]/.test(value)) {
    throw wrong(text, "is no header", "write 'Name: value'")
  }
  return [name, value]
}

function readBurst(text: string): { readonly messages: number; readonly everyMs: number } {
  const [, messages, every] = /^(\S+)\s+every\s+(\S+)$/.exec(text.trim()) ?? []
  if (messages === undefined || every === undefined) throw wrong(text, "is no burst", "write '10 every 1s'")
  return { messages: wholeFrom(1, 1e9)(messages), everyMs: longSpan(every) }
}

function at(path: string, folder: string): string {
  return isAbsolute(path) ? path : join(folder, path)
}
