import { once } from 'node:events';
import { hostname } from 'node:os';
import type { ConnectionOptions } from 'mysql2';
import type { Side } from '../capability/capability.ts';
import { record } from '../capability/control-store.ts';
import { createLog } from '../capability/log.ts';
import { heard } from '../sync/silence.ts';
import { readSession } from '../sync/source-columns.ts';
import { acknowledgeStop } from '../sync/stops.ts';
import { referencesOf } from '../sync/stream-plan.ts';
import { startWorker } from '../sync/worker.ts';
import { serveWorker } from '../sync/worker-http.ts';
import {
  accountUrl,
  actingOptions,
  actorOf,
  CommandError,
  capabilityNamed,
  command,
  configOf,
  connectAs,
  connectionOptions,
} from './command.ts';

const serverOf = (side: Side) => (side === 'legacy' ? 'legacy' : 'services');

export const workerCommand = command({
  name: 'worker',
  words: '[--acknowledge CAPABILITY]',
  summary: 'Runs the change stream: both directions of every capability, backfills, reference tables.',
  help: `
One worker at a time runs a capability; start a second anywhere, and it takes over within six seconds when the first
is gone. Kill it at any moment: it goes on from where the target is. A stream that must not go on by itself (DDL on a
captured table, a row the target refuses, …) stops exactly there and says what to do ("banyan status"); then
  banyan worker --acknowledge reviews
lets the running worker go on: past a DDL statement, or again at what was mended.
When it listens it prints one line, {"listening":URL}; /healthz, /metrics and /api/status are there.`,
  options: {
    ...actingOptions,
    acknowledge: { type: 'text', help: 'A capability whose stopped streams may go on; starts no worker.' },
    port: {
      type: 'port',
      default: 8085,
      env: 'BANYAN_WORKER_PORT',
      help: 'Health, metrics and status; 0 for any free one.',
    },
    host: {
      type: 'text',
      default: '127.0.0.1',
      env: 'BANYAN_WORKER_HOST',
      help: 'The address of that listener.',
    },
    heartbeatMs: {
      type: 'integer',
      default: 250,
      min: 10,
      max: 60_000,
      help: 'How often a heartbeat is written to each side.',
    },
    chunkRows: {
      type: 'integer',
      default: 5_000,
      min: 1,
      max: 50_000,
      help: 'Rows of a backfill read and written at a time.',
    },
    quarantineDays: {
      type: 'integer',
      default: 30,
      min: 0,
      max: 36_500,
      help: "How long a refused row's image is kept, which may be personal; its key and the reason stay.",
    },
    niceRatio: {
      type: 'number',
      default: 0,
      min: 0,
      max: 100,
      help: 'Rest after each chunk of a backfill, as a multiple of the time it took.',
    },
    lagMsMax: {
      type: 'integer',
      default: 5_000,
      min: 1,
      help: 'A backfill waits while the target is further behind.',
    },
    threadsRunningMax: {
      type: 'integer',
      default: 50,
      min: 1,
      help: 'A backfill waits while more threads of the legacy server run.',
    },
    traceUrl: {
      type: 'url',
      env: 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
      help: 'A collector of traces (OTLP over HTTP), such as http://127.0.0.1:4318/v1/traces; without one nothing is traced.',
    },
    logLevel: {
      type: 'text',
      default: 'info',
      env: 'BANYAN_LOG_LEVEL',
      help: 'trace, debug, info, warn, error or fatal.',
    },
  },
  async run({ values, words, output }) {
    const config = await configOf(values);
    if (values.acknowledge !== undefined) {
      const { name } = capabilityNamed(config, [values.acknowledge]);
      const actor = actorOf(values.actor);
      const acknowledged: string[] = [];
      for (const side of ['legacy', 'service'] as const) {
        const sql = await connectAs(serverOf(side), 'banyan_cli', values);
        acknowledged.push(...(await acknowledgeStop(sql, [name, referencesOf(name)], actor)));
        sql.destroy();
      }
      for (const message of acknowledged) output.say(`acknowledged: ${message}`);
      if (acknowledged.length === 0) output.say(`no stream of ${name} has stopped`);
      return { result: { acknowledged } };
    }
    if (words.length > 0)
      throw new CommandError(`a worker takes options only: what is "${words.join(' ')}"?`, { exitCode: 2 });
    const log = createLog(values.logLevel);
    const spans =
      values.traceUrl === undefined
        ? undefined
        : // Loaded by who traces only.
          (await import('../capability/otlp.ts')).openSpanSink(values.traceUrl, 'banyan-worker', log);
    const account = (role: 'read' | 'apply') => (role === 'read' ? 'banyan_read' : 'banyan_apply');
    const worker = startWorker({
      config,
      connection: (side, role): ConnectionOptions =>
        connectionOptions(accountUrl(serverOf(side), account(role), values)),
      connect: async (side, role) => {
        const connect = () => connectAs(serverOf(side), account(role), values, { multipleStatements: true });
        const sql = heard(await connect(), connect);
        await sql.query(readSession);
        return sql;
      },
      log,
      spans,
      heartbeatMs: values.heartbeatMs,
      chunkRows: values.chunkRows,
      niceRatio: values.niceRatio,
      quarantineDays: values.quarantineDays,
      lagMsMax: values.lagMsMax,
      threadsRunningMax: values.threadsRunningMax,
      audit: async (capability, action, detail) => {
        const control = await connectAs('control', 'banyan_apply', values);
        try {
          await record(control, capability, { actor: `worker@${hostname()}`, action, detail });
        } finally {
          control.destroy();
        }
      },
    });
    const http = await serveWorker(worker, values.host, values.port, spans).catch((error: Error) => {
      throw new CommandError(
        `the worker cannot listen on ${values.host}:${values.port}: ${error.message}. Choose another with --port`,
        { cause: error },
      );
    });
    console.log(JSON.stringify({ listening: http.url }));
    await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT'), worker.done]);
    await worker.stop();
    await http.stop();
    await spans?.stop();
    return { result: {} };
  },
});
