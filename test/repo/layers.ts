/**
 * The walls of the house as data: who may import what. Imports point down only. A folder stands for all its files, a
 * path with `.ts` for that one file; the longest key that matches a file decides. `*` in a key stands for any characters of
 * one name.
 */

/** Importer → what of ours it may import, beside its own folder. `"*"` is everything but tests. */
export const layers: { readonly [importer: string]: readonly string[] } = {
  base: [],
  wire: ["base"],
  http1: ["base"],
  // Node's sockets with memory that is used again, and their splicing with streams.
  sockets: ["base"],
  store: ["base"],
  observe: ["base", "host"],
  // Files that users write: YAML and JSON with the place of each value, and forms that several capabilities read.
  config: ["base"],
  // X.509 for development, and files of it that are renewed.
  certificates: ["base", "config"],
  // 9P as a library.
  ninep: ["base"],
  mux: ["base", "wire"],
  transport: ["base", "sockets", "mux/link.ts"],
  host: ["base", "wire", "mux"],
  directory: ["base", "wire", "mux"],
  agent: ["base", "wire", "mux", "transport", "host", "http1", "directory", "store", "observe"],
  relay: ["base", "wire", "mux", "sockets", "transport", "host", "http1", "directory", "store", "observe"],
  "capabilities/*": ["base", "config", "host", "http1", "sockets"],
  // It ends TLS at ports of its own.
  "capabilities/balance": ["base", "config", "host", "http1", "sockets", "certificates"],
  "capabilities/channels": ["base", "config", "host", "http1", "sockets", "ninep"],
  "capabilities/share": ["base", "config", "host", "http1", "sockets"],
  // Peers of tabs have sessions of their own, over data channels.
  "capabilities/tab": ["base", "config", "host", "http1", "mux", "transport"],
  // Pages: the portable core with what a browser has.
  web: ["base", "wire", "mux", "host", "agent", "transport", "capabilities/share", "capabilities/tab"],
  // Composition roots: here parts that do not know each other are put together.
  "capabilities/*/command.ts": ["*"],
  "capabilities/*/*-command.ts": ["*"],
  cli: ["*"],
  // What the portable core gets from Node.
  "runtime.ts": ["base", "mux"],
  "index.ts": ["*"],
  "node.ts": ["*"],
  "start-agent.ts": ["*"],
  "start-share-relay.ts": ["*"],
  "start-tab-relay.ts": ["*"],
  "start-tab.ts": ["*"],
  "channels.ts": ["*"],
  "share.ts": ["*"],
  "tab.ts": ["base", "capabilities/tab"],
  "tab-go.ts": ["base", "capabilities/tab"],
  "start-share.ts": ["*"],
  "start-get.ts": ["*"],
  "share-access.ts": ["base", "mux", "agent", "transport", "node.ts", "capabilities/share"],
  "share-refusals.ts": ["base"],
  "verified-target.ts": ["base", "capabilities/share"],
}

/** Package → who may import it. `"test"` is every test and the test folder. */
export const packages: { readonly [name: string]: readonly string[] } = {
  ws: ["transport", "capabilities/load", "test"],
  yaml: ["config"],
  "hdr-histogram-js": ["capabilities/load", "test"],
  pino: ["observe"],
  send: ["capabilities/tunnel"],
  "@noble/hashes": ["capabilities/share", "capabilities/tab/data"],
  "@napi-rs/blake-hash": ["capabilities/share/node"],
  uqr: ["capabilities/share", "web"],
  "@sqlite.org/sqlite-wasm": ["web"],
  hono: ["test"],
  "node-datachannel": ["capabilities/tab/node", "test"],
  esbuild: ["capabilities/tab/build", "test"],
  "fast-check": ["test"],
}

/** Folders and files that run in Node, a page and a worker alike: no `node:` import. */
export const portable: readonly string[] = [
  "base",
  "wire",
  "mux",
  "host",
  "http1",
  "ninep",
  "directory",
  "agent",
  "capabilities/share/code",
  "capabilities/share/content",
  "capabilities/share/protocol",
  "capabilities/share/swarm",
  "capabilities/share/peer",
  "capabilities/share/paths/chunk-path.ts",
  "capabilities/share/paths/direct-handshake.ts",
  "capabilities/share/paths/direct-net.ts",
  "capabilities/share/paths/piece-frames.ts",
  "capabilities/share/paths/pipe-talk.ts",
  "capabilities/share/paths/relay-greeting.ts",
  "capabilities/share/paths/stream-path.ts",
  "capabilities/share/paths/stream-pipe.ts",
  "transport/memory.ts",
  "transport/ws.ts",
  "index.ts",
]

/** The same for code that needs the web platform's own words too (requests, streams, Web Crypto), which Node has as well. */
export const webPortable: readonly string[] = [
  "capabilities/tab/app",
  "capabilities/tab/data",
  "capabilities/tab/go",
  "capabilities/tab/identity",
  "capabilities/tab/peers",
  "capabilities/tab/serve",
  "transport/data-channel.ts",
  "tab.ts",
  "tab-go.ts",
]

/** Names that say nothing about what is inside. */
export const forbiddenNames: readonly string[] = [
  "util",
  "utils",
  "helper",
  "helpers",
  "common",
  "misc",
  "shared",
  "types",
  "manager",
  "lib",
]

/** Lines; above it a file is two files. */
export const longestFile = 500
