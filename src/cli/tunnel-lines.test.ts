import assert from "node:assert/strict"
import { test } from "node:test"
import type { Output } from "./output.ts"
import { frame } from "./tunnel-lines.ts"

test("the frame names the program as it can be called from where it was started", () => {
  const output = { interactive: true, columns: 10 } as Output
  const look = (env: NodeJS.ProcessEnv) =>
    frame(output, { url: "http://a.localhost", target: "3000", relay: undefined, env }).find((line) =>
      line.startsWith("look"),
    )
  assert.equal(look({}), "look    rdv status")
  assert.equal(look({ npm_lifecycle_event: "start", npm_package_name: "rdv" }), "look    ./bin/rdv status")
  assert.equal(look({ npm_lifecycle_event: "start", npm_package_name: "blog" }), "look    rdv status")
})

test("a private name is shown as a balancer's file has it", () => {
  const output = { interactive: false } as Output
  const [first] = frame(output, { url: "private:web", target: "localhost:3000", relay: "tcp://127.0.0.1:1", env: {} })
  assert.equal(first, "private rdv:web")
})
