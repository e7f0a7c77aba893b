/** The publisher's side of `tab/publish` (docs/protocol.md, section 9.7). */

import { createHash } from "node:crypto"
import { RdvError } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import { isJsonObject } from "../../../base/json.ts"
import type { Stream } from "../../../base/stream.ts"
import type { BuildFiles } from "./build-folder.ts"

export interface Published {
  readonly app: string
  readonly url: string
  readonly files: number
  readonly bytes: number
  readonly revision: string
}

/** Opens a stream of a service at the relay. */
export type OpenAtRelay = (service: string, header: JsonObject) => Stream

/** Rejects with what the relay has against it; then it serves what it served before. */
export async function publishBuild(open: OpenAtRelay, app: string, files: BuildFiles): Promise<Published> {
  // The relay answers this one itself.
  const sent = [...files].filter(([path]) => path !== ".rdv/tab.json")
  const bytes = sent.reduce((sum, [, content]) => sum + content.length, 0)
  const answer = await ask(open("tab/publish", { app, files: sent.length, bytes }), async (stream, room) => {
    for (const [path, content] of sent) {
      const sha256 = createHash("sha256").update(content).digest("hex")
      let goesOn = stream.meta({ path, bytes: content.length, sha256 })
      for (let at = 0; at < content.length; at += pieceBytes) {
        if (!goesOn) await room()
        goesOn = stream.write(content.subarray(at, at + pieceBytes))
      }
      if (!goesOn) await room()
    }
  })
  const { published } = answer
  if (!isJsonObject(published) || typeof published["url"] !== "string") throw noAnswer()
  return published as unknown as Published
}

export async function unpublish(open: OpenAtRelay, app: string): Promise<void> {
  await ask(open("tab/unpublish", { app }), () => Promise.resolve())
}

/** Says something, ends, and waits for the answer. `room` resolves when the stream takes more. */
function ask(stream: Stream, say: (stream: Stream, room: () => Promise<void>) => Promise<void>): Promise<JsonObject> {
  return new Promise((resolve, reject) => {
    let answer: JsonObject | undefined
    let wake: (() => void) | undefined
    let isOver = false
    stream.attach({
      data: (chunk) => stream.consumed(chunk.length),
      meta: (block) => (answer ??= block),
      end: () => undefined,
      drain: () => wake?.(),
      closed(error) {
        isOver = true
        wake?.()
        if (error !== undefined) reject(error)
        else if (answer === undefined) reject(noAnswer())
        else resolve(answer)
      },
    })
    const room = async () => {
      if (!isOver) await new Promise<void>((done) => (wake = done))
      if (isOver) throw new RdvError("closed")
    }
    say(stream, room).then(
      () => stream.end(),
      // The stream's own end says why.
      () => undefined,
    )
  })
}

function noAnswer(): RdvError {
  return new RdvError("protocol", "The relay ended without an answer")
}

const pieceBytes = 64 * 1024
