// docs/metrics.md as data, and what a process prints at /metrics, held against it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BanyanConfig } from '../../capability/capability.ts';

type Labels = ReadonlyMap<string, (value: string) => boolean>;

const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'metrics.md'), 'utf8');

const cellsOf = (line: string) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
const namesIn = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);

/** The sets that the page gives by words. */
function knownLabels({
  capabilities,
  upstreams,
  legacy,
}: BanyanConfig): Map<string, (value: string) => boolean> {
  const capability = new Set(['none', ...capabilities.flatMap(({ name }) => [name, `${name}+references`])]);
  const routes = new Set(
    [...capabilities.flatMap((each) => each.routes), ...(legacy.routes ?? [])].map(
      ({ method, path }) => `${method} ${path}`,
    ),
  );
  return new Map<string, (value: string) => boolean>([
    ['capability', (value) => capability.has(value)],
    ['upstream', (value) => value in upstreams],
    ['instance', (value) => /^\d{1,2}$/.test(value)],
    ['route', (value) => routes.has(value)],
    ['status', (value) => /^[1-5]xx$/.test(value)],
    ['le', (value) => value === '+Inf' || Number(value) > 0],
  ]);
}

/** By the metric's name: its labels, and which values each may have. */
function documented(config: BanyanConfig): Map<string, Labels> {
  const known = knownLabels(config);
  const metrics = new Map<string, Labels>();
  for (const line of page.split('\n').filter((each) => each.startsWith('| `'))) {
    const [first = '', second = ''] = cellsOf(line);
    const names = namesIn(first);
    if (!names[0]?.startsWith('banyan_')) {
      for (const name of names)
        if (!known.has(name)) {
          const values = new Set(namesIn(second));
          known.set(name, (value) => values.has(value));
        }
      continue;
    }
    const labels = new Map<string, (value: string) => boolean>();
    // A comma before a name, and not before a value in its quotes, begins another label.
    for (const part of second === '' ? [] : second.split(/,\s*(?=[a-z])/)) {
      const [name = '', values] = part.split(/:\s*/, 2);
      const own = new Set(namesIn(values ?? ''));
      const isKnown = values === undefined ? known.get(name) : (value: string) => own.has(value);
      if (!isKnown) throw new Error(`docs/metrics.md: ${names[0]} has a label "${name}" without values`);
      labels.set(name, isKnown);
    }
    metrics.set(names[0], labels);
  }
  return metrics;
}

/**
 * @param prefix of the process's metrics, such as banyan_worker_
 * @returns what the page and the process say differently
 */
export function faultsOf(printed: string, prefix: string, config: BanyanConfig): string[] {
  const metrics = documented(config);
  const faults: string[] = [];
  const seen = new Set([...printed.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name));
  for (const name of seen) if (!metrics.has(name)) faults.push(`${name} is not documented`);
  for (const name of metrics.keys())
    if (name.startsWith(prefix) && !seen.has(name)) faults.push(`${name} is documented, and not there`);
  for (const [, sample = '', list = ''] of printed.matchAll(/^([a-z_]+)(?:\{(.*)\})? \S+$/gm)) {
    const name = seen.has(sample) ? sample : sample.replace(/_(?:bucket|sum|count)$/, '');
    for (const [, label = '', value = ''] of list.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      const isKnown = metrics.get(name)?.get(label);
      if (!isKnown) faults.push(`${name}: the label ${label} is not documented`);
      else if (!isKnown(value)) faults.push(`${name}: ${label}="${value}" is not documented`);
    }
  }
  return [...new Set(faults)];
}
