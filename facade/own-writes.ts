// A client reads its own writes: what it wrote last of each capability is a pin, and says which reads may leave the owner.
// Carried by a cookie, and by a table for those that keep none (on this replica).
import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Side } from '../capability/capability.ts';
import { withoutOwnCookies } from './identity.ts';

export type Pin = {
  readonly capability: string;
  /** Where it was written. */
  readonly side: Side;
  /** At which that side owned, as known when the answer had come. */
  readonly epoch: bigint;
  /** The latest that this side's server clock can have shown at the answer, microseconds since 1970. */
  readonly at: bigint;
};

/** What is known of the side that would be read. It may be old: what it says never becomes untrue. */
export type ReadSide = {
  /** Of ITS OWN fence row. The other's is ahead between close and open, and says nothing of what has arrived here. */
  readonly epoch: bigint;
  /** The newest heartbeat that the stream into it has passed, by the source's clock, in microseconds since 1970. */
  readonly passed: bigint | undefined;
};

/**
 * Whether a read of `to` sees the pinned write, w on side X at epoch n.
 * - `to` is behind n: X admits at n only after the other side's row says n, too (close comes before open). So this is not known yet:
 *   look at the fences first. A cookie may also be invented: the caller bounds how often it looks, and reads of X when in doubt.
 * - `to` is X: it has w.
 * - `to` is Y, at n: Y takes from X by the stream, in order. w had been committed when X's clock showed `at` or less, so a heartbeat
 *   taken later stands behind w in X's binlog. Strictly later: taken at the same microsecond it may stand before.
 * - `to` is Y, beyond n: Y's row goes beyond n in one way only, by the opening at n + 1, in the transaction that passes X's close row
 *   (CHANGE-OF-OWNER, R1). The close waited for every transaction that X admitted at n: w stands before it, and was applied
 *   before. Later changes take nothing away: at n + 2 X has what it had, and what Y accepted.
 */
export function isFresh(
  pin: Pin,
  to: Side,
  { epoch, passed }: ReadSide,
): 'fresh' | 'stale' | 'refresh-first' {
  if (epoch < pin.epoch) return 'refresh-first';
  if (to === pin.side || epoch > pin.epoch) return 'fresh';
  return passed !== undefined && passed > pin.at ? 'fresh' : 'stale';
}

/**
 * Who a client without cookies of ours is, by what it sends each time: a digest, never the value. Several behind one address look like
 * one; then more reads go to the owner than must.
 */
export function clientKeyOf(headers: IncomingHttpHeaders, address: string): string {
  const cookies = withoutOwnCookies(headers.cookie ?? '');
  const said = headers.authorization
    ? ['authorization', headers.authorization]
    : cookies
      ? ['cookie', cookies]
      : ['address', address, headers['user-agent'] ?? ''];
  return hash('sha256', said.join('\n'), 'base64url');
}

const name = 'banyan_pin';
/** So that the cookie stays below 2 kB. */
const pinsMax = 16;
/** capability.side.epoch.at, numbers of at most 20 digits as BIGINT UNSIGNED has them. */
const shape = /^([a-z0-9-]{1,64})\.([ls])\.(0|[1-9]\d{0,19})\.(0|[1-9]\d{0,19})$/;

const textOf = ({ capability, side, epoch, at }: Pin) =>
  `${capability}.${side === 'legacy' ? 'l' : 's'}.${epoch}.${at}`;

function parsePin(text: string): Pin | undefined {
  const [, capability, side, epoch, at] = shape.exec(text) ?? [];
  if (capability === undefined || epoch === undefined || at === undefined) return undefined;
  return { capability, side: side === 'l' ? 'legacy' : 'service', epoch: BigInt(epoch), at: BigInt(at) };
}

/** A value with anything in it that we do not write holds no pin. */
function pinsIn(cookieHeader: string | undefined): Pin[] {
  const pins: Pin[] = [];
  for (const pair of cookieHeader?.split(';') ?? []) {
    const said = pair.trim();
    if (!said.startsWith(`${name}=`)) continue;
    const parsed = said
      .slice(name.length + 1)
      .split('~', pinsMax + 1)
      .map(parsePin);
    const all = parsed.filter((pin) => pin !== undefined);
    if (all.length === parsed.length && all.length <= pinsMax) pins.push(...all);
  }
  return pins;
}

/** Times of two servers are not compared: at one epoch, of two sides, the first given stands. */
function newer(known: Pin, other: Pin): Pin {
  if (other.epoch !== known.epoch) return other.epoch > known.epoch ? other : known;
  return other.side === known.side && other.at > known.at ? other : known;
}

/** Of each capability the newest; those of the first given come first. */
function newestOf(pins: Iterable<Pin>): Map<string, Pin> {
  const newest = new Map<string, Pin>();
  for (const pin of pins) newest.set(pin.capability, newer(newest.get(pin.capability) ?? pin, pin));
  return newest;
}

const nothing: readonly Pin[] = [];

type Remembered = { readonly pins: readonly Pin[]; readonly untilMs: number };

export class OwnWrites {
  readonly #limits: { readonly clientsMax: number; readonly pinMsMax: number };
  readonly #nowMs: () => number;
  /** In the order of their last write, which is the order in which they end. */
  readonly #clients = new Map<string, Remembered>();

  /** @param nowMs a clock that never goes back */
  constructor(
    limits: { readonly clientsMax: number; readonly pinMsMax: number },
    nowMs = () => performance.now(),
  ) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** Remembers the pin. @returns the value of Set-Cookie, which carries every pin of this client */
  wrote(clientKey: string, cookieHeader: string | undefined, pin: Pin, proto: 'http' | 'https'): string {
    const { clientsMax, pinMsMax } = this.#limits;
    const nowMs = this.#nowMs();
    // What a client says stays out of the table: its key may be another's, too.
    const pins = newestOf([pin, ...this.#pinsOf(clientKey)]);
    this.#clients.delete(clientKey);
    this.#clients.set(clientKey, { pins: [...pins.values()], untilMs: nowMs + pinMsMax });
    for (const [key, { untilMs }] of this.#clients) {
      if (untilMs > nowMs && this.#clients.size <= clientsMax) break;
      this.#clients.delete(key);
    }
    const carried = [...newestOf([...pins.values(), ...pinsIn(cookieHeader)]).values()].slice(0, pinsMax);
    return `${name}=${carried.map(textOf).join('~')}; Path=/; Max-Age=${Math.ceil(pinMsMax / 1_000)}; HttpOnly; SameSite=Lax${proto === 'https' ? '; Secure' : ''}`;
  }

  /** The newest pin of the capability, from the cookie or the table. */
  pinOf(clientKey: string, cookieHeader: string | undefined, capability: string): Pin | undefined {
    const known = this.#pinsOf(clientKey);
    // Most clients have written nothing lately.
    if (known.length === 0 && cookieHeader?.includes(name) !== true) return undefined;
    return newestOf([...known, ...pinsIn(cookieHeader)]).get(capability);
  }

  #pinsOf(clientKey: string): readonly Pin[] {
    const remembered = this.#clients.get(clientKey);
    return remembered && remembered.untilMs > this.#nowMs() ? remembered.pins : nothing;
  }
}
