import type { Run } from './property.ts';
import type { Found } from './search.ts';

/** Prints a run so that it can be read: a step a line. */
export function showRun({ options, steps, isPeaceful, closesFirst }: Run): string {
  const settings = JSON.stringify({ ...options, isPeaceful, closesFirst }, (_key, value) =>
    value === Number.POSITIVE_INFINITY ? 'all' : value,
  );
  return `${settings}\n${String(steps).replaceAll('}),', '}),\n')}`;
}

export function showFound({ key, seed, path, run, error }: Found): string {
  const stack = String(error instanceof Error ? error.stack : error).split('\n');
  return `${key}\nFC_SEED=${seed} path ${path}\n${showRun(run)}\n${stack.slice(0, 6).join('\n')}`;
}
