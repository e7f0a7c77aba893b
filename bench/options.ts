/** The flags that all benchmarks share. */

import { parseArgs } from "node:util"

export const linkKinds = ["tcp", "tls", "unix"] as const
export type LinkKind = (typeof linkKinds)[number]

export interface Options {
  readonly quick: boolean
  /** Of one measurement. */
  readonly seconds: number
  readonly rounds: number
  /** Parts of the benchmark; undefined is all. */
  readonly only: readonly string[] | undefined
  readonly systems: readonly string[] | undefined
  readonly link: LinkKind
  readonly peers: boolean
  readonly commands: readonly { readonly name: string; readonly command: string }[]
  readonly json: string | undefined
  /** Runs relay and agent by the small programs of this folder, not by the command line. */
  readonly source: boolean
  /** The tables enter docs/benchmarks.md. */
  readonly write: boolean
}

/** `rounds`: unless the flag says otherwise. Throws with one line for a person. */
export function parseOptions(args: readonly string[], rounds = 3): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      seconds: { type: "string" },
      rounds: { type: "string" },
      only: { type: "string" },
      systems: { type: "string" },
      link: { type: "string", default: "tcp" },
      peers: { type: "boolean", default: false },
      peer: { type: "string", multiple: true, default: [] },
      json: { type: "string" },
      source: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
    },
  })
  const link = linkKinds.find((kind) => kind === values.link)
  if (link === undefined) throw new Error(`--link is one of ${linkKinds.join(", ")}, not "${values.link}"`)
  return {
    quick: values.quick,
    seconds: count("--seconds", values.seconds, values.quick ? 1 : 2),
    rounds: count("--rounds", values.rounds, values.quick ? 1 : rounds),
    only: list(values.only),
    systems: list(values.systems),
    link,
    peers: values.peers,
    commands: values.peer.map(readPeer),
    json: values.json,
    source: values.source,
    write: values.write,
  }
}

/** Throws when `only` names a part that does not exist. */
export function wants(options: Options, parts: readonly string[]): (part: string) => boolean {
  const unknown = options.only?.find((part) => !parts.includes(part))
  if (unknown !== undefined) throw new Error(`--only knows ${parts.join(", ")}, not "${unknown}"`)
  return (part) => options.only === undefined || options.only.includes(part)
}

function count(flag: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw new Error(`${flag} must be a whole number from 1, not "${text}"`)
  return number
}

function list(text: string | undefined): readonly string[] | undefined {
  return text?.split(",").map((part) => part.trim())
}

function readPeer(text: string): { name: string; command: string } {
  const at = text.indexOf("=")
  if (at < 1) throw new Error(`--peer is NAME=COMMAND, not "${text}"`)
  return { name: text.slice(0, at), command: text.slice(at + 1) }
}
