// A client reads its own writes: pins are made here when a write has been answered, and looked at when it reads. What a pin means is in
// own-writes.ts.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Side } from '../capability/capability.ts';
import type { Standing } from '../capability/phase.ts';
import type { Origin } from './headers.ts';
import { idFrom } from './identity.ts';
import { clientKeyOf, isFresh, type OwnWrites, type Pin } from './own-writes.ts';
import type { SideView } from './side-view.ts';

export type Client = { readonly request: IncomingMessage; readonly origin: Origin };

export type PinDeps = {
  readonly view: Pick<SideView, 'owner' | 'side' | 'latest' | 'refresh'>;
  readonly ownWrites: OwnWrites;
  readonly standing: (capability: string) => Standing | undefined;
};

export type Pins = {
  /**
   * The client has written, or may have, and the answer has just come.
   * @param capabilities of them, those that `side` owns
   * @returns the value of Set-Cookie, or undefined when there is nothing to remember
   */
  wrote(client: Client, capabilities: readonly string[], side: Side): string | undefined;
  /** What the client wrote last, of a capability that moves. */
  pinOf(client: Client, capability: string): Pin | undefined;
  /** Whether a read of that side sees it. */
  judge(pin: Pin, to: Side): ReturnType<typeof isFresh>;
  /** Looks at the fences; many clients share a look. */
  refresh(): Promise<void>;
  /** @returns false when it does not come to be fresh within `msMax`, or the reader has left */
  untilFresh(pin: Pin, to: Side, msMax: number, reader: ServerResponse): Promise<boolean>;
};

export function createPins({ view, ownWrites, standing }: PinDeps): Pins {
  /** Before a capability has moved at all, legacy is the only one who is read. */
  const moves = (capability: string) => {
    const phase = standing(capability)?.phase;
    return (phase !== undefined && phase !== 'legacy') || view.owner(capability)?.side === 'service';
  };
  /** Who brings an id of ours is one client, whoever shares its address. */
  const keyOf = ({ request: { headers }, origin }: Client) =>
    idFrom(headers.cookie) ?? clientKeyOf(headers, origin.forwardedFor);
  const judge = (pin: Pin, to: Side) => isFresh(pin, to, view.side(pin.capability, to));

  return {
    wrote(client, capabilities, side) {
      let cookie: string | undefined;
      for (const capability of capabilities) {
        const owner = view.owner(capability);
        const at = view.latest(side);
        if (owner?.side !== side || at === undefined || !moves(capability)) continue;
        const pin = { capability, side, epoch: owner.epoch, at };
        cookie = ownWrites.wrote(keyOf(client), client.request.headers.cookie, pin, client.origin.proto);
      }
      return cookie;
    },
    pinOf: (client, capability) =>
      moves(capability)
        ? ownWrites.pinOf(keyOf(client), client.request.headers.cookie, capability)
        : undefined,
    judge,
    refresh: view.refresh,
    async untilFresh(pin, to, msMax, reader) {
      const end = performance.now() + msMax;
      while (judge(pin, to) !== 'fresh') {
        if (performance.now() >= end || reader.destroyed) return false;
        await view.refresh();
      }
      return true;
    },
  };
}

/** Without a control store nothing has moved. */
export const noPins: Pins = {
  wrote: () => undefined,
  pinOf: () => undefined,
  judge: () => 'fresh',
  refresh: async () => {},
  untilFresh: async () => true,
};
