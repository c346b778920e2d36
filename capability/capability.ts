// What one declares of a capability in banyan.config.ts: everything Banyan cannot guess.
import type { HttpReadTranslator, HttpWriteTranslator, LegacyManner } from '../acl/http.ts';
import type { IdentityDeclaration } from '../acl/identity.ts';
import type { RowTranslator } from '../acl/translator.ts';
import type { AnalysisLimits } from './analysis.ts';
import type { ContextProperties } from './context.ts';
import type { GateLimits } from './gate.ts';
import type { UpstreamDeclaration } from './upstream.ts';

export type Side = 'legacy' | 'service';

export const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
export type Method = (typeof methods)[number];

/** Legacy says many errors in HTTP 200: what the route's own answer means. The body is parsed JSON, or text. */
export type IsError = (response: { readonly status: number; readonly body: unknown }) => boolean;

type RouteBase = {
  /** HEAD follows GET. */
  readonly method: Method;
  /** A legacy path: literal, with `:name` for one segment, or ending in `/*` for all below. */
  readonly path: string;
  readonly isError?: IsError;
  /** Requests of one client's address in so many milliseconds, at each replica; what is beyond gets 429. Without one there is no limit. */
  readonly rateLimit?: { readonly max: number; readonly perMs: number };
};

export type ReadRoute = RouteBase & {
  readonly kind: 'read';
  /** May be repeated or mirrored: it changes nothing, not even a view counter. */
  readonly safe: boolean;
  /** Legacy's answers may be kept for other clients, as legacy allows it (Cache-Control, Expires). By default nothing is kept. */
  readonly cache?: true;
  /** Other capabilities whose tables legacy reads there. Such a route stays on legacy. */
  readonly alsoReads?: readonly string[];
  /** Without one the route stays on legacy. */
  readonly translate?: HttpReadTranslator;
  /** How its answers are compared when it is mirrored. */
  readonly shadow?: ShadowRules;
};

/** Places are patterns, `$.list[*].viewCnt` (`.*` for any key), and mean all that is below, too. */
export type ShadowRules = {
  /** May differ. */
  readonly ignore?: readonly string[];
  /** Headers that must agree, beside content-type, cache-control and location. */
  readonly headers?: readonly string[];
  /** Personal data, keys below it as well: only its kind is ever said. */
  readonly redact?: readonly string[];
  /** Nobody's data: shown as it is in examples, where others show only their looks. `?name` shows a parameter of the query. */
  readonly show?: readonly string[];
};

export type WriteRoute = RouteBase & {
  readonly kind: 'write';
  /** Other capabilities whose tables legacy writes there: held with theirs, and a gate until it has a remedy. */
  readonly alsoWrites?: readonly string[];
  /** What becomes of those writes once a service owns the tables: in words, for the gate and for people. */
  readonly remedy?: string;
  /** Without one the capability cannot be owned by its service: a gate. */
  readonly translate?: HttpWriteTranslator;
};

export type Route = ReadRoute | WriteRoute;

/** Whether an answer says that the fence refused the write: it was not executed. The body is parsed JSON, or text. */
export type IsRefusal = IsError;

/** How the facade learns of legacy whose session a request belongs to. */
export type IdentityBridge = {
  /** The session's cookie. */
  readonly cookie: string;
  /** A legacy GET path that tells, asked with that cookie alone. */
  readonly path: string;
  /** @returns the user's id; undefined: nobody is logged in */
  userOf(answer: { readonly status: number; readonly body: unknown }): string | undefined;
  /** Requests after which a session may be another's, or nobody's: what is known of it is dropped. */
  readonly dropAt: readonly { readonly method: Method; readonly path: string }[];
};

export type Capability = {
  /** Lower-case letters, digits, hyphens: it names flags (`<name>.read`), rows and metrics. */
  readonly name: string;
  /** Who is called when it breaks. */
  readonly team: string;
  readonly routes: readonly Route[];
  /** Rows both ways, one translator a legacy table. */
  readonly tables: readonly (RowTranslator | IdentityDeclaration)[];
  /** Rows of data that stays in the monolith and that the service reads: legacy to service only. */
  readonly references: readonly RowTranslator[];
  readonly service: {
    /** A name in the configuration's upstreams. */
    readonly upstream: string;
    /** The service's schema on the services' server. */
    readonly database: string;
    readonly isRefusal?: IsRefusal;
  };
  /** Database users that write its tables because they are the application's own: any other is a gate. */
  readonly writers?: Readonly<Record<Side, readonly string[]>>;
  /** Where the usual limits of the gates are not this capability's. */
  readonly gates?: Partial<GateLimits>;
  /** What its read flag may ask of a client beside its id: for cohorts. */
  readonly context?: ContextProperties;
  /** Likewise of how the service is compared with legacy. */
  readonly analysis?: Partial<AnalysisLimits>;
};

export type BanyanConfig = {
  /** By name, where each is; `legacy` is the monolith. Options may point each elsewhere. */
  readonly upstreams: Readonly<Record<string, UpstreamDeclaration>> & {
    readonly legacy: UpstreamDeclaration;
  };
  readonly legacy: {
    /** The monolith's schema on the legacy server. */
    readonly database: string;
    readonly manner: LegacyManner;
    readonly identity?: IdentityBridge;
    /** Routes that stay in the monolith and touch the tables of a capability: their `alsoReads`, `alsoWrites`. */
    readonly routes?: readonly Route[];
  };
  /** Where "banyan shift" moves flags when the facades follow an Unleash (docs/flags.md). */
  readonly flags?: { readonly unleash: UnleashPlace };
  readonly capabilities: readonly Capability[];
};

/** Names of an Unleash; the environment is that of the facades' client token. */
export type UnleashPlace = { readonly project: string; readonly environment: string };

/** A read that may be mirrored to the other side: both must be able to answer it, and neither may change anything. */
export const isMirrored = (route: Route): route is ReadRoute =>
  route.kind === 'read' &&
  route.safe &&
  route.translate !== undefined &&
  (route.alsoReads === undefined || route.alsoReads.length === 0);

/** The flag that says which percentage of a capability's reads are mirrored. */
export const shadowFlag = (capability: string) => `${capability}.shadow`;

/** The flag that says which percentage of a capability's reads the service answers. */
export const readFlag = (capability: string) => `${capability}.read`;
