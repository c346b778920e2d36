// What one declares of a capability in banyan.config.ts: everything Banyan cannot guess.
import type { HttpReadTranslator, LegacyManner } from '../acl/http.ts';
import type { IdentityDeclaration } from '../acl/identity.ts';
import type { RowTranslator } from '../acl/translator.ts';

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
};

export type ReadRoute = RouteBase & {
  readonly kind: 'read';
  /** May be repeated or mirrored: it changes nothing, not even a view counter. */
  readonly safe: boolean;
  /** Other capabilities whose tables legacy reads there. Such a route stays on legacy. */
  readonly alsoReads?: readonly string[];
  /** Without one the route stays on legacy. */
  readonly translate?: HttpReadTranslator;
};

export type WriteRoute = RouteBase & {
  readonly kind: 'write';
  /** Other capabilities whose tables legacy writes there: held with theirs, and a gate until each has a remedy. */
  readonly alsoWrites?: readonly string[];
};

export type Route = ReadRoute | WriteRoute;

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
  };
};

export type BanyanConfig = {
  /** Origins by name; `legacy` is the monolith. Options may point each elsewhere. */
  readonly upstreams: Readonly<Record<string, string>> & { readonly legacy: string };
  readonly legacy: {
    /** The monolith's schema on the legacy server. */
    readonly database: string;
    readonly manner: LegacyManner;
    /** Routes that stay in the monolith and touch the tables of a capability: their `alsoReads`, `alsoWrites`. */
    readonly routes?: readonly Route[];
  };
  readonly capabilities: readonly Capability[];
};

/** The flag that says which percentage of a capability's reads the service answers. */
export const readFlag = (capability: string) => `${capability}.read`;
