import { escapeXml, LABEL_X, PAGE_WIDTH, page, text } from '../svg.ts';
import { type Growth, growthOf } from './growth.ts';
import type { ServerSample, WaveResult } from './messages.ts';

/** What one wave came to. */
export interface WaveRow extends ServerSample {
  /** Minutes from the start of the soak to the end of the wave. */
  readonly minute: number;
  readonly wave: WaveResult;
}

export interface SoakReport {
  readonly date: string;
  readonly machine: string;
  readonly node: string;
  readonly commit: string;
  readonly seed: number;
  readonly minutes: number;
  readonly load: number;
  readonly rows: readonly WaveRow[];
}

const MIB = 1024 * 1024;
/** What may be added to 3 % before something counts as grown: what code that is compiled late, or a pool, may take. */
const ALLOWED_HEAP_BYTES = MIB;
const ALLOWED_EXTERNAL_BYTES = MIB;

interface Column {
  readonly title: string;
  show(row: WaveRow): string;
}

const mib = (bytes: number): string => (bytes / MIB).toFixed(2);
const whole = (number: number): string => Math.round(number).toLocaleString('en');
const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0);

const COLUMNS: readonly Column[] = [
  { title: 'minute', show: ({ minute }) => minute.toFixed(1) },
  { title: 'heap MiB', show: ({ heapBytes }) => mib(heapBytes) },
  { title: 'external', show: ({ externalBytes }) => mib(externalBytes) },
  { title: 'buffers', show: ({ arrayBufferBytes }) => mib(arrayBufferBytes) },
  { title: 'RSS', show: ({ rssBytes }) => mib(rssBytes) },
  { title: 'most RSS', show: ({ maxRssBytes }) => mib(maxRssBytes) },
  { title: 'handles', show: ({ handles }) => whole(sum(handles)) },
  { title: 'sockets', show: ({ sockets, maxSockets }) => `${sockets} of ${maxSockets}` },
  { title: 'sessions', show: ({ sessions, maxSessions }) => `${sessions} of ${maxSessions}` },
  { title: 'wheel', show: ({ wheel }) => whole(wheel) },
  { title: 'contexts KiB', show: ({ contextBytes }) => whole(contextBytes / 1024) },
  { title: 'most received KiB', show: ({ maxReceivedBytes }) => whole(maxReceivedBytes / 1024) },
  { title: 'to be sent', show: ({ maxBufferedBytes }) => whole(maxBufferedBytes / 1024) },
  { title: 'lag ms p50', show: ({ lagP50Ms }) => lagP50Ms.toFixed(1) },
  { title: 'p99', show: ({ lagP99Ms }) => lagP99Ms.toFixed(1) },
  { title: 'max', show: ({ lagMaxMs }) => lagMaxMs.toFixed(0) },
  { title: 'of the clients', show: ({ wave }) => wave.lagMaxMs.toFixed(0) },
  { title: 'settled s', show: ({ settledMs }) => (settledMs / 1000).toFixed(1) },
  { title: 'opened', show: ({ opened }) => whole(opened) },
  { title: 'handled', show: ({ handled }) => whole(handled) },
  { title: 'clients', show: ({ wave }) => whole(sum(wave.clients)) },
  { title: 'left to the server', show: ({ wave }) => whole(wave.staying) },
  { title: 'verified', show: ({ wave }) => whole(wave.verified) },
];

export function tableHead(): string {
  return `| ${COLUMNS.map(({ title }) => title).join(' | ')} |\n|${'---:|'.repeat(COLUMNS.length)}`;
}

export function tableRow(row: WaveRow): string {
  return `| ${COLUMNS.map(({ title, show }) => show(row).padStart(title.length)).join(' | ')} |`;
}

/** What must not grow from wave to wave. */
export function growths({ rows }: SoakReport): Readonly<Record<string, Growth>> {
  return {
    heap: growthOf(
      rows.map(({ heapBytes }) => heapBytes),
      ALLOWED_HEAP_BYTES,
    ),
    'external memory': growthOf(
      rows.map(({ externalBytes }) => externalBytes),
      ALLOWED_EXTERNAL_BYTES,
    ),
  };
}

export function describeGrowth(name: string, { before, after, allowed, hasGrown }: Growth): string {
  const verdict = hasGrown === undefined ? 'too few samples to tell' : hasGrown ? 'GROWN' : 'not grown';
  const change = `${after >= before ? '+' : ''}${mib(after - before)}`;
  return `${name}: ${mib(before)} MiB in the first third, ${mib(after)} in the last (${change}, allowed +${mib(allowed)}): ${verdict}`;
}

/** The page of a soak: how it was run, what it came to, and all rows. */
export function formatPage(report: SoakReport, picture: string): string {
  const { rows, node, minutes, seed, load, machine, date, commit } = report;
  const total = (value: (row: WaveRow) => number): string => whole(rows.reduce((all, row) => all + value(row), 0));
  const kinds: Record<string, number> = {};
  for (const { wave } of rows) {
    for (const [kind, count] of Object.entries(wave.clients)) kinds[kind] = (kinds[kind] ?? 0) + count;
  }
  return `# ${minutes} minutes of good, slow, hostile and vanishing clients, on Node ${node}

${date}, ${machine}, at ${commit}; \`npm run soak -- --minutes ${minutes} --seed ${seed} --load ${load}\`.

No invariant was broken: ${total(({ wave }) => sum(wave.clients))} clients opened ${total((row) => row.opened)} WebSockets, ${total((row) => row.handled)} requests and messages were handled,
${total(({ wave }) => wave.verified)} answers (${total(({ wave }) => wave.verifiedBytes / MIB)} MiB) to good clients were checked byte by byte, and the server ended ${total(({ wave }) => wave.staying)} connections that were left to it.

${Object.entries(growths(report))
  .map(([name, growth]) => `- ${describeGrowth(name, growth)}`)
  .join('\n')}

![Memory, connections and lag over the time](${picture})

Each row is one wave: memory, handles, sockets, sessions, entries of the timer wheel and compression contexts when its clients were gone, after a collection (\`of\`: the most during the wave); ${4} WebSockets stay all the time.

${tableHead()}
${rows.map(tableRow).join('\n')}

| clients | |
|---|---:|
${Object.entries(kinds)
  .toSorted(([a], [b]) => (a < b ? -1 : 1))
  .map(([kind, count]) => `| ${kind} | ${whole(count)} |`)
  .join('\n')}
`;
}

// --- the picture --------------------------------------------------------------------------------------------------

const CHART_X = 70;
const CHART_WIDTH = PAGE_WIDTH - CHART_X - 120;
const CHART_HEIGHT = 90;
const CHART_GAP = 46;
const HEAD = 84;
const FOOT = 34;

const LINE_STYLE = `
    .line { fill: none; stroke: #9aa4b0; stroke-width: 1.5 } .ours-line { stroke: #0a6bdc } .axis { stroke: #d1d9e0 }
    @media (prefers-color-scheme: dark) {
      .line { stroke: #5b6470 } .ours-line { stroke: #4c9dff } .axis { stroke: #3d444d }
    }`;

interface Line {
  readonly name: string;
  readonly isOurs: boolean;
  value(row: WaveRow): number;
}

interface LineChart {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
}

const LINE_CHARTS: readonly LineChart[] = [
  {
    title: 'Memory when the clients of a wave are gone',
    unit: 'MiB',
    lines: [
      { name: 'heap', isOurs: true, value: ({ heapBytes }) => heapBytes / MIB },
      { name: 'external', isOurs: false, value: ({ externalBytes }) => externalBytes / MIB },
      { name: 'RSS', isOurs: false, value: ({ rssBytes }) => rssBytes / MIB },
    ],
  },
  {
    title: 'Connections: most during a wave, and left behind it',
    unit: '',
    lines: [
      { name: 'most', isOurs: false, value: ({ maxSockets }) => maxSockets },
      { name: 'left', isOurs: true, value: ({ sockets }) => sockets },
    ],
  },
  {
    title: 'Most that one WebSocket held',
    unit: 'KiB',
    lines: [
      { name: 'received', isOurs: true, value: ({ maxReceivedBytes }) => maxReceivedBytes / 1024 },
      { name: 'to be sent', isOurs: false, value: ({ maxBufferedBytes }) => maxBufferedBytes / 1024 },
    ],
  },
  {
    title: 'How late the event loop was',
    unit: 'ms',
    lines: [
      { name: 'p50', isOurs: false, value: ({ lagP50Ms }) => lagP50Ms },
      { name: 'p99', isOurs: true, value: ({ lagP99Ms }) => lagP99Ms },
    ],
  },
];

export function draw(report: SoakReport): string {
  const parts: string[] = [];
  let y = HEAD;
  for (const chart of LINE_CHARTS) {
    parts.push(...drawChart(chart, report.rows, y));
    y += CHART_HEIGHT + CHART_GAP;
  }
  const height = y + FOOT - CHART_GAP / 2;
  const last = report.rows.at(-1)?.minute ?? 0;
  parts.push(
    text(LABEL_X, 30, 'ink title', `${Math.round(last)} minutes of soak, Node ${report.node}`),
    text(
      LABEL_X,
      52,
      'faint',
      'Good, slow, hostile and vanishing clients in waves, against one server with everything on',
    ),
    text(
      LABEL_X,
      height - 12,
      'faint',
      `${report.date}, ${report.machine}; from left to right, minutes 0 to ${Math.round(last)}`,
    ),
  );
  return page(height, escapeXml(`A soak of ${Math.round(last)} minutes on Node ${report.node}`), parts, LINE_STYLE);
}

function drawChart({ title, unit, lines }: LineChart, rows: readonly WaveRow[], y: number): string[] {
  const most = Math.max(1e-9, ...lines.flatMap(({ value }) => rows.map(value)));
  const lastMinute = rows.at(-1)?.minute ?? 1;
  const bottom = y + CHART_HEIGHT;
  const scale = most < 10 ? most.toFixed(1) : most.toFixed(0);
  const parts = [
    text(LABEL_X, y - 8, 'ink strong', unit === '' ? title : `${title}, ${unit}`),
    `<line class="axis" x1="${CHART_X}" y1="${bottom}" x2="${CHART_X + CHART_WIDTH}" y2="${bottom}"/>`,
    text(LABEL_X, y + 12, 'faint', scale),
    text(LABEL_X, bottom, 'faint', '0'),
  ];
  let labelAbove = Number.POSITIVE_INFINITY;
  const places = lines.map((line) => ({ line, end: bottom - (line.value(rows.at(-1)!) / most) * CHART_HEIGHT }));
  // From the bottom up, so that no name lies on another.
  for (const { line, end } of places.toSorted((a, b) => b.end - a.end)) {
    const points = rows.map((row) => {
      const x = CHART_X + (row.minute / lastMinute) * CHART_WIDTH;
      return `${x.toFixed(1)},${(bottom - (line.value(row) / most) * CHART_HEIGHT).toFixed(1)}`;
    });
    parts.push(`<polyline class="${line.isOurs ? 'line ours-line' : 'line'}" points="${points.join(' ')}"/>`);
    const label = Math.min(end + 4, labelAbove - 15);
    labelAbove = label;
    parts.push(text(CHART_X + CHART_WIDTH + 10, label, line.isOurs ? 'ink strong' : 'faint', line.name));
  }
  return parts;
}
