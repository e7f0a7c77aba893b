/** `rdv relay --tls-cert --tls-key`: files that are renewed while it runs. */

import assert from "node:assert/strict"
import { X509Certificate } from "node:crypto"
import { once } from "node:events"
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import * as tls from "node:tls"
import { makeCertificate } from "../kit/certificates.ts"
import type { TestCertificate } from "../kit/certificates.ts"
import { assertOneLine, runCommand, startRelayCommand, temporaryFolder } from "../kit/command.ts"
import { RawClient } from "../kit/raw-http.ts"

const hasSignals = process.platform !== "win32"

test(
  "a renewed pair is shown after SIGHUP, a broken one is not, and who is there stays",
  { skip: !hasSignals },
  async () => {
    using folder = temporaryFolder()
    const at = (...names: string[]) => join(folder.path, ...names)
    const [first, second, third] = [makeCertificate(), makeCertificate(), makeCertificate()] as const
    // As certbot keeps them: the folder is reached by a link.
    write(at("1"), first)
    write(at("2"), second)
    link("1", at("live"))
    const flags = ["--open", "--tls-cert", at("live", "cert.pem"), "--tls-key", at("live", "key.pem")]
    const { relay, port } = await startRelayCommand(flags, { data: folder.path })
    await using stopped = relay
    await relay.says(new RegExp(`certificate.shown +serial=${serialOf(first)} until=\\d{4}-\\d\\d-\\d\\dT[\\d:]+Z`))
    await relay.says(/warn +certificate\.expires .*days=0 mend="renew the files of --tls-cert and --tls-key"/)
    const visitor = await connect(port, first)

    link("2", at("live"))
    stopped.kill("SIGHUP")
    await relay.says(new RegExp(`certificate.shown +serial=${serialOf(second)}`))
    const newer = await connect(port, second)
    assert.equal(newer.serial, serialOf(second))
    await assert.rejects(connect(port, first))

    writeFileSync(at("2", "cert.pem"), third.cert)
    stopped.kill("SIGHUP")
    await relay.says(/warn +certificate\.refused +reason="The key in \S+key\.pem is not that of the certificate in/)
    assert.equal((await connect(port, second)).serial, serialOf(second))

    for (const { client } of [visitor, newer]) {
      void client.send("GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n")
      assert.equal((await client.answer()).status, 404)
      client.socket.destroy()
    }
  },
)

test("a pair that does not belong together is refused at the start", async () => {
  using folder = temporaryFolder()
  const [one, other] = [makeCertificate(), makeCertificate()] as const
  const [cert, key] = [join(folder.path, "cert.pem"), join(folder.path, "key.pem")]
  writeFileSync(cert, one.cert)
  writeFileSync(key, other.key)
  const start = (file: string) =>
    runCommand(["relay", "--listen", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", file], { data: folder.path })
  assertOneLine(await start(key), 2, /is not that of the certificate in .*: give files of one renewal/)
  assertOneLine(await start(join(folder.path, "none")), 2, /none does not exist: check the path/)
})

function write(folder: string, { cert, key }: TestCertificate): void {
  mkdirSync(folder)
  writeFileSync(join(folder, "cert.pem"), cert)
  writeFileSync(join(folder, "key.pem"), key)
}

function link(target: string, path: string): void {
  symlinkSync(target, `${path}.new`)
  renameSync(`${path}.new`, path)
}

const serialOf = ({ cert }: TestCertificate) => new X509Certificate(cert).serialNumber

/** Rejects when the certificate is not signed by that authority. */
async function connect(
  port: number,
  { ca }: TestCertificate,
): Promise<{ client: RawClient; serial: string | undefined }> {
  const socket = tls.connect({ port, host: "127.0.0.1", ca, servername: "localhost" })
  await once(socket, "secureConnect")
  return { client: new RawClient(socket), serial: socket.getPeerX509Certificate()?.serialNumber }
}
