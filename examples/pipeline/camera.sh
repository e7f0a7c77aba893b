#!/bin/sh
# A camera: `camera.sh COUNT` writes so many frames, each a line of a number and 4,000 digits, 80 × 50 of brightness. In front
# of noise a bright spot goes round, once in 100 frames. Every 100th frame is blind when BLIND is set: it has no spot.

exec awk -v count="${1:?usage: camera.sh COUNT}" -v blind="${BLIND:-}" 'BEGIN {
  for (frame = 1; frame <= count; frame++) {
    x = 40 + 30 * cos(frame * 0.0628318530718)
    y = 25 + 18 * sin(frame * 0.0628318530718)
    pixels = ""
    for (row = 0; row < 50; row++) {
      for (column = 0; column < 80; column++) {
        near = (column - x) ^ 2 + (row - y) ^ 2 < 4
        pixels = pixels (near && !(blind && frame % 100 == 0) ? 9 : int(3 * rand()))
      }
    }
    print frame, pixels
    fflush()
  }
}'
