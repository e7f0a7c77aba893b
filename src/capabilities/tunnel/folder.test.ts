import assert from "node:assert/strict"
import { once } from "node:events"
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { Agent, type IncomingMessage, request } from "node:http"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { type TestContext, test } from "node:test"
import fc from "fast-check"
import type { RdvError } from "../../base/error.ts"
import { silentLog } from "../../base/log.ts"
import { encodePath, readFolderPath } from "./folder-path.ts"
import { serveFolder } from "./folder.ts"

interface Reply {
  readonly status: number
  readonly headers: IncomingMessage["headers"]
  readonly body: string
}

interface Site {
  /** The folder that is served; beside it lies `secret.txt`, outside. */
  readonly root: string
  readonly socketPath: string
  /** Sends the path as it is, like `curl --path-as-is --unix-socket`. */
  readonly get: (path: string, headers?: Record<string, string>, method?: string) => Promise<Reply>
  /** The head has arrived; the body is paused. */
  readonly open: (path: string) => Promise<IncomingMessage>
}

async function site(t: TestContext, files: Record<string, string> = {}): Promise<Site> {
  const home = mkdtempSync(join(tmpdir(), "rdv-test-"))
  const root = join(home, "site")
  mkdirSync(root)
  writeFileSync(join(home, "secret.txt"), "secret")
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  const served = await serveFolder(root, { log: silentLog })
  const agent = new Agent({ keepAlive: true })
  t.after(async () => {
    agent.destroy()
    await served.close()
    rmSync(home, { recursive: true, force: true })
  })
  const { socketPath } = served.target
  const open = async (path: string, headers: Record<string, string> = {}, method = "GET") => {
    const sent = request({ socketPath, path, headers, method, agent })
    sent.end()
    const [response] = (await once(sent, "response")) as [IncomingMessage]
    return response
  }
  const get = async (path: string, headers?: Record<string, string>, method?: string) => {
    const response = await open(path, headers, method)
    let body = ""
    for await (const chunk of response.setEncoding("latin1")) body += String(chunk)
    return { status: response.statusCode ?? 0, headers: response.headers, body }
  }
  return { root, socketPath, get, open }
}

/** Bytes on the socket, whatever they are; returns all that came back. */
async function raw(socketPath: string, text: string): Promise<string> {
  const socket = connect(socketPath)
  socket.setEncoding("latin1").write(text, "latin1")
  let answer = ""
  for await (const chunk of socket) answer += String(chunk)
  return answer
}

test("files come with their type, and an index for its directory", async (t) => {
  const { get } = await site(t, {
    "index.html": "<h1>home</h1>",
    "style.css": "a{}",
    "app.mjs": "1",
    "data.bin": "\u0000",
    "no-extension": "x",
    "blog/index.html": "blog",
    ".well-known/security.txt": "mail",
  })
  const type = async (path: string) => {
    const reply = await get(path)
    assert.equal(reply.status, 200, path)
    assert.equal(reply.headers["x-content-type-options"], "nosniff")
    return reply.headers["content-type"]
  }
  assert.equal((await get("/?x=1")).body, "<h1>home</h1>")
  assert.equal((await get("/blog/")).body, "blog")
  assert.equal((await get("/.well-known/security.txt")).body, "mail")
  assert.equal(await type("/"), "text/html; charset=utf-8")
  assert.equal(await type("/style.css"), "text/css; charset=utf-8")
  assert.equal(await type("/app.mjs"), "text/javascript; charset=utf-8")
  assert.equal(await type("/data.bin"), "application/octet-stream")
  assert.equal(await type("/no-extension"), "application/octet-stream")
})

test("a directory without its slash is sent to it, and never to another host", async (t) => {
  const { get } = await site(t, { "blog/index.html": "", "ö/x": "", "evil.test/x": "" })
  const location = async (path: string) => {
    const reply = await get(path)
    assert.equal(reply.status, 301, path)
    return reply.headers.location
  }
  assert.equal(await location("/blog"), "/blog/")
  assert.equal(await location("/blog?a=/b?c"), "/blog/?a=/b?c")
  assert.equal(await location("/%C3%B6"), "/%C3%B6/")
  assert.equal(await location("//evil.test"), "/evil.test/")
  assert.equal(await location("///evil.test"), "/evil.test/")
})

test("ranges: first, middle, last, open; several ranges give the whole; impossible ones are 416", async (t) => {
  const { get } = await site(t, { "ten.txt": "0123456789" })
  for (const [range, status, contentRange, body] of [
    ["bytes=0-0", 206, "bytes 0-0/10", "0"],
    ["bytes=3-5", 206, "bytes 3-5/10", "345"],
    ["bytes=7-", 206, "bytes 7-9/10", "789"],
    ["bytes=-2", 206, "bytes 8-9/10", "89"],
    ["bytes=5-100", 206, "bytes 5-9/10", "56789"],
    ["bytes=0-1,2-3", 206, "bytes 0-3/10", "0123"],
    ["bytes=0-0,9-9", 200, undefined, "0123456789"],
    ["bytes=x", 200, undefined, "0123456789"],
    ["lines=1-2", 200, undefined, "0123456789"],
  ] as const) {
    const reply = await get("/ten.txt", { range })
    assert.deepEqual([reply.status, reply.headers["content-range"], reply.body], [status, contentRange, body], range)
    assert.equal(reply.headers["content-length"], String(body.length))
  }
  const beyond = await get("/ten.txt", { range: "bytes=10-" })
  assert.deepEqual([beyond.status, beyond.headers["content-range"]], [416, "bytes */10"])
  assert.equal(beyond.headers.etag, undefined)
  assert.equal((await get("/ten.txt")).headers["accept-ranges"], "bytes")
})

test("a visitor that has the file already gets 304, and 200 once it has changed", async (t) => {
  const { root, get } = await site(t, { "a.txt": "one" })
  const first = await get("/a.txt")
  const etag = String(first.headers.etag)
  const modified = String(first.headers["last-modified"])
  assert.equal(first.headers["cache-control"], "public, max-age=0")
  const again = await get("/a.txt", { "if-none-match": etag })
  assert.deepEqual([again.status, again.body, again.headers.etag], [304, "", etag])
  assert.equal((await get("/a.txt", { "if-modified-since": modified })).status, 304)
  assert.equal((await get("/a.txt", { "if-none-match": '"other"' })).status, 200)
  assert.equal((await get("/a.txt", { "if-match": '"other"' })).status, 412)
  assert.equal((await get("/a.txt", { range: "bytes=0-0", "if-range": etag })).status, 206)
  writeFileSync(join(root, "a.txt"), "three")
  assert.equal((await get("/a.txt", { "if-none-match": etag })).body, "three")
  assert.equal((await get("/a.txt", { range: "bytes=0-0", "if-range": etag })).body, "three")
})

test("HEAD has the headers of GET and no body; other methods are 405", async (t) => {
  const { get } = await site(t, { "a.txt": "0123456789", "list/x": "" })
  for (const path of ["/a.txt", "/list/", "/missing"]) {
    const [full, head] = [await get(path), await get(path, {}, "HEAD")]
    assert.deepEqual([head.status, head.body], [full.status, ""])
    assert.equal(head.headers["content-length"], full.headers["content-length"])
    assert.equal(head.headers["content-type"], full.headers["content-type"])
  }
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
    const reply = await get("/a.txt", {}, method)
    assert.deepEqual([reply.status, reply.headers.allow], [405, "GET, HEAD"], method)
  }
})

test("no spelling of a path leads out of the folder or to a hidden file", async (t) => {
  const { root, socketPath } = await site(t, { "index.html": "home", ".env": "secret", ".git/config": "secret" })
  mkdirSync(join(root, "sub"))
  const up = ["..", "%2e%2e", "%2E.", ".%2e", "..%00", "..\\", "%5c..", "..%5c", "..%2f", "%2f..", "....//", "..;"]
  const climbs = up.flatMap((dots) => [
    `/${dots}/secret.txt`,
    `/sub/${dots}/${dots}/secret.txt`,
    `//${dots}//secret.txt`,
  ])
  const spelt = `/..%2fsecret.txt /%2e%2e%2fsecret.txt /sub%2f..%2f..%2fsecret.txt /..%c0%afsecret.txt
    /%252e%252e/secret.txt /..%255csecret.txt /.env /%2eenv /.git/config /sub/.well-known/x /index.html/ /index.html/..
    /index.html%00.txt /% /%zz /%ff * secret.txt ../x http://a.test/../secret.txt /\\..\\secret.txt /\u0001
    /sub/%0d%0aSet-Cookie:%20a=b`.split(/\s+/)
  const paths = climbs.concat(spelt, [
    "",
    root,
    encodeURIComponent(root),
    `/${root}/../secret.txt`,
    `/${encodeURIComponent(join(root, "../secret.txt"))}`,
    `/${"a".repeat(300)}`,
    `/${"a/".repeat(3_000)}`,
  ])
  for (const path of paths) {
    const reply = await raw(socketPath, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    assert.match(reply, /^HTTP\/1.1 (400|404) /, path)
    assert.doesNotMatch(reply, /secret|Set-Cookie|at .*\.js/, path)
  }
})

test("links stay inside: in listings, too", { skip: process.platform === "win32" }, async (t) => {
  const { root, get } = await site(t, { "real/page.html": "page", "real/deep/x.txt": "x" })
  const links: [name: string, to: string][] = [
    ["in", "real/page.html"],
    ["in-absolute", join(root, "real/page.html")],
    ["in-folder", "real"],
    ["out", "../secret.txt"],
    ["out-absolute", join(root, "../secret.txt")],
    ["out-folder", ".."],
    ["out-root", "/"],
    ["chain", "out"],
    ["sibling", "../site-two"],
    ["loop", "loop"],
    ["dangling", "nowhere"],
    ["device", "/dev/zero"],
  ]
  mkdirSync(join(root, "../site-two"))
  writeFileSync(join(root, "../site-two/x.txt"), "secret")
  for (const [name, to] of links) symlinkSync(to, join(root, name))
  assert.equal((await get("/in")).body, "page")
  assert.equal((await get("/in-absolute")).body, "page")
  assert.equal((await get("/in-folder/deep/x.txt")).body, "x")
  const lost = [
    "/out",
    "/out-absolute",
    "/out-folder/",
    "/out-folder/secret.txt",
    "/out-root/etc/passwd",
    "/chain",
    "/loop",
  ]
  for (const path of lost.concat("/sibling/x.txt", "/sibling/", "/dangling", "/device")) {
    assert.equal((await get(path)).status, 404, path)
  }
  const names = [...(await get("/")).body.matchAll(/href="\.\/([^"]+)"/g)].map((match) => match[1])
  assert.deepEqual(names, ["in-folder/", "real/", "in", "in-absolute"])
  // An index that leads out is not there: the listing is.
  mkdirSync(join(root, "trap"))
  symlinkSync("../../secret.txt", join(root, "trap/index.html"))
  const trap = await get("/trap/")
  assert.equal(trap.status, 200)
  assert.doesNotMatch(trap.body, /secret|index\.html/)
})

test("a pipe in the folder blocks nobody", { skip: process.platform === "win32" }, async (t) => {
  const { root, get } = await site(t)
  const { execFileSync } = await import("node:child_process")
  execFileSync("mkfifo", [join(root, "pipe")])
  assert.equal((await get("/pipe")).status, 404)
  assert.doesNotMatch((await get("/")).body, /pipe/)
})

test("a listing is sorted, escaped, sized, and its links work", async (t) => {
  const strange = `a<b>&"'%20#?:é.txt`
  const { get } = await site(t, {
    "list/b10.txt": "x".repeat(1_500),
    "list/b2.txt": "",
    "list/javascript:alert(1)": "js",
    [`list/${strange}`]: "strange",
    "list/.hidden": "",
    "list/Zoo/x": "",
    "empty/.hidden": "",
  })
  const reply = await get("/list/")
  assert.equal(reply.headers["content-security-policy"], "default-src 'none'; style-src 'unsafe-inline'")
  assert.doesNotMatch(reply.body, /<b>|hidden|href="javascript/)
  assert.match(reply.body, /b10\.txt<\/a><td>1\.5 kB<td>\d{4}-\d\d-\d\d \d\d:\d\d/)
  assert.match(reply.body, /href="\.\.\/"/)
  const links = [...reply.body.matchAll(/href="(\.\/[^"]+)"/g)].map((match) =>
    String(match[1]).replaceAll("&#39;", "'"),
  )
  assert.deepEqual(
    links.map((link) => decodeURIComponent(link.slice(2))),
    ["Zoo/", strange, "b2.txt", "b10.txt", "javascript:alert(1)"],
  )
  assert.equal((await get(new URL(String(links[1]), "http://a/list/").pathname)).body, "strange")
  assert.match((await get("/empty/")).body, /This folder is empty/)
  assert.doesNotMatch((await get("/")).body, /href="\.\.\/"/)
})

test("a folder of very many files is listed in part, and says so", async (t) => {
  const { root, get } = await site(t)
  for (let count = 0; count < 2_001; count++) writeFileSync(join(root, `f${count}`), "")
  const { body } = await get("/")
  assert.equal(body.split('href="./').length - 1, 2_000)
  assert.match(body, /The folder has more; 2000 entries are shown/)
})

test("a folder that disappears is 404, and served again when it is back", async (t) => {
  const { root, get } = await site(t, { "a.txt": "a" })
  renameSync(root, `${root}-away`)
  assert.equal((await get("/a.txt")).status, 404)
  assert.equal((await get("/")).status, 404)
  renameSync(`${root}-away`, root)
  assert.equal((await get("/a.txt")).body, "a")
})

test("a large file streams: a visitor that does not read costs little memory, and gets every byte later", async (t) => {
  const { root, get, open } = await site(t, { "small.txt": "s", "large.bin": "" })
  const size = 128 * 1024 * 1024
  truncateSync(join(root, "large.bin"), size)
  const before = process.memoryUsage().arrayBuffers
  const response = await open("/large.bin")
  assert.equal(response.headers["content-length"], String(size))
  for (let count = 0; count < 50; count++) assert.equal((await get("/small.txt")).body, "s")
  assert.ok(process.memoryUsage().arrayBuffers - before < 8 * 1024 * 1024)
  let received = 0
  for await (const chunk of response) received += (chunk as Uint8Array).length
  assert.equal(received, size)
})

test("a file that shrinks during its transfer is cut, not passed off as whole", async (t) => {
  const { root, open } = await site(t, { "a.bin": "x".repeat(16 * 1024 * 1024) })
  const response = await open("/a.bin")
  truncateSync(join(root, "a.bin"), 1024)
  response.resume()
  const [error] = (await once(response, "error")) as [Error & { code?: string }]
  assert.equal(error.code, "ECONNRESET")
})

test("a file that grows or is replaced during its transfer arrives as it was promised", async (t) => {
  const size = 8 * 1024 * 1024
  const { root, open } = await site(t, { "a.bin": "x".repeat(size), "b.bin": "x".repeat(size) })
  const [grown, replaced] = [await open("/a.bin"), await open("/b.bin")]
  appendFileSync(join(root, "a.bin"), "y".repeat(1_000))
  writeFileSync(join(root, "new.bin"), "z")
  renameSync(join(root, "new.bin"), join(root, "b.bin"))
  for (const response of [grown, replaced]) {
    let received = 0
    for await (const chunk of response) {
      received += (chunk as Uint8Array).length
      assert.ok((chunk as Buffer).every((byte) => byte === 120))
    }
    assert.equal(received, size)
  }
})

test("an empty file is an empty answer on a connection that lives on", async (t) => {
  const { get } = await site(t, { "empty.txt": "", "a.txt": "a" })
  const reply = await get("/empty.txt")
  assert.deepEqual([reply.status, reply.headers["content-length"], reply.body], [200, "0", ""])
  assert.equal((await get("/a.txt")).body, "a")
})

test("the socket is private and gone after close, transfers end", { skip: process.platform === "win32" }, async (t) => {
  const root = mkdtempSync(join(tmpdir(), "rdv-test-"))
  t.after(() => rmSync(root, { recursive: true }))
  writeFileSync(join(root, "a.bin"), "x".repeat(8 * 1024 * 1024))
  const served = await serveFolder(root, { log: silentLog })
  const home = dirname(served.target.socketPath)
  assert.equal(statSync(home).mode & 0o777, 0o700)
  const sent = request({ socketPath: served.target.socketPath, path: "/a.bin" })
  sent.end()
  const [response] = (await once(sent, "response")) as [IncomingMessage]
  const cut = once(response.resume(), "error")
  await Promise.all([served.close(), served.close(), cut])
  assert.ok(!existsSync(home))
})

test("what is no folder is one clear line", async (t) => {
  const root = mkdtempSync(join(tmpdir(), "rdv-test-"))
  t.after(() => rmSync(root, { recursive: true }))
  writeFileSync(join(root, "file"), "")
  for (const [path, message] of [
    ["nowhere", /^There is no folder .*nowhere$/],
    ["file", /is a file, not a folder$/],
    ["file/deeper", /^The folder .* cannot be read$/],
  ] as const) {
    await assert.rejects(
      serveFolder(join(root, path), { log: silentLog }),
      (error: RdvError) => error.code === "usage" && message.test(error.message) && error.mend !== undefined,
    )
  }
})

test("whatever path is read, its segments are single visible names", () => {
  const piece = fc.constantFrom(
    "/",
    ".",
    "..",
    "%2e",
    "%2f",
    "%5c",
    "%00",
    "\\",
    "a",
    "%",
    "?",
    "é",
    "%c3%a9",
    ":",
    "con",
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.constantFrom("linux", "win32"), (pieces, platform) => {
      const read = readFolderPath(`/${pieces.join("")}`, platform)
      if (typeof read === "number") return
      for (const segment of read.segments) assert.match(segment, /^[^./\\\0][^/\\\0]*$/)
      assert.deepEqual(readFolderPath(encodePath(read.segments) + (read.directory ? "/" : ""), platform), read)
    }),
  )
})

test("Windows' drives, streams, devices and trailing dots are no names there", () => {
  for (const name of ["c:", "a.txt::$DATA", "a.txt:x", "CON", "nul.txt", "Com1", "a.", "a%20", "a*", "lpt9.log"]) {
    assert.equal(readFolderPath(`/${name}`, "win32"), 404, name)
  }
  for (const name of ["console", "com", "a.txt", "nul-1"])
    assert.equal(typeof readFolderPath(`/${name}`, "win32"), "object")
})
