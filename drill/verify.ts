// `banyan verify`, as a user runs it, and what it says.
import { capabilities, type Sides } from './sides.ts';

export type Verified = {
  readonly differences: number;
  /** Empty when it is clean. */
  readonly reasons: readonly string[];
};

const found = ['missing', 'extra', 'different', 'roundTrip', 'quarantined'];
/** Rows that changed at every look are no fault while writers write, and one when nobody does. */
const foundStill = [...found, 'unproven'];

function countIn(said: unknown, name: string): number {
  if (typeof said !== 'object' || said === null || !(name in said)) return Number.NaN;
  return Number(Reflect.get(said, name));
}

async function verifyOne(
  sides: Pick<Sides, 'banyan'>,
  capability: string,
  names: readonly string[],
): Promise<Verified> {
  const { code, stdout, stderr } = await sides.banyan('verify', capability);
  const failed = {
    differences: 0,
    reasons: [`banyan verify ${capability} ended with ${code}: ${stdout}${stderr}`],
  };
  if (!stdout.startsWith('{')) return failed;
  const said: unknown = JSON.parse(stdout);
  const differences = names.reduce((sum, name) => sum + countIn(said, name), 0);
  if (Number.isNaN(differences)) return failed;
  // While it is live, rows that are not proven end it with 1.
  const isClean = differences === 0 && (code === 0 || (names === found && countIn(said, 'unproven') > 0));
  return isClean ? { differences, reasons: [] } : { ...failed, differences };
}

/** All capabilities. @param when `live`: while writers write */
export async function verify(sides: Pick<Sides, 'banyan'>, when: 'live' | 'still'): Promise<Verified> {
  const all = await Promise.all(
    capabilities.map((capability) => verifyOne(sides, capability, when === 'live' ? found : foundStill)),
  );
  return {
    differences: all.reduce((sum, { differences }) => sum + differences, 0),
    reasons: all.flatMap(({ reasons }) => reasons),
  };
}
