// The latest that a server's clock can show now, by polls of it: when a write has been answered, its server had it at that
// time or before. The stream has passed the write once it has passed a heartbeat that was taken later by the same clock.
//
// A poll that was sent at local s, received at r and answered t bounds the clock from both sides: at s it showed at most t, at r
// at least t. The first bound is carried on by the local clock; the second one only shows that the server's has leapt ahead.
//
// Guaranteed while the server's clock is slewed (CHANGE-OF-OWNER, c): `latest` is never early. When it is stepped:
// - back: `latest` does not follow. Heartbeats of before the step carry times of then, and one of those must not count as later than
//   a write of now. Pins last longer by the step, and reads go to the owner meanwhile. A facade that is started after the step
//   knows nothing of it: there it takes until the stream has passed a heartbeat of after the step.
// - ahead: what is written until the next poll may be pinned too early by as much as the step. The next poll shows it, or hides
//   it in its own travelling time: then pins are too early by no more than that, for `heldMsMax` at the most.
// A local clock that stands still (a suspended machine) is the same as a server's that leaps ahead.

/** Two clocks that are slewed apart, each by the 500 ppm that a kernel allows. */
const driftPpm = 1_000;
/** What either side may have rounded. */
const roundingMicros = 1_000n;
/** No poll is believed for longer when there is a newer one. */
const heldMsMax = 5_000;

type Poll = { readonly sentMs: number; readonly serverMicros: bigint };

const latestBy = ({ sentMs, serverMicros }: Poll, nowMs: number): bigint =>
  serverMicros + roundingMicros + BigInt(Math.ceil((nowMs - sentMs) * (1_000 + driftPpm / 1_000)));

export class SourceClock {
  /** The one that bounds it most tightly. */
  #held: Poll | undefined;
  /** What it may have shown already. */
  #shown = 0n;

  /**
   * One poll.
   * @param sentMs, receivedMs local `performance.now()` before and after
   * @param serverMicros the server's clock as answered, microseconds since 1970
   */
  polled(sentMs: number, receivedMs: number, serverMicros: bigint): void {
    const poll = { sentMs, serverMicros };
    const held = this.#held;
    if (held) {
      const latest = latestBy(held, receivedMs);
      const isAged = receivedMs - held.sentMs > heldMsMax;
      const hasLeapt = serverMicros > latest;
      if (!isAged && !hasLeapt && latest < latestBy(poll, receivedMs)) return;
      if (latest > this.#shown) this.#shown = latest;
    }
    this.#held = poll;
  }

  /**
   * @param nowMs local `performance.now()`, not before the last poll was received
   * @returns microseconds since 1970; undefined before the first poll
   */
  latest(nowMs: number): bigint | undefined {
    if (!this.#held) return undefined;
    const latest = latestBy(this.#held, nowMs);
    return latest > this.#shown ? latest : this.#shown;
  }
}
