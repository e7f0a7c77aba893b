/**
 * Random conversations against a model of fids, tags and pipes (the tree answers at once), and against what always holds
 * (the tree answers whenever it likes).
 */

import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { RawNinep } from "../../test/kit/raw-ninep.ts"
import { RamTree } from "../../test/kit/ram-tree.ts"
import { errnos } from "./errno.ts"
import { NOFID } from "./message.ts"
import type { Answer, Request } from "./message.ts"

const names = ["file", "pipe", "folder", "nobody", ".."] as const
const fid = fc.integer({ min: 0, max: 4 })
const command = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("walk" as const),
      fid,
      newfid: fid,
      path: fc.array(fc.constantFrom(...names), { maxLength: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("open" as const), fid, flags: fc.integer({ min: 0, max: 2 }) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("read" as const), fid }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("write" as const), fid }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("clunk" as const), fid }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("flush" as const), which: fc.nat(8) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("attach" as const), fid }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("create" as const), fid }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("getattr" as const), fid }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("readdir" as const), fid }) },
)
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never

/** `/file`, `/pipe`, and `/folder/` with the same two. */
function smallTree(pause?: () => Promise<void>): RamTree {
  const tree = new RamTree(pause === undefined ? {} : { pause })
  tree.root.add("file", "file", "content")
  tree.root.add("pipe", "pipe")
  const folder = tree.root.add("folder", "folder")
  folder.add("file", "file", "content")
  folder.add("pipe", "pipe")
  return tree
}

function requestOf(step: Command, tag: number, outstanding: readonly number[], serial: number): Request {
  switch (step.do) {
    case "walk":
      return { type: "Twalk", tag, fid: step.fid, newfid: step.newfid, wname: step.path }
    case "open":
      return { type: "Tlopen", tag, fid: step.fid, flags: step.flags }
    case "read":
      return { type: "Tread", tag, fid: step.fid, offset: 0, count: 100 }
    case "write":
      return { type: "Twrite", tag, fid: step.fid, offset: 0, data: Uint8Array.of(serial >> 8, serial) }
    case "clunk":
      return { type: "Tclunk", tag, fid: step.fid }
    case "flush":
      return { type: "Tflush", tag, oldtag: outstanding[step.which % Math.max(1, outstanding.length)] ?? 999 }
    case "attach":
      return { type: "Tattach", tag, fid: step.fid, afid: NOFID, uname: "", aname: "", nUname: 0 }
    case "create":
      return { type: "Tlcreate", tag, fid: step.fid, name: `new${serial}`, flags: 2, mode: 0o644, gid: 0 }
    case "getattr":
      return { type: "Tgetattr", tag, fid: step.fid, requestMask: 1 }
    case "readdir":
      return { type: "Treaddir", tag, fid: step.fid, offset: 0, count: 8192 }
  }
}

interface ModelFid {
  path: readonly string[]
  flags: number | undefined
}
interface Waiting {
  readonly tag: number
  readonly fid: ModelFid
  readonly pipe: string
  /** Of a write. */
  readonly serial: number | undefined
}

/** Says what a server has to answer. */
class Model {
  readonly fids = new Map<number, ModelFid>([[0, { path: [], flags: undefined }]])
  waiting: Waiting[] = []
  opened = 0
  readonly #made = new Set<string>()

  /** The answers, as `tag outcome`. */
  expect(step: Command, tag: number, request: Request, serial: number): string[] {
    if (step.do === "flush") return this.#flush(tag, request)
    if (step.do === "attach") {
      if (this.fids.has(step.fid)) return [`${tag} EBADF`]
      this.fids.set(step.fid, { path: [], flags: undefined })
      return [`${tag} Rattach`]
    }
    const from = this.fids.get(step.fid)
    if (from === undefined) return [`${tag} EBADF`]
    const kind = this.#kind(from.path)
    switch (step.do) {
      case "walk":
        return [`${tag} ${this.#walk(from, step.fid, step.newfid, step.path)}`]
      case "open":
        if (from.flags !== undefined) return [`${tag} EBUSY`]
        if (kind === "folder" && step.flags !== 0) return [`${tag} EISDIR`]
        from.flags = step.flags
        this.opened++
        return [`${tag} Rlopen`]
      case "create":
        if (from.flags !== undefined) return [`${tag} EBUSY`]
        if (kind !== "folder") return [`${tag} ENOTDIR`]
        from.path = [...from.path, `new${serial}`]
        this.#made.add(from.path.join("/"))
        from.flags = 2
        this.opened++
        return [`${tag} Rlcreate`]
      case "getattr":
        return [`${tag} Rgetattr`]
      case "readdir":
        return [`${tag} ${kind === "folder" && from.flags !== undefined ? "Rreaddir" : "EBADF"}`]
      case "clunk": {
        this.fids.delete(step.fid)
        const withdrawn = this.waiting.filter((call) => call.fid === from)
        this.waiting = this.waiting.filter((call) => call.fid !== from)
        return [...withdrawn.map((call) => `${call.tag} EINTR`), `${tag} Rclunk`].toSorted(byTag)
      }
      case "read":
        if (from.flags === undefined || from.flags === 1) return [`${tag} EBADF`]
        if (kind === "folder") return [`${tag} EISDIR`]
        if (kind === "file") return [`${tag} Rread`]
        return this.#meet({ tag, fid: from, pipe: from.path.join("/"), serial: undefined })
      case "write":
        if (from.flags === undefined || from.flags === 0) return [`${tag} EBADF`]
        if (kind === "file") return [`${tag} Rwrite`]
        return this.#meet({ tag, fid: from, pipe: from.path.join("/"), serial })
    }
  }

  #kind(path: readonly string[]): "file" | "folder" | "pipe" | undefined {
    const name = path.at(-1)
    if (name === undefined || (path.length === 1 && name === "folder")) return "folder"
    if (path.length > 2 || (path.length === 2 && path[0] !== "folder")) return undefined
    if (this.#made.has(path.join("/"))) return "file"
    return name === "file" || name === "pipe" ? name : undefined
  }

  #walk(from: ModelFid, fid: number, newfid: number, path: readonly string[]): string {
    if (newfid !== fid && this.fids.has(newfid)) return "EBADF"
    if (newfid === fid && from.flags !== undefined) return "EBUSY"
    let at = from.path
    for (const [index, name] of path.entries()) {
      const stop = (error: string) => (index === 0 ? error : `Rwalk ${index}`)
      if (this.#kind(at) !== "folder") return stop("ENOTDIR")
      const next = name === ".." ? at.slice(0, -1) : [...at, name]
      if (this.#kind(next) === undefined) return stop("ENOENT")
      at = next
    }
    if (newfid === fid) from.path = at
    else this.fids.set(newfid, { path: at, flags: undefined })
    return `Rwalk ${path.length}`
  }

  #meet(call: Waiting): string[] {
    const isRead = call.serial === undefined
    const other = this.waiting.find(({ pipe, serial }) => pipe === call.pipe && (serial === undefined) !== isRead)
    if (other === undefined) {
      this.waiting.push(call)
      return []
    }
    this.waiting = this.waiting.filter((waiting) => waiting !== other)
    const [read, write] = isRead ? [call, other] : [other, call]
    return [`${read.tag} Rread ${write.serial}`, `${write.tag} Rwrite`]
  }

  #flush(tag: number, request: Request): string[] {
    if (request.type === "Tflush") this.waiting = this.waiting.filter((call) => call.tag !== request.oldtag)
    return [`${tag} Rflush`]
  }
}

const byTag = (a: string, b: string) => Number.parseInt(a, 10) - Number.parseInt(b, 10)

/** As the model writes it. */
function told(answer: Answer): string {
  if (answer.type === "Rlerror") {
    const name = Object.entries(errnos).find(([, { number }]) => number === answer.ecode)?.[0]
    return `${answer.tag} ${name}`
  }
  if (answer.type === "Rwalk") return `${answer.tag} Rwalk ${answer.wqid.length}`
  const isMessage = answer.type === "Rread" && answer.data.length === 2
  if (isMessage) return `${answer.tag} Rread ${((answer.data[0] as number) << 8) | (answer.data[1] as number)}`
  return `${answer.tag} ${answer.type}`
}

test("random requests are answered as a model of fids, tags and pipes says", () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (steps) => {
      const tree = smallTree()
      const talk = new RawNinep(tree)
      const model = new Model()
      for (const [serial, step] of steps.entries()) {
        const used = model.waiting.map(({ tag }) => tag)
        let tag = 0
        while (used.includes(tag)) tag++
        // A file has content of any two bytes that were written; the model knows messages alone.
        const request = requestOf(step, tag, used, serial + 0x1000)
        const expected = model.expect(step, tag, request, serial + 0x1000)
        talk.send(request)
        const got = talk.take().map(told)
        const isFile = expected[0]?.endsWith("Rread") === true
        const seen = isFile ? got.map((line) => line.replace(/Rread \d+$/, "Rread")) : got
        const ordered = step.do === "clunk" ? seen.toSorted(byTag) : seen
        assert.deepEqual(ordered, expected)
        const { fids, requests } = talk.connection.status()
        assert.deepEqual([fids, requests], [model.fids.size, model.waiting.length])
      }
      talk.connection.closed()
      const { opened, closed, gone } = tree.counts
      assert.deepEqual([opened, closed + gone], [model.opened, model.opened])
      for (const path of [["pipe"], ["folder", "pipe"]]) {
        const pipe = path.reduce(
          (node, name) => node?.children.get(name),
          tree.root as typeof tree.root | undefined,
        )?.pipe
        assert.deepEqual([pipe?.waitingReads, pipe?.waitingWrites], [0, 0])
      }
      assert.deepEqual(talk.logged, [])
    }),
    { numRuns: 400 },
  )
})

test("whenever a tree answers, each request is answered once or flushed, and each handle is closed once", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(command, fc.nat(3)), { maxLength: 40 }),
      fc.boolean(),
      async (steps, cutsEarly) => {
        const gates: (() => void)[] = []
        const tree = smallTree(() => new Promise((resolve) => gates.push(resolve)))
        const talk = new RawNinep(tree, { silent: true })
        const outstanding = new Map<number, Request>([[2000, attachRoot]])
        const hear = () => {
          for (const answer of talk.take()) {
            const request = outstanding.get(answer.tag)
            assert(request !== undefined, `nobody asked for ${JSON.stringify(answer)}`)
            outstanding.delete(answer.tag)
            // Rflush is the last word on its request.
            if (request.type === "Tflush") outstanding.delete(request.oldtag)
          }
        }
        const settle = async () => {
          await new Promise<void>((resolve) => setImmediate(resolve))
          hear()
        }
        talk.send({ type: "Tversion", tag: 0xffff, msize: 8192, version: "9P2000.L" }, attachRoot)
        talk.take()
        for (const [serial, [step, steady]] of steps.entries()) {
          const tag = serial + 1000
          const request = requestOf(step, tag, [...outstanding.keys()], serial)
          outstanding.set(tag, request)
          talk.send(request)
          hear()
          for (let open = 0; open < steady; open++) gates.shift()?.()
          await settle()
        }
        if (!cutsEarly) {
          while (gates.length > 0) {
            for (const open of gates.splice(0)) open()
            await settle()
          }
          const pipes = [...outstanding.values()].every(({ type }) => type === "Tread" || type === "Twrite")
          assert(pipes, `left: ${JSON.stringify([...outstanding.values()])}`)
          assert.equal(talk.connection.status().requests, outstanding.size)
        }
        talk.connection.closed()
        while (gates.length > 0) {
          for (const open of gates.splice(0)) open()
          await settle()
        }
        const { opened, closed, gone } = tree.counts
        assert.equal(opened, closed + gone)
        assert.deepEqual([talk.ended, talk.logged], [undefined, []])
      },
    ),
    { numRuns: 300 },
  )
})

const attachRoot: Request = { type: "Tattach", tag: 2000, fid: 0, afid: NOFID, uname: "", aname: "", nUname: 0 }
