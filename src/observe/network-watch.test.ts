import assert from "node:assert/strict"
import { isIP } from "node:net"
import { test } from "node:test"
import { FakeClock } from "../../test/kit/fake-clock.ts"
import { machineAddresses, watchNetwork } from "./network-watch.ts"

function watched(start: readonly string[]) {
  const clock = new FakeClock()
  const heard: string[] = []
  let addresses = start
  const stop = watchNetwork({ clock, addresses: () => addresses, onChange: (reason) => heard.push(reason) })
  return { clock, heard, stop, become: (next: readonly string[]) => (addresses = next) }
}

test("an address that goes or comes is told once, within a second", () => {
  const { clock, heard, stop, become } = watched(["10.0.0.2 of eth0"])
  clock.advance(5_000)
  assert.deepEqual(heard, [])
  become([])
  clock.advance(1_000)
  assert.deepEqual(heard.splice(0), ["the address 10.0.0.2 of eth0 is gone"])
  become(["10.9.0.7 of wlan0"])
  clock.advance(3_000)
  assert.deepEqual(heard.splice(0), ["there is a new address, 10.9.0.7 of wlan0"])
  become(["10.9.0.8 of wlan0"])
  clock.advance(3_000)
  assert.deepEqual(heard, ["the address 10.9.0.7 of wlan0 is gone"])
  stop()
  assert.equal(clock.pending, 0)
})

test("a machine that slept is told of, a busy process is not", () => {
  const { clock, heard, stop } = watched(["10.0.0.2 of eth0"])
  clock.freeze(4_000)
  clock.advance(2_000)
  assert.deepEqual(heard, [])
  clock.freeze(60_000)
  assert.deepEqual(heard, ["the machine slept for 59 s"])
  stop()
})

test("the machine's own addresses are read, without loopback", () => {
  for (const entry of machineAddresses()) {
    const [address] = entry.split(" ")
    assert.ok(isIP(address as string) > 0)
    assert.notEqual(address, "127.0.0.1")
  }
})
