import assert from "node:assert/strict"
import { EventEmitter } from "node:events"
import { test } from "node:test"
import { Screen } from "./top-screen.ts"

function terminal() {
  let written = ""
  const raw: boolean[] = []
  const stdout = Object.assign(new EventEmitter(), {
    write: (text: string) => void (written += text),
    columns: 90,
    rows: 30,
  })
  const stdin = Object.assign(new EventEmitter(), {
    isTTY: true,
    setRawMode: (on: boolean) => void raw.push(on),
    resume: () => undefined,
    pause: () => undefined,
  })
  return { stdin, stdout, raw, written: () => written }
}

test("the terminal is as before when the screen is closed, and a second close does nothing", () => {
  const { stdin, stdout, raw, written } = terminal()
  const exits = process.listenerCount("exit")
  const screen = new Screen({ stdin, stdout, onKey: () => undefined, onResize: () => undefined })
  screen.draw(["one", "two"])
  screen.close()
  screen.close()
  screen.draw(["late"])
  assert.deepEqual(raw, [true, false])
  assert.equal(written(), "\u001b[?1049h\u001b[?25l\u001b[Hone\u001b[K\r\ntwo\u001b[K\u001b[J\u001b[?25h\u001b[?1049l")
  assert.deepEqual([stdin.listenerCount("data"), stdout.listenerCount("resize")], [0, 0])
  assert.equal(process.listenerCount("exit"), exits)
})

test("keys and changes of size are told while it is open", () => {
  const { stdin, stdout } = terminal()
  const heard: string[] = []
  const screen = new Screen({ stdin, stdout, onKey: (key) => heard.push(key), onResize: () => heard.push("size") })
  stdin.emit("data", Buffer.from("q"))
  stdout.emit("resize")
  assert.deepEqual([heard, screen.columns, screen.rows], [["q", "size"], 90, 30])
  screen.close()
})
