// What a flag may ask of a client beside its id, by the names that constraints use. Pure.

/** `user`: who is logged in, by legacy's word (`legacy.identity`). A header is the client's own word. */
export type ContextProperty = 'user' | { readonly header: string };

export type ContextProperties = Readonly<Record<string, ContextProperty>>;

/** Unleash's own, which mean something else. */
const reserved = new Set([
  'userId',
  'sessionId',
  'remoteAddress',
  'environment',
  'appName',
  'currentTime',
  'properties',
]);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isHeader = (value: unknown): boolean =>
  isObject(value) &&
  typeof value.header === 'string' &&
  /^[a-z0-9!#$%&'*+.^_`|~-]{1,64}$/.test(value.header) &&
  !/^(cookie|authorization|banyan-.*)$/.test(value.header);

/** Every fault of a capability's `context`. @param hasIdentity whether anybody says who is logged in */
export function contextFaults(context: unknown, hasIdentity: boolean): string[] {
  if (context === undefined) return [];
  if (!isObject(context)) return ['context says what flags may ask of a client: { NAME: { header } }'];
  const faults: string[] = [];
  for (const [name, property] of Object.entries(context)) {
    if (!/^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(name) || reserved.has(name))
      faults.push(`context.${name} is no name for a property: letters and digits, and none of Unleash's own`);
    if (property === 'user') {
      if (!hasIdentity)
        faults.push(`context.${name} is the user, and legacy.identity does not say who is logged in`);
    } else if (!isHeader(property))
      faults.push(
        `context.${name} is neither 'user' nor { header: 'x-name' } in lower case (no credentials)`,
      );
  }
  if (Object.values(context).filter((property) => property === 'user').length > 1)
    faults.push('context has more than one name for the user');
  return faults;
}

/** The same, as it is needed with each request. */
export type ContextPlan = {
  readonly headers: readonly (readonly [name: string, header: string])[];
  /** The name of the property that is the user. */
  readonly user: string | undefined;
};

export function contextPlan(context: ContextProperties | undefined): ContextPlan | undefined {
  if (!context) return undefined;
  const all = Object.entries(context);
  return {
    headers: all.flatMap(([name, property]) =>
      property === 'user' ? [] : [[name, property.header] as const],
    ),
    user: all.find(([, property]) => property === 'user')?.[0],
  };
}
