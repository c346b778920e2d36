// A rule about a setting: the variable, when its value is a fault, why, and what to do. A variable that the server's
// dialect does not have is no fault.
import type { Finding, FindingCode, FindingServer, Severity } from './finding.ts';
import type { ServerFacts } from './server-facts.ts';

export type Rule = {
  readonly variable: string;
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly isFault: (value: string) => boolean;
  readonly why: string;
  readonly remedy: string;
};

export const isNot =
  (...wanted: readonly string[]) =>
  (value: string) =>
    !wanted.includes(value.toUpperCase());
export const is =
  (...unwanted: readonly string[]) =>
  (value: string) =>
    unwanted.includes(value.toUpperCase());
export const isOff = is('OFF', '0');
export const isBelow = (min: number) => (value: string) => Number(value) < min;

export const everywhere = (setting: string) =>
  `SET GLOBAL ${setting}, and the same in the server's configuration`;
export const reconnect = '; sessions that are open keep what they had until they connect again';

export function settingFindings(
  server: FindingServer,
  { variables }: ServerFacts,
  rules: readonly Rule[],
): Finding[] {
  return rules.flatMap(({ variable, code, severity, isFault, why, remedy }) => {
    const value = variables.get(variable);
    if (value === undefined || !isFault(value)) return [];
    const what = `${variable} is ${value === '' ? 'empty' : value}: ${why}`;
    return [{ code, severity, server, object: variable, what, remedy }];
  });
}
