/** What a connection waits for whose target has to be started: the first one, those after it, and a crowd at once. */

import { freePort } from "../origin.ts"
import type { Options } from "../options.ts"
import { Figures, printTable, shown } from "../table.ts"
import { startRdvBalance, untilListens } from "./proxies.ts"
import type { TcpBench } from "./tcp-bench.ts"

const crowd = 50

const pythonEcho = `
import socketserver, sys
class Echo(socketserver.BaseRequestHandler):
  def handle(self): self.request.sendall(self.request.recv(64))
class Server(socketserver.ThreadingTCPServer):
  allow_reuse_address = True
  request_queue_size = 128
Server(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
`

const nodeEcho = `
require("net").createServer((socket) => socket.once("data", (bytes) => socket.end(bytes)))
  .listen(Number(process.argv[1]), "127.0.0.1")
`

const programs = (bench: TcpBench): readonly { name: string; command: (port: number) => readonly string[] }[] => [
  { name: "in C", command: (port) => [bench.program, "target", `once:${port}`] },
  { name: "in Python", command: (port) => ["python3", "-c", pythonEcho, `${port}`] },
  { name: "in Node", command: (port) => [process.execPath, "-e", nodeEcho, `${port}`] },
]

export async function showWake(bench: TcpBench, options: Options): Promise<void> {
  const figures = new Figures()
  for (let round = 1; round <= options.rounds; round++) {
    for (const { name, command } of programs(bench)) {
      process.stderr.write(`round ${round} of ${options.rounds}: wake, ${name} …\n`)
      const add = (figure: string, micros: number | undefined): void =>
        figures.add(name, figure, (micros ?? NaN) / 1000)
      await withSleeper(bench, command, async (ask) => {
        add("first", (await ask(1, 1))["p50"])
        add("later", (await ask(1, 50))["p50"])
      })
      await withSleeper(bench, command, async (ask) => add("crowd", (await ask(crowd, crowd))["max"]))
    }
  }
  const rows = programs(bench).map(({ name }) => [
    name,
    ...["first", "later", "crowd"].map((figure) => shown(figures.median(name, figure), 1)),
  ])
  const heads = ["an echo", "first ms", "later, p50 ms", `${crowd} at once: the last ms`]
  printTable("Connections to a target that sleeps", heads, rows)
}

type Ask = (concurrency: number, count: number) => ReturnType<TcpBench["ask"]>

async function withSleeper(
  bench: TcpBench,
  command: (port: number) => readonly string[],
  use: (ask: Ask) => Promise<void>,
): Promise<void> {
  const [port, sleeping] = [await freePort(), await freePort()]
  const wake = { command: command(sleeping), idle: "1m" }
  const child = await startRdvBalance(bench.children, {
    apps: [{ name: "sleeper", listen: [`127.0.0.1:${port}`], targets: [{ address: `127.0.0.1:${sleeping}`, wake }] }],
  })
  // A connection would wake it.
  await untilListens(child, port)
  await use((concurrency, count) =>
    bench.ask(["cps", "127.0.0.1", `${port}`, `${concurrency}`, `${count}`], undefined, 60),
  )
  await child.stop()
}
