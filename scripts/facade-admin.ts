// What the CLI asks of running facades, over their admin listeners.
import type { Declaration, Values } from '../capability/options.ts';
import { readStack } from './stack.ts';

export const adminOptions = {
  adminUrl: {
    type: 'url',
    env: 'BANYAN_ADMIN_URL',
    help: 'A facade\'s admin listener; by default that of the stack that "npm start" runs.',
  },
  adminToken: { type: 'text', env: 'BANYAN_ADMIN_TOKEN', secret: true, help: 'Its token.' },
  flags: { type: 'text', env: 'BANYAN_FLAGS', help: 'The embedded flag file that the facades watch.' },
  unleashUrl: {
    type: 'url',
    env: 'UNLEASH_URL',
    help: 'The API of the Unleash that the facades follow instead of a flag file, as in http://unleash:4242/api.',
  },
  unleashAdminToken: {
    type: 'text',
    env: 'UNLEASH_ADMIN_TOKEN',
    secret: true,
    help: 'Of that Unleash, to move flags: of a service account, a person, or an admin token.',
  },
} as const satisfies Declaration;

export type AdminValues = Values<typeof adminOptions> & { readonly folder: string };

/** Of `/api/status`, what the CLI looks at (docs/facade.md has all of it). */
export type CapabilityOnFacade = {
  readonly name: string;
  readonly proposedPercent: number | null;
  readonly effectivePercent: number | null;
  readonly interlock: { readonly open: boolean; readonly why: string | null };
  readonly readsLastMinute: { readonly legacy: number; readonly service: number };
  /** Those that the flag, or the owner, decided. */
  readonly unpinnedReadsLastMinute: { readonly legacy: number; readonly service: number };
  readonly fallbacksLastMinute: number;
  /** Of its reads, those that are mirrored; null when that is no single percentage. */
  readonly shadowPercent: number | null;
};

export type UpstreamOnFacade = {
  readonly name: string;
  readonly breaker: {
    readonly state: 'closed' | 'open' | 'half-open';
    readonly why: string | null;
    readonly openMsLeft: number;
  };
  readonly inFlight: number;
  readonly waiting: number;
  readonly fault: string | null;
  readonly instances: readonly {
    readonly origin: string;
    readonly up: boolean;
    readonly healthy: boolean | null;
    readonly ejectedMs: number;
    readonly leaving: boolean;
  }[];
};

export type FlagsOnFacade = {
  /** Why the newest flags are not in force. */
  readonly fault: string | null;
  /** How often they are asked for; null for a file, which is watched. */
  readonly pollMs: number | null;
};

export type FacadeStatus =
  | {
      readonly url: string;
      readonly reachable: true;
      readonly capabilities: readonly CapabilityOnFacade[];
      readonly upstreams: readonly UpstreamOnFacade[];
      readonly flags: FlagsOnFacade;
    }
  | { readonly url: string; readonly reachable: false; readonly error: string };

/** @returns undefined when no facade is known */
export async function facadeStatus(values: AdminValues): Promise<FacadeStatus | undefined> {
  const stack = readStack(values.folder);
  const url = values.adminUrl ?? stack?.admin;
  const token = adminToken(values);
  return url && token ? statusAt(url, token) : undefined;
}

/** The token of the facades' admin listeners: one for all of them. */
export const adminToken = (values: AdminValues): string | undefined =>
  values.adminToken ?? readStack(values.folder)?.token;

/** One that is alive may have much to do. */
const answerMsMax = 5_000;

/** @param url of a facade's admin listener */
export async function statusAt(url: string, token: string): Promise<FacadeStatus> {
  try {
    const response = await fetch(new URL('/api/status', url), {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(answerMsMax),
    });
    if (!response.ok) return { url, reachable: false, error: `it answered ${response.status}` };
    const body = (await response.json()) as {
      capabilities: readonly CapabilityOnFacade[];
      upstreams: readonly UpstreamOnFacade[];
      flags: FlagsOnFacade;
    };
    return {
      url,
      reachable: true,
      capabilities: body.capabilities,
      upstreams: body.upstreams,
      flags: body.flags,
    };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return { url, reachable: false, error: cause instanceof Error ? cause.message : String(cause) };
  }
}

/** The flag file: as given, else the running stack's. */
export const flagFile = (values: AdminValues): string | undefined =>
  values.flags ?? readStack(values.folder)?.flags;

/** What a facade says of one capability. */
export const onFacade = (
  status: FacadeStatus | undefined,
  capability: string,
): CapabilityOnFacade | undefined =>
  status?.reachable ? status.capabilities.find(({ name }) => name === capability) : undefined;
