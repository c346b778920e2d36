// What the facade is at present, as a scrape shows it: status.ts sets each of them when somebody asks.
import { Gauge, type Registry } from 'prom-client';

export type Gauges = ReturnType<typeof createGauges>;

export function createGauges(registry: Registry) {
  const gauge = <Label extends string>(name: string, labelNames: readonly Label[], help: string) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const gauges = {
    proposedPercent: gauge(
      'banyan_facade_flag_proposed_percent',
      ['capability'],
      'What the read flag asks for; absent when it is no single percentage.',
    ),
    effectivePercent: gauge(
      'banyan_facade_flag_effective_percent',
      ['capability'],
      'What the interlock lets through of it; 100 once the service owns.',
    ),
    interlockOpen: gauge(
      'banyan_facade_interlock_open',
      ['capability'],
      '1 when evidence permits reads from the service.',
    ),
    shadowPercent: gauge(
      'banyan_facade_shadow_percent',
      ['capability'],
      'Of its reads, those that are mirrored; absent when it is no single percentage.',
    ),
    parity: gauge(
      'banyan_facade_parity_ratio',
      ['capability'],
      'Of the mirrored reads of the last hour, those that both sides answer alike; absent without any.',
    ),
    readsReturned: gauge(
      'banyan_facade_reads_returned',
      ['capability'],
      '1 when its reads have gone back to legacy by themselves, until somebody moves them again.',
    ),
    flagsValid: gauge('banyan_facade_flags_valid', [], '1 when the newest flags are in force.'),
    flagsAge: gauge(
      'banyan_facade_flags_age_seconds',
      [],
      'Since an Unleash confirmed the flags in force; absent with a flag file, and until there are any.',
    ),
    flagsWarnings: gauge(
      'banyan_facade_flags_warnings',
      [],
      'What of the flags means something else here than it seems; /api/status says what.',
    ),
    controlAge: gauge(
      'banyan_facade_control_store_age_seconds',
      [],
      'Since the control store was read; absent when it never was.',
    ),
    controlConnected: gauge(
      'banyan_facade_control_store_connected',
      [],
      '1 when the last read of the control store succeeded.',
    ),
    phase: gauge(
      'banyan_facade_phase',
      ['capability', 'phase'],
      '1 for the phase of a capability, by the control store.',
    ),
    owner: gauge('banyan_facade_owner', ['capability', 'side'], '1 for the side that owns, by the fences.'),
    epoch: gauge(
      'banyan_facade_owner_epoch',
      ['capability'],
      'How often the owner has changed, by the fences.',
    ),
    writesState: gauge(
      'banyan_facade_writes_state',
      ['capability', 'state'],
      '1 for what is done with writes: asking, holding, sending.',
    ),
    writesInFlight: gauge('banyan_facade_writes_in_flight', ['capability'], 'Writes sent and not yet over.'),
    writesHeld: gauge('banyan_facade_writes_held', ['capability'], 'Writes that wait now.'),
    sideReachable: gauge('banyan_facade_side_reachable', ['side'], '1 when its fences were read last time.'),
    registered: gauge('banyan_facade_registered', [], '1 when the registry of replicas has this one.'),
    breakerState: gauge(
      'banyan_facade_breaker_state',
      ['upstream'],
      '0: closed, requests pass; 1: half open, a few probe; 2: open, none is sent.',
    ),
    instanceUp: gauge(
      'banyan_facade_instance_up',
      ['upstream', 'instance'],
      '1 when an instance gets requests; 0 when it is left out for its failures or its health checks.',
    ),
    instanceInFlight: gauge(
      'banyan_facade_instance_in_flight',
      ['upstream', 'instance'],
      'Requests under way at an instance.',
    ),
    upstreamWaiting: gauge(
      'banyan_facade_upstream_waiting',
      ['upstream'],
      'Requests that wait for room at an upstream.',
    ),
    instancesValid: gauge(
      'banyan_facade_instances_valid',
      ['upstream'],
      '0 when the instances of an upstream could not be had last time, from its file or DNS.',
    ),
    websockets: gauge('banyan_facade_websockets_open', [], 'Tunnels that are open or being opened.'),
  };
  // Those without labels begin with a 0 of prom-client's; of an age it would say that it is fresh.
  gauges.flagsAge.remove();
  gauges.controlAge.remove();
  return gauges;
}
