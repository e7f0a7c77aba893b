import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { answerStun } from "./stun-message.ts"

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"))
const hex = (answer: Uint8Array | undefined): string => Buffer.from(answer ?? []).toString("hex")

// RFC 5769 sections 2.1, 2.2 and 2.3: the same transaction, and the addresses that its answers carry.
const transaction = "b7e7a701bc34d686fa87dfae"
const request = bytes(
  `
  000100582112a442${transaction}
  802200105354554e207465737420636c69656e74
  002400046e0001ff
  80290008932ff9b151263b36
  000600096576746a3a68367659202020
  000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf`.replace("2020202000", "20202000"),
)

test("the addresses of the RFC's test vectors come out as they stand there", () => {
  const plain = bytes(`000100002112a442${transaction}`)
  const v4 = answerStun(plain, { address: "192.0.2.1", port: 32853 })
  assert.equal(hex(v4), `0101000c2112a442${transaction}002000080001a147e112a643`)
  const v6 = answerStun(plain, { address: "2001:db8:1234:5678:11:2233:4455:6677", port: 32853 })
  assert.equal(hex(v6), `010100182112a442${transaction}002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9`)
})

test("a browser's request with what ICE adds is answered", () => {
  assert.equal(request.length, 108)
  assert.equal(hex(answerStun(request, { address: "192.0.2.1", port: 32853 })).slice(0, 4), "0101")
})

test("an IPv4 address in IPv6's clothes is one of IPv4, and scopes are nobody's business", () => {
  const plain = bytes(`000100002112a442${transaction}`)
  const port = 32853
  const [mapped, v4] = ["::ffff:192.0.2.1", "192.0.2.1"].map((address) => hex(answerStun(plain, { address, port })))
  assert.equal(mapped, v4)
  const [scoped, bare] = ["fe80::1%eth0", "fe80::1"].map((address) => hex(answerStun(plain, { address, port })))
  assert.equal(scoped, bare)
  for (const wrong of ["", "x", "1.2.3", "1.2.3.999", "1::2::3", "1:2:3", "fffff::"]) {
    assert.equal(answerStun(plain, { address: wrong, port }), undefined, wrong)
  }
})

test("what must be understood and is not is named in a refusal", () => {
  const strange = bytes(`000100082112a442${transaction}7fff0002abcd0000`)
  const answer = answerStun(strange, { address: "192.0.2.1", port: 1 })
  assert.equal(hex(answer), `011100102112a442${transaction}00090004000004140 00a00027fff0000`.replaceAll(" ", ""))
  const optional = bytes(`000100082112a442${transaction}ffff0002abcd0000`)
  assert.equal(hex(answerStun(optional, { address: "192.0.2.1", port: 1 })).slice(0, 4), "0101")
})

test("nothing but a whole Binding request is answered, and no answer is much longer than its request", () => {
  const plain = bytes(`000100002112a442${transaction}`)
  for (const at of [0, 1, 2, 3, 4, 7]) {
    const bent = plain.slice()
    bent[at] = (bent[at] as number) ^ 0x10
    assert.equal(answerStun(bent, { address: "192.0.2.1", port: 1 }), undefined, String(at))
  }
  const packets = fc.oneof(
    fc.uint8Array({ maxLength: 600 }),
    fc.uint8Array({ maxLength: 200 }).map((body) => {
      const packet = new Uint8Array(20 + body.length)
      packet.set(plain)
      packet.set(body, 20)
      new DataView(packet.buffer).setUint16(2, body.length)
      return packet
    }),
  )
  fc.assert(
    fc.property(packets, fc.constantFrom("192.0.2.1", "2001:db8::1"), (packet, address) => {
      const answer = answerStun(packet, { address, port: 4242 })
      if (answer === undefined) return
      assert.ok(answer.length <= packet.length + 24)
      assert.equal(answer.length % 4, 0)
      assert.equal(new DataView(answer.buffer).getUint16(2), answer.length - 20)
    }),
  )
})

test("a packet from port 0 gets no answer: none can be sent there", () => {
  const plain = bytes(`000100002112a442${transaction}`)
  assert.equal(answerStun(plain, { address: "192.0.2.1", port: 0 }), undefined)
})
