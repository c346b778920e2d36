// What a flag may ask of a client beside its id: what its headers say, and who is logged in by legacy's word.
import type { IncomingHttpHeaders } from 'node:http';
import type { ContextPlan } from '../capability/context.ts';
import type { Flags } from './flags.ts';
import { cookiesCalled } from './identity.ts';
import type { Identities } from './identity-bridge.ts';
import type { Passage } from './passage.ts';

export type Properties = Readonly<Record<string, string>>;

/** A longer value is nobody's cohort. */
const charactersMax = 200;

export function propertiesOf({ headers }: ContextPlan, given: IncomingHttpHeaders): Properties | undefined {
  let found: Record<string, string> | undefined;
  for (const [name, header] of headers) {
    const value = given[header];
    if (typeof value !== 'string' || value.length > charactersMax) continue;
    found ??= {};
    found[name] = value;
  }
  return found;
}

export type NamedUserDeps = {
  /** The cookie of legacy's session; undefined where nobody says whose it is. */
  readonly sessionCookie: string | undefined;
  readonly identities: Pick<Identities, 'userOf'> | undefined;
  readonly flags: Pick<Flags, 'asksFor'>;
};

/** Whether the flag must know who is logged in, and who that is. */
export type NamedUser = (
  passage: Passage,
  cookieHeader: string | undefined,
) => Promise<Properties | undefined> | undefined;

/**
 * Legacy is asked only for a client with a session, and only while the flag has a constraint on who it is; the answer is kept for
 * seconds. Where legacy cannot say, nobody is logged in.
 */
export const createNamedUser =
  ({ sessionCookie, identities, flags }: NamedUserDeps): NamedUser =>
  ({ match, choice, properties }, cookieHeader) => {
    const name = match?.context?.user;
    const flag = match?.flag;
    if (name === undefined || flag === undefined || !identities || sessionCookie === undefined)
      return undefined;
    if (choice.reason !== 'flag-off' && choice.reason !== 'flag-on') return undefined;
    if (!flags.asksFor(flag, name)) return undefined;
    if (cookiesCalled(sessionCookie, cookieHeader) === undefined) return undefined;
    return identities.userOf(cookieHeader).then(
      (user) => (user === undefined ? properties : { ...properties, [name]: user }),
      () => properties,
    );
  };
