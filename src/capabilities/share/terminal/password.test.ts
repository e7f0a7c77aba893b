import assert from "node:assert/strict"
import { EventEmitter } from "node:events"
import { test } from "node:test"
import { askPassword } from "./password.ts"

class Keyboard extends EventEmitter {
  readonly isTTY: boolean = true
  raw = false

  setRawMode(raw: boolean): void {
    this.raw = raw
  }

  resume(): void {}
  pause(): void {}
}

function asked(...keys: readonly string[]): { answer: Promise<string>; written: () => string; keyboard: Keyboard } {
  const keyboard = new Keyboard()
  let text = ""
  const answer = askPassword("password: ", { stdin: keyboard, stderr: { write: (more: string) => (text += more) } })
  for (const key of keys) keyboard.emit("data", Buffer.from(key))
  return { answer, written: () => text, keyboard }
}

test("what is typed is not shown, and can be corrected", async () => {
  const { answer, written, keyboard } = asked("hx", "\u007f", "üé", "\u007f", "llo\r")
  assert.equal(await answer, "hüllo")
  assert.equal(written(), "password: \n")
  assert.equal(keyboard.raw, false)
  assert.equal(keyboard.listenerCount("data"), 0)
})

test("Ctrl+C leaves", async () => {
  await assert.rejects(asked("abc\u0003").answer, { code: "cancelled" })
})

test("without a terminal nobody is asked", async () => {
  const stdin = Object.assign(new Keyboard(), { isTTY: false })
  await assert.rejects(askPassword("password: ", { stdin, stderr: { write: () => true } }), {
    code: "usage",
    mend: "use --password-file or RDV_SHARE_PASSWORD",
  })
})
