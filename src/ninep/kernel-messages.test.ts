/**
 * Messages of real clients: what Linux 6.1 and 6.12 sent for `ls`, `cat`, `echo`, `mkdir`, `mv`, `chmod`, `ln`, `df`, `dd`
 * and `rm`, captured between a kernel in a virtual machine and a server, the first of each type.
 */

import assert from "node:assert/strict"
import { test } from "node:test"
import { decode, encode } from "./codec.ts"
import type { Dialect, Request } from "./message.ts"

const captured: { readonly [D in Dialect]: { readonly [Type in Request["type"]]?: string } } = {
  "9P2000.L": {
    Tversion: "1500000064ffff1800020008003950323030302e4c",
    Tattach: "1d00000068000000000000ffffffff06006e6f626f64790000ffffffff",
    Tgetattr: "1300000018000000000000ff17000000000000",
    Txattrwalk: "210000001e00000100000002000000100073656375726974792e73656c696e7578",
    Twalk: "110000006e000001000000020000000000",
    Tlopen: "0f0000000c00000200000000080000",
    Treaddir: "1700000028000002000000000000000000000000000200",
    Tclunk: "0b00000078000003000000",
    Tread: "1700000074000003000000000000000000000000000200",
    Tmkdir: "1600000048000001000000010064ed41000000000000",
    Tlcreate: "1a0000000e00000300000001006641800000a401000000000000",
    Twrite: "1900000076000003000000000000000000000002000000780a",
    Trenameat: "150000004a00000400000001006605000000010067",
    Tsetattr:
      "430000001a0000030000004100000080810000ffffffffffffffff000000000000000000000000000000000000000000" +
      "00000000000000000000000000000000000000",
    Tsymlink: "150000001000000200000001006c01006100000000",
    Tlink: "120000004600000200000003000000010068",
    Tmknod: "1e00000012000002000000010070a4110000000000000000000000000000",
    Tstatfs: "0b00000008000001000000",
    Tfsync: "0f0000003200000500000000000000",
    Tflush: "090000006c01000000",
    Tunlinkat: "120000004c00000200000001006700000000",
  },
  "9P2000.u": {
    Tversion: "1500000064ffff1800020008003950323030302e75",
    Tattach: "1d00000068000000000000ffffffff06006e6f626f64790000ffffffff",
    Tstat: "0b0000007c000000000000",
    Twalk: "110000006e000001000000020000000000",
    Topen: "0c0000007000000200000000",
    Tread: "1700000074000002000000000000000000000000000200",
    Tclunk: "0b00000078000003000000",
    Tcreate: "1500000072000002000000010064ed010080000000",
    Twrite: "1900000076000003000000000000000000000002000000780a",
    Twstat:
      "530000007e00000300000046004400ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" +
      "ffffffffffff0100670000000006006e6f626f64790000ffffffffffffffffffffffff",
    Tflush: "090000006c01000000",
    Tremove: "0b0000007a000004000000",
  },
  "9P2000": {
    Tversion: "1300000064ffff000002000600395032303030",
    Tattach: "1900000068000000000000ffffffff06006e6f626f64790000",
    Tstat: "0b0000007c000000000000",
    Twalk: "110000006e000000000000010000000000",
    Topen: "0c0000007000000100000000",
    Tread: "17000000740000010000000000000000000000e8ff0100",
    Tclunk: "0b00000078000002000000",
    Tcreate: "1300000072000001000000010064ed01008000",
    Twrite: "1900000076000002000000000000000000000002000000780a",
    Twstat:
      "450000007e00000200000038003600ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" +
      "ffffffffffff0100670000000006006e6f626f6479",
    Tflush: "090000006c01000000",
    Tremove: "0b0000007a000003000000",
  },
}

for (const [dialect, messages] of Object.entries(captured) as [Dialect, (typeof captured)[Dialect]][]) {
  for (const [type, hex] of Object.entries(messages)) {
    test(`${dialect} ${type} of a kernel is read, and written the same`, () => {
      const bytes = Buffer.from(hex, "hex")
      const message = decode(bytes, dialect, "T")
      assert.equal(message.type, type)
      assert.equal(Buffer.from(encode(message, dialect)).toString("hex"), hex)
    })
  }
}

function read<Type extends Request["type"]>(dialect: Dialect, type: Type): Extract<Request, { readonly type: Type }> {
  return decode(Buffer.from(captured[dialect][type] as string, "hex"), dialect, "T") as never
}

test("what the kernel meant is what is read", () => {
  assert.deepEqual(read("9P2000.L", "Tversion"), { type: "Tversion", tag: 65535, msize: 131096, version: "9P2000.L" })
  const attach = { type: "Tattach", tag: 0, fid: 0, afid: 0xffff_ffff, uname: "nobody", aname: "" }
  assert.deepEqual(read("9P2000.L", "Tattach"), { ...attach, nUname: 0xffff_ffff })
  assert.deepEqual(read("9P2000", "Tattach"), attach)
  const { name, flags, mode: newMode } = read("9P2000.L", "Tlcreate")
  assert.deepEqual([name, flags, newMode], ["f", 0o100101, 0o644])
  const { valid, mode, uid } = read("9P2000.L", "Tsetattr")
  assert.deepEqual([valid, mode, uid], [0x41, 0o100600, 0xffff_ffff])
  assert.equal(read("9P2000.L", "Txattrwalk").name, "security.selinux")
  assert.deepEqual(Array.from(read("9P2000.L", "Twrite").data), [0x78, 0x0a])
  assert.equal(read("9P2000.L", "Tfsync").datasync, 0)
  assert.equal(read("9P2000.L", "Trenameat").newname, "g")
  const { stat } = read("9P2000.u", "Twstat")
  assert.deepEqual([stat.name, stat.length, stat.mode, stat.extension], ["g", 2n ** 64n - 1n, 0xffff_ffff, ""])
  assert.equal(read("9P2000.u", "Tcreate").perm, 0x800001ed)
})
