/** A tree of channels on a clock that stands still. */

import { SeededRandom } from "../../src/base/random.ts"
import { ChannelTree } from "../../src/capabilities/channels/files/channel-tree.ts"
import type { Identify } from "../../src/capabilities/channels/files/identity.ts"
import type { ChannelSettings } from "../../src/capabilities/channels/core/settings.ts"
import { Space } from "../../src/capabilities/channels/core/space.ts"
import type { SpaceLimits } from "../../src/capabilities/channels/core/space.ts"
import type { Node } from "../../src/ninep/tree.ts"
import { FakeClock } from "./fake-clock.ts"
import { OpenFile } from "./open-file.ts"

export interface ChannelFilesOptions {
  readonly defaults?: Partial<ChannelSettings>
  readonly limits?: Partial<SpaceLimits>
  readonly identify?: Identify
}

export class ChannelFiles {
  readonly clock: FakeClock
  readonly space: Space
  readonly tree: ChannelTree
  readonly root: Node

  private constructor(space: Space, clock: FakeClock, tree: ChannelTree, root: Node) {
    this.space = space
    this.clock = clock
    this.tree = tree
    this.root = root
  }

  static async make({ identify, ...options }: ChannelFilesOptions = {}): Promise<ChannelFiles> {
    const clock = new FakeClock()
    const space = new Space({ clock, random: new SeededRandom(1), ...options })
    const tree = new ChannelTree({ space, ...(identify === undefined ? {} : { identify }) })
    const root = await tree.attach({ user: { name: "ann", uid: 1000 }, aname: "" })
    return new ChannelFiles(space, clock, tree, root)
  }

  open(path: string, how: "r" | "w" | "rw" = "r", most?: number): Promise<OpenFile> {
    return OpenFile.open(this.root, path, how, most)
  }

  /** `cat`: to the end of the file. */
  async text(path: string): Promise<string> {
    const file = await this.open(path)
    let text = ""
    for (let part = await file.read(); part !== ""; part = await file.read()) text += part
    await file.close()
    return text
  }

  /** `echo text > path`, without the newline. */
  async write(path: string, text: string): Promise<void> {
    const file = await this.open(path, "w")
    try {
      await file.write(text)
    } finally {
      await file.close()
    }
  }
}
